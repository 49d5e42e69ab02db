/* SPDX-License-Identifier: MIT */
/* An agent is known by host and name; its id is made at its first registration and stays. */
#include "dashboard/store_agents.h"

#include <stdio.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/uuid.h"
#include "dashboard/store_priv.h"

static void bind_known(sqlite3_stmt *st, int index, int64_t value)
{
	if (value < 0)
		sqlite3_bind_null(st, index);
	else
		sqlite3_bind_int64(st, index, value);
}

static int read_id(sqlite3_stmt *st, void *arg, struct err *err)
{
	(void)err;
	snprintf(arg, UUID_MAX, "%s", db_column_text(st, 0));
	return 0;
}

int dash_store_register_agent(struct dash_store *s, const char *host,
	const struct body_agent_registration *a, int64_t now_ms, char *id_out, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO k6_agents (id, host, name, slot, status, last_seen_at, registered_at, version,"
		" k6_version) VALUES (?1, ?2, ?3, ?4, 'idle', ?5, ?5, ?6, ?7) ON CONFLICT (host, name) DO UPDATE SET"
		" slot = ?4, last_seen_at = ?5, version = ?6, k6_version = ?7,"
		" status = CASE status WHEN 'offline' THEN 'idle' ELSE status END RETURNING id",
		err);
	char id[UUID_MAX];

	uuid_make_v7(now_ms, id);
	db_bind_text(st, 1, id);
	db_bind_text(st, 2, host);
	db_bind_text(st, 3, a->name);
	bind_known(st, 4, a->slot);
	sqlite3_bind_int64(st, 5, now_ms);
	db_bind_text(st, 6, a->version);
	db_bind_text(st, 7, a->k6_version);
	return dash_store_one(s, st, read_id, id_out, err) == FOUND_ERROR ? -1 : 0;
}

static int read_same(sqlite3_stmt *st, void *arg, struct err *err)
{
	(void)err;
	*(bool *)arg = sqlite3_column_int(st, 0) != 0;
	return 0;
}

/* Returns FOUND when the agent is known; *news says whether its status, run or progress has
 * changed. */
static enum found is_news(struct dash_store *s, const char *host,
	const struct body_agent_heartbeat *a, const char *progress, bool *news, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT status = ?3 AND current_run_id IS ?4 AND progress IS ?5 FROM k6_agents WHERE host = ?1 AND name = ?2",
		err);
	enum found found;
	bool same = true;

	db_bind_text(st, 1, host);
	db_bind_text(st, 2, a->name);
	db_bind_text(st, 3, a->status);
	db_bind_text(st, 4, a->current_run_id);
	db_bind_text(st, 5, progress);
	found = dash_store_one(s, st, read_same, &same, err);
	*news = !same;
	return found;
}

enum found dash_store_heartbeat(struct dash_store *s, const char *host,
	const struct body_agent_heartbeat *a, int64_t now_ms, bool *news, struct err *err)
{
	_cleanup_json_ json_t *object = a->progress.known ? body_progress_json(&a->progress) : NULL;
	_cleanup_free_ char *progress = object ? json_compact(object) : NULL;
	enum found known = news ? is_news(s, host, a, progress, news, err) : FOUND;
	sqlite3_stmt *st;

	if (known != FOUND)
		return known;
	st = dash_store_stmt(s,
		"UPDATE k6_agents SET status = ?3, current_run_id = ?4, last_seen_at = ?5,"
		" restarts = coalesce(?6, restarts), rss_bytes = ?7, progress = ?8 WHERE host = ?1 AND name = ?2",
		err);
	db_bind_text(st, 1, host);
	db_bind_text(st, 2, a->name);
	db_bind_text(st, 3, a->status);
	db_bind_text(st, 4, a->current_run_id);
	sqlite3_bind_int64(st, 5, now_ms);
	bind_known(st, 6, a->restarts);
	bind_known(st, 7, a->rss_bytes);
	db_bind_text(st, 8, progress);
	if (dash_store_run(s, st, err) < 0)
		return FOUND_ERROR;
	return sqlite3_changes(s->db) > 0 ? FOUND : NOT_FOUND;
}

#define AGENT_COLUMNS \
	"id, name, host, slot, status, current_run_id, last_seen_at, registered_at, version," \
	" k6_version, restarts, rss_bytes, progress"

static json_t *agent_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	json_t *progress = dash_store_json_column(st, 12, err);

	(void)arg;
	if (!progress) {
		err_prefix(err, "agent %.100s on %.100s", db_column_text(st, 1),
			db_column_text(st, 2));
		return NULL;
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
		dash_store_text_column(st, 0), "name", dash_store_text_column(st, 1), "host",
		dash_store_text_column(st, 2), "slot", dash_store_int_column(st, 3), "status",
		dash_store_text_column(st, 4), "currentRunId", dash_store_text_column(st, 5),
		"lastSeenAt", json_time(sqlite3_column_int64(st, 6)), "registeredAt",
		json_time(sqlite3_column_int64(st, 7)), "version", dash_store_text_column(st, 8),
		"k6Version", dash_store_text_column(st, 9), "restarts",
		dash_store_int_column(st, 10), "rssBytes", dash_store_int_column(st, 11),
		"progress", progress);
}

enum found dash_store_get_agent(
	struct dash_store *s, const char *host, const char *name, json_t **agent, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT " AGENT_COLUMNS " FROM k6_agents WHERE host = ?1 AND name = ?2", err);

	db_bind_text(st, 1, host);
	db_bind_text(st, 2, name);
	return dash_store_object(s, st, agent_row, NULL, agent, err);
}

int dash_store_list_agents(struct dash_store *s, json_t **list, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT " AGENT_COLUMNS " FROM k6_agents ORDER BY host, slot, name", err);

	return dash_store_list(s, st, agent_row, NULL, list, err);
}
