/* SPDX-License-Identifier: MIT */
/* Orders for hosts.  A row goes when its host has acknowledged it, or after five minutes: who comes
 * back later is not to find yesterday's orders. */
#include "dashboard/store_priv.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/uuid.h"

#define HOSTS_MAX 10000

struct candidate {
	char *host;
	int64_t idle, agents, given;
};

struct command {
	const char *host, *type, *target_id, *run_id;
	int64_t agents, pause_seq;
	bool sync, at_once;
};

static int insert(struct dash_store *s, const struct command *c, int64_t now_ms, json_t *made,
	struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO k6_commands (id, host, type, target_id, run_id, agents, sync, created_at, at_once,"
		" pause_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
		err);
	char id[UUID_MAX];

	if (!st)
		return -1;
	uuid_make_v7(now_ms, id);
	db_bind_text(st, 1, id);
	db_bind_text(st, 2, c->host);
	db_bind_text(st, 3, c->type);
	db_bind_text(st, 4, c->target_id);
	db_bind_text(st, 5, c->run_id);
	sqlite3_bind_int64(st, 6, c->agents);
	sqlite3_bind_int(st, 7, c->sync);
	sqlite3_bind_int64(st, 8, now_ms);
	sqlite3_bind_int(st, 9, c->at_once);
	sqlite3_bind_int64(st, 10, c->pause_seq);
	if (db_run(st, err) < 0)
		return -1;
	json_array_append_new(made,
		json_pack("{s:s, s:s, s:o, s:o}", "id", id, "type", c->type, "host",
			json_text(c->host), "agents",
			c->agents ? json_integer(c->agents) : json_null()));
	return 0;
}

/* Managed hosts that have been heard of lately, with how many of their agents were idle then. */
static size_t find_candidates(
	struct dash_store *s, int64_t since_ms, struct candidate *out, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT h.host, (SELECT count(*) FROM k6_agents a WHERE a.host = h.host AND a.status = 'idle'),"
		" h.desired FROM hosts h WHERE h.managed AND h.last_seen_at >= ?1 AND h.desired > 0"
		" ORDER BY 2 DESC, h.host LIMIT ?2",
		err);
	size_t n = 0;

	if (!st)
		return 0;
	sqlite3_bind_int64(st, 1, since_ms);
	sqlite3_bind_int(st, 2, HOSTS_MAX);
	while (sqlite3_step(st) == SQLITE_ROW)
		out[n++] = (struct candidate){.host = x_strdup(db_column_text(st, 0)),
			.idle = sqlite3_column_int64(st, 1),
			.agents = sqlite3_column_int64(st, 2)};
	sqlite3_reset(st);
	return n;
}

/* One each in turn, first to agents that are known to be idle, then to those that may be by now. */
static int64_t share_out(struct candidate *c, size_t n, int64_t count)
{
	int64_t left = count;

	for (int pass = 0; pass < 2; pass++) {
		bool given = true;

		while (left && given) {
			given = false;
			for (size_t i = 0; i < n && left; i++) {
				if (c[i].given >= (pass ? c[i].agents : c[i].idle))
					continue;
				c[i].given++;
				left--;
				given = true;
			}
		}
	}
	return count - left;
}

int dash_store_command_run(struct dash_store *s, const char *target_id, int64_t agents, bool sync,
	int64_t now_ms, int64_t online_ms, json_t *made, struct err *err)
{
	struct candidate *c = x_calloc(HOSTS_MAX, sizeof(*c));
	size_t n;
	int rc = 0;

	err->msg[0] = '\0';
	n = find_candidates(s, now_ms - online_ms, c, err);
	share_out(c, n, agents);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && c[i].given)
			rc = insert(s,
				&(struct command){.host = c[i].host,
					.type = "run",
					.target_id = target_id,
					.agents = c[i].given,
					.sync = sync},
				now_ms, made, err);
		free(c[i].host);
	}
	free(c);
	return rc < 0 || err->msg[0] ? -1 : 0;
}

int dash_store_command_cancel(struct dash_store *s, const char *run_id, const char *host,
	int64_t now_ms, json_t *made, struct err *err)
{
	return insert(s, &(struct command){.host = host, .type = "cancel", .run_id = run_id},
		now_ms, made, err);
}

/* --- pause and resume --------------------------------------------------------------- */

static int64_t pause_seq(struct dash_store *s)
{
	return dash_store_get_int(s, "SELECT value FROM meta WHERE key = 'pause_seq'", 0);
}

bool dash_store_is_paused(struct dash_store *s)
{
	return dash_store_get_int(s, "SELECT value FROM meta WHERE key = 'paused'", 0) != 0;
}

