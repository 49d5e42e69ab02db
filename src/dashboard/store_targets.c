/* SPDX-License-Identifier: MIT */
/* A target is one JSON text; columns hold the fields that queries look for. */
#include "dashboard/store_targets.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/uuid.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_priv.h"

int dash_store_insert_target(
	struct dash_store *s, struct target *t, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO k6_targets (id, enabled, json, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)",
		err);
	_cleanup_json_ json_t *json = NULL;
	_cleanup_free_ char *text = NULL;
	char id[UUID_MAX];

	uuid_make_v7(now_ms, id);
	free(t->id);
	t->id = x_strdup(id);
	json = target_to_json(t, TARGET_FOR_HOST);
	text = json_compact(json);
	db_bind_text(st, 1, t->id);
	sqlite3_bind_int(st, 2, t->enabled);
	db_bind_text(st, 3, text);
	sqlite3_bind_int64(st, 4, now_ms);
	return dash_store_run(s, st, err);
}

static enum found changed_one(struct dash_store *s, sqlite3_stmt *st, struct err *err)
{
	if (dash_store_run(s, st, err) < 0)
		return FOUND_ERROR;
	return sqlite3_changes(s->db) > 0 ? FOUND : NOT_FOUND;
}

enum found dash_store_update_target(
	struct dash_store *s, const struct target *t, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"UPDATE k6_targets SET json = ?2, enabled = ?3, updated_at = ?4 WHERE id = ?1",
		err);
	_cleanup_json_ json_t *json = target_to_json(t, TARGET_FOR_HOST);
	_cleanup_free_ char *text = json_compact(json);

	db_bind_text(st, 1, t->id);
	db_bind_text(st, 2, text);
	sqlite3_bind_int(st, 3, t->enabled);
	sqlite3_bind_int64(st, 4, now_ms);
	return changed_one(s, st, err);
}

enum found dash_store_delete_target(struct dash_store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, "DELETE FROM k6_targets WHERE id = ?1", err);

	db_bind_text(st, 1, id);
	return changed_one(s, st, err);
}

/* A row with the columns json, created_at, updated_at, id, as JSON for a reader and as a target. */
struct target_row {
	enum target_reader reader;
	json_t *json;
	struct target *target;
};

static int read_target(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct target_row *r = arg;
	_cleanup_json_ json_t *stored = dash_store_json_column(st, 0, err);
	struct target_error terr;

	if (!stored)
		return err_prefix(err, "target %.100s", db_column_text(st, 3));
	r->target = target_new();
	if (target_apply_json(r->target, stored, false, &terr) < 0) {
		target_free(steal_ptr(r->target));
		return err_code_set(err, ERR_CORRUPT,
			"the database has a target \"%.100s\" that is not valid: %s",
			db_column_text(st, 3), terr.err.msg);
	}
	free(r->target->id);
	r->target->id = x_strdup(json_get_text(stored, "id", ""));
	r->json = target_to_json(r->target, r->reader);
	json_object_set_new(r->json, "createdAt", json_time(sqlite3_column_int64(st, 1)));
	json_object_set_new(r->json, "updatedAt", json_time(sqlite3_column_int64(st, 2)));
	return 0;
}

enum found dash_store_get_target(struct dash_store *s, const char *id, enum target_reader reader,
	json_t **json, struct target **t, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT json, created_at, updated_at, id FROM k6_targets WHERE id = ?1", err);
	struct target_row r = {.reader = reader};
	enum found found;

	db_bind_text(st, 1, id);
	found = dash_store_one(s, st, read_target, &r, err);
	if (found == FOUND && json)
		*json = steal_ptr(r.json);
	if (found == FOUND && t)
		*t = steal_ptr(r.target);
	json_decref(r.json);
	target_free(r.target);
	return found;
}

/* arg: enum target_reader. */
static json_t *make_target(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct target_row r = {.reader = *(const enum target_reader *)arg};

	if (read_target(st, &r, err) < 0)
		return NULL;
	target_free(r.target);
	return r.json;
}

int dash_store_list_targets(
	struct dash_store *s, enum target_reader reader, json_t **list, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT json, created_at, updated_at, id FROM k6_targets ORDER BY seq", err);

	return dash_store_list(s, st, make_target, &reader, list, err);
}

int dash_store_list_targets_for(
	struct dash_store *s, const char *host, int64_t now_ms, json_t **list, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT json, created_at, updated_at, id FROM k6_targets t WHERE enabled OR EXISTS (SELECT 1 FROM"
		" k6_commands c WHERE c.host = ?1 AND c.created_at > ?2 AND c.target_id = t.id) ORDER BY seq",
		err);
	enum target_reader reader = TARGET_FOR_HOST;

	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, now_ms - DASH_STORE_COMMAND_LIFE_MS);
	return dash_store_list(s, st, make_target, &reader, list, err);
}

struct label {
	int count;
	char *id;
};

static int read_label(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct label *l = arg;

	(void)err;
	if (!l->count++)
		snprintf(l->id, UUID_MAX, "%s", db_column_text(st, 0));
	return 0;
}

int dash_store_find_target(
	struct dash_store *s, const char *label, int *count, char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT id FROM k6_targets WHERE json_extract(json, '$.label') = ?1 LIMIT 2", err);
	struct label l = {0, id};

	db_bind_text(st, 1, label);
	if (dash_store_each(s, st, read_label, &l, err) < 0)
		return -1;
	*count = l.count;
	return 0;
}

enum found dash_store_knows_target(struct dash_store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT 1 WHERE EXISTS (SELECT 1 FROM k6_targets WHERE id = ?1) OR EXISTS (SELECT 1 FROM k6_rollups WHERE"
		" target_id = ?1) OR EXISTS (SELECT 1 FROM k6_names WHERE kind = 0 AND name = ?1)",
		err);

	db_bind_text(st, 1, id);
	return dash_store_one(s, st, NULL, NULL, err);
}
