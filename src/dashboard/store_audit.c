/* SPDX-License-Identifier: MIT */
/* Who has changed what.  Entries are written with the change, in its transaction, and never changed. */
#include "dashboard/store_priv.h"

#include "common/json.h"
#include "common/mem.h"

int dash_store_add_audit(
	struct dash_store *s, const struct dash_store_audit *entry, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO k6_audit (at, who, address, action, object, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		err);
	_cleanup_free_ char *detail = entry->detail ? json_compact(entry->detail) : NULL;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, now_ms);
	db_bind_text(st, 2, entry->who);
	db_bind_text(st, 3, entry->address);
	db_bind_text(st, 4, entry->action);
	db_bind_text(st, 5, entry->object);
	db_bind_text(st, 6, detail);
	return db_run(st, err);
}

json_t *dash_store_list_audit(
	struct dash_store *s, int64_t page, int64_t page_size, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT at, who, address, action, object, detail FROM k6_audit ORDER BY seq DESC LIMIT ?1 OFFSET ?2",
		err);
	json_t *items = json_array();

	if (!st) {
		json_decref(items);
		return NULL;
	}
	sqlite3_bind_int64(st, 1, page_size);
	sqlite3_bind_int64(st, 2, (page - 1) * page_size);
	while (sqlite3_step(st) == SQLITE_ROW)
		json_array_append_new(items,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "at",
				json_time(sqlite3_column_int64(st, 0)), "who",
				json_text(db_column_text(st, 1)), "address",
				json_text(db_column_text(st, 2)), "action",
				json_text(db_column_text(st, 3)), "object",
				json_text(db_column_text(st, 4)), "detail",
				dash_store_json_column(st, 5)));
	sqlite3_reset(st);
	return json_pack("{s:o, s:I, s:I, s:I}", "items", items, "page", (json_int_t)page,
		"pageSize", (json_int_t)page_size, "total",
		(json_int_t)dash_store_get_int(s, "SELECT count(*) FROM k6_audit", 0));
}

json_t *dash_store_counts(struct dash_store *s, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "SELECT status, count(*) FROM k6_agents GROUP BY status", err);
	json_t *agents = json_object();

	while (st && sqlite3_step(st) == SQLITE_ROW)
		json_object_set_new(
			agents, db_column_text(st, 0), json_integer(sqlite3_column_int64(st, 1)));
	if (st)
		sqlite3_reset(st);
	return json_pack("{s:o, s:I, s:I}", "agents", agents, "hosts",
		(json_int_t)dash_store_get_int(s, "SELECT count(*) FROM hosts", 0), "targets",
		(json_int_t)dash_store_get_int(s, "SELECT count(*) FROM k6_targets", 0));
}
