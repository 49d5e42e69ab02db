/* SPDX-License-Identifier: MIT */
/* Targets: kept whole as JSON, with what is looked for in columns. */
#include "dashboard/store_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/uuid.h"

int dash_store_insert_target(
	struct dash_store *s, struct target *t, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO k6_targets (id, enabled, json, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)",
		err);
	_cleanup_json_ json_t *json = NULL;
	_cleanup_free_ char *text = NULL;
	char id[UUID_MAX];

	if (!st)
		return -1;
	uuid_make_v7(now_ms, id);
	free(t->id);
	t->id = x_strdup(id);
	json = target_to_json(t, TARGET_FOR_HOST);
	text = json_compact(json);
	db_bind_text(st, 1, t->id);
	sqlite3_bind_int(st, 2, t->enabled);
	db_bind_text(st, 3, text);
	sqlite3_bind_int64(st, 4, now_ms);
	return db_run(st, err);
}

/* Columns: json, created_at, updated_at. */
static json_t *target_row(sqlite3_stmt *st, bool mask, struct target **out)
{
	_cleanup_json_ json_t *stored = json_loads(db_column_text(st, 0), 0, NULL);
	struct target *t = target_new();
	struct target_error terr;
	json_t *json;

	if (target_apply_json(t, stored, false, &terr) < 0) {
		target_free(t);
		return NULL;
	}
	free(t->id);
	t->id = x_strdup(json_get_text(stored, "id", ""));
	json = target_to_json(t, mask ? TARGET_FOR_PUBLIC : TARGET_FOR_ADMIN);
	json_object_set_new(json, "createdAt", json_time(sqlite3_column_int64(st, 1)));
	json_object_set_new(json, "updatedAt", json_time(sqlite3_column_int64(st, 2)));
	if (out)
		*out = t;
	else
		target_free(t);
	return json;
}

json_t *dash_store_get_target(
	struct dash_store *s, const char *id, bool mask, struct target **t, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT json, created_at, updated_at FROM k6_targets WHERE id = ?1", err);
	json_t *json = NULL;

	if (!st)
		return NULL;
	db_bind_text(st, 1, id);
	if (dash_store_step_row(s, st, err))
		json = target_row(st, mask, t);
	sqlite3_reset(st);
	return json;
}

int dash_store_update_target(
	struct dash_store *s, const struct target *t, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"UPDATE k6_targets SET json = ?2, enabled = ?3, updated_at = ?4 WHERE id = ?1",
		err);
	_cleanup_json_ json_t *json = target_to_json(t, TARGET_FOR_HOST);
	_cleanup_free_ char *text = json_compact(json);

	if (!st)
		return -1;
	db_bind_text(st, 1, t->id);
	db_bind_text(st, 2, text);
	sqlite3_bind_int(st, 3, t->enabled);
	sqlite3_bind_int64(st, 4, now_ms);
	return db_run(st, err) < 0 ? -1 : sqlite3_changes(s->db) > 0;
}

int dash_store_find_target(struct dash_store *s, const char *label, char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT id FROM k6_targets WHERE json_extract(json, '$.label') = ?1 LIMIT 2", err);
	int n = 0;

	if (!st)
		return -1;
	db_bind_text(st, 1, label);
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (!n++)
			snprintf(id, UUID_MAX, "%s", db_column_text(st, 0));
	}
	sqlite3_reset(st);
	return n;
}

int dash_store_knows_target(struct dash_store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT EXISTS (SELECT 1 FROM k6_targets WHERE id = ?1) OR EXISTS (SELECT 1 FROM k6_rollups WHERE"
		" target_id = ?1) OR EXISTS (SELECT 1 FROM k6_names WHERE kind = 0 AND name = ?1)",
		err);
	int known = 0;

	if (!st)
		return -1;
	db_bind_text(st, 1, id);
	if (sqlite3_step(st) == SQLITE_ROW)
		known = sqlite3_column_int(st, 0);
	sqlite3_reset(st);
	return known;
}

int dash_store_delete_target(struct dash_store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, "DELETE FROM k6_targets WHERE id = ?1", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, id);
	return db_run(st, err) < 0 ? -1 : sqlite3_changes(s->db) > 0;
}

json_t *dash_store_list_targets_for(
	struct dash_store *s, const char *host, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT json, created_at, updated_at FROM k6_targets t WHERE enabled OR EXISTS (SELECT 1 FROM"
		" k6_commands c WHERE c.host = ?1 AND c.created_at > ?2 AND c.target_id = t.id) ORDER BY seq",
		err);
	json_t *list = json_array();

	if (st) {
		db_bind_text(st, 1, host);
		sqlite3_bind_int64(st, 2, now_ms - DASH_STORE_COMMAND_LIFE_MS);
	}
	while (st && sqlite3_step(st) == SQLITE_ROW) {
		json_t *json = target_row(st, false, NULL);

		if (json)
			json_array_append_new(list, json);
	}
	sqlite3_reset(st);
	return list;
}

json_t *dash_store_list_targets(struct dash_store *s, bool mask, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT json, created_at, updated_at FROM k6_targets ORDER BY seq", err);
	json_t *list = json_array();

	while (st && sqlite3_step(st) == SQLITE_ROW) {
		json_t *json = target_row(st, mask, NULL);

		if (json)
			json_array_append_new(list, json);
	}
	sqlite3_reset(st);
	return list;
}