/* The present state as an order. */
static int insert_pause(
	struct dash_store *s, const char *host, int64_t now_ms, json_t *made, struct err *err)
{
	return insert(s,
		&(struct command){.host = host,
			.type = dash_store_is_paused(s) ? "pause" : "resume",
			.pause_seq = pause_seq(s),
			.at_once = dash_store_get_int(s,
					   "SELECT value FROM meta WHERE key = 'pause_at_once'",
					   0) != 0},
		now_ms, made, err);
}

int dash_store_command_pause(struct dash_store *s, bool pause, bool at_once, int64_t now_ms,
	json_t *made, struct err *err)
{
	sqlite3_stmt *st;
	struct candidate *c;
	size_t n = 0;
	int rc;

	if (dash_store_set_meta(s, "paused", pause, err) < 0 ||
		dash_store_set_meta(s, "pause_at_once", at_once, err) < 0 ||
		dash_store_set_meta(s, "pause_seq", pause_seq(s) + 1, err) < 0)
		return -1;
	/* The last word holds. */
	rc = db_exec(s->db, "DELETE FROM k6_commands WHERE type IN ('pause', 'resume')", err);
	st = dash_store_stmt(s, "SELECT host FROM hosts WHERE managed ORDER BY host LIMIT ?1", err);
	if (!st || rc < 0)
		return -1;
	c = x_calloc(HOSTS_MAX, sizeof(*c));
	sqlite3_bind_int(st, 1, HOSTS_MAX);
	while (sqlite3_step(st) == SQLITE_ROW)
		c[n++].host = x_strdup(db_column_text(st, 0));
	sqlite3_reset(st);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = insert_pause(s, c[i].host, now_ms, made, err);
		free(c[i].host);
	}
	free(c);
	return rc;
}

int dash_store_command_catch_up(
	struct dash_store *s, const char *host, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT 1 FROM hosts h WHERE h.host = ?1 AND h.managed AND h.pause_seq < ?2 AND NOT EXISTS"
		" (SELECT 1 FROM k6_commands c WHERE c.host = h.host AND c.pause_seq = ?2 AND c.created_at > ?3)",
		err);
	int64_t seq = pause_seq(s);
	json_t *made;
	bool behind;
	int rc;

	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, seq);
	sqlite3_bind_int64(st, 3, now_ms - DASH_STORE_COMMAND_LIFE_MS);
	behind = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_reset(st);
	if (!behind)
		return 0;
	made = json_array();
	rc = insert_pause(s, host, now_ms, made, err);
	json_decref(made);
	return rc;
}

json_t *dash_store_list_commands(
	struct dash_store *s, const char *host, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT id, type, target_id, run_id, agents, sync, at_once FROM k6_commands WHERE host = ?1 AND created_at > ?2"
		" ORDER BY seq LIMIT 1000",
		err);
	json_t *list = json_array();

	if (!st)
		return list;
	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, now_ms - DASH_STORE_COMMAND_LIFE_MS);
	while (sqlite3_step(st) == SQLITE_ROW) {
		json_t *o = json_pack(
			"{s:s, s:s}", "id", db_column_text(st, 0), "type", db_column_text(st, 1));

		if (sqlite3_column_type(st, 2) != SQLITE_NULL)
			json_object_set_new(o, "targetId", json_text(db_column_text(st, 2)));
		if (sqlite3_column_type(st, 3) != SQLITE_NULL)
			json_object_set_new(o, "runId", json_text(db_column_text(st, 3)));
		if (sqlite3_column_int64(st, 4)) {
			json_object_set_new(o, "agents", json_integer(sqlite3_column_int64(st, 4)));
			json_object_set_new(o, "sync", json_boolean(sqlite3_column_int(st, 5)));
		}
		if (!strcmp(db_column_text(st, 1), "pause"))
			json_object_set_new(o, "now", json_boolean(sqlite3_column_int(st, 6)));
		json_array_append_new(list, o);
	}
	sqlite3_reset(st);
	return list;
}

int dash_store_command_done(struct dash_store *s, const char *host, const char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"UPDATE hosts SET pause_seq = c.pause_seq FROM k6_commands c WHERE hosts.host = ?1 AND c.host = ?1"
		" AND c.id = ?2 AND c.pause_seq > hosts.pause_seq",
		err);

	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	db_bind_text(st, 2, id);
	if (db_run(st, err) < 0)
		return -1;
	st = dash_store_stmt(s, "DELETE FROM k6_commands WHERE host = ?1 AND id = ?2", err);
	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	db_bind_text(st, 2, id);
	return db_run(st, err);
}

int dash_store_expire_commands(struct dash_store *s, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "DELETE FROM k6_commands WHERE created_at <= ?1", err);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, now_ms - DASH_STORE_COMMAND_LIFE_MS);
	return db_run(st, err);
}
