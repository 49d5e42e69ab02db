/* SPDX-License-Identifier: MIT */
/* An entry is never changed and never deleted. */
#include "dashboard/store_audit.h"

#include "common/json.h"
#include "common/mem.h"
#include "dashboard/store_priv.h"

int dash_store_add_audit(
	struct dash_store *s, const struct dash_store_audit *entry, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO k6_audit (at, who, address, action, object, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		err);
	_cleanup_free_ char *detail = entry->detail ? json_compact(entry->detail) : NULL;

	sqlite3_bind_int64(st, 1, now_ms);
	db_bind_text(st, 2, entry->who);
	db_bind_text(st, 3, entry->address);
	db_bind_text(st, 4, entry->action);
	db_bind_text(st, 5, entry->object);
	db_bind_text(st, 6, detail);
	return dash_store_run(s, st, err);
}

static json_t *audit_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	json_t *detail = dash_store_json_column(st, 5, err);

	(void)arg;
	if (!detail) {
		err_prefix(err, "entry %lld of the audit trail",
			(long long)sqlite3_column_int64(st, 6));
		return NULL;
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "at",
		json_time(sqlite3_column_int64(st, 0)), "who", json_text(db_column_text(st, 1)),
		"address", json_text(db_column_text(st, 2)), "action",
		json_text(db_column_text(st, 3)), "object", json_text(db_column_text(st, 4)),
		"detail", detail);
}

int dash_store_list_audit(
	struct dash_store *s, int64_t page, int64_t page_size, json_t **list, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT at, who, address, action, object, detail, seq FROM k6_audit ORDER BY seq DESC LIMIT ?1 OFFSET ?2",
		err);
	int64_t total;
	json_t *items;

	sqlite3_bind_int64(st, 1, page_size);
	sqlite3_bind_int64(st, 2, (page - 1) * page_size);
	if (dash_store_get_int(s, "SELECT count(*) FROM k6_audit", 0, &total, err) < 0 ||
		dash_store_list(s, st, audit_row, NULL, &items, err) < 0)
		return -1;
	*list = json_pack("{s:o, s:I, s:I, s:I}", "items", items, "page", (json_int_t)page,
		"pageSize", (json_int_t)page_size, "total", (json_int_t)total);
	return 0;
}
