/* SPDX-License-Identifier: MIT */
/* Runs without a result, silent agents, and runs that are older than the retention. */
#include "dashboard/store_reaper.h"

#include "common/json.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_counts.h"
#include "dashboard/store_priv.h"
#include "dashboard/store_rollup.h"

/* The numbers of the agents that are to be deleted. */
#define GONE_AGENTS \
	"(SELECT no FROM k6_names n JOIN k6_agents a ON n.kind = 1 AND n.host = a.host AND n.name = a.name" \
	" WHERE a.status = 'offline' AND a.last_seen_at < ?1)"

static int reap_step(struct dash_store *s, const char *sql, int64_t limit, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);

	sqlite3_bind_int64(st, 1, limit);
	return dash_store_run(s, st, err);
}

struct reaping {
	struct dash_store *store;
	const char *what; /* "run" or "agent" */
	json_t *changed;
	int64_t n;
};

/* Columns: two texts; for a run, also the columns of dash_store_count_reaped(). */
static int add_change(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct reaping *r = arg;

	(void)err;
	json_array_append_new(r->changed,
		json_pack("[s, o, o]", r->what, json_text(db_column_text(st, 0)),
			json_text(db_column_text(st, 1))));
	if (sqlite3_column_count(st) > 2)
		dash_store_count_reaped(r->store, st, 2);
	r->n++;
	return 0;
}

/* Runs a statement with one parameter, the limit; *n becomes the number of its rows. */
static int reap_rows(struct reaping *r, const char *sql, int64_t limit, int64_t *n, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(r->store, sql, err);

	r->n = 0;
	sqlite3_bind_int64(st, 1, limit);
	if (dash_store_each(r->store, st, add_change, r, err) < 0)
		return -1;
	*n = r->n;
	return 0;
}

/* Deletes the runs of agents that are deleted, or keeps them without their agent. */
static int let_runs_go(struct dash_store *s, bool keep, int64_t limit, struct err *err)
{
	static const char orphans[] = "DELETE FROM k6_runs WHERE agent_no IN " GONE_AGENTS
				      " RETURNING target_no, agent_no, started_at, status";
	static const char detached[] =
		"INSERT OR IGNORE INTO k6_names (kind, host, name) SELECT DISTINCT 1, host, '' FROM k6_agents WHERE"
		" status = 'offline' AND last_seen_at < ?1";
	static const char detach[] =
		"UPDATE k6_runs SET agent = NULL, agent_no = (SELECT no FROM k6_names n WHERE n.kind = 1 AND"
		" n.host = k6_runs.host AND n.name = '') WHERE agent_no IN " GONE_AGENTS
		" RETURNING target_no, agent_no, started_at, status";
	static const char detached_before[] =
		"SELECT target_no, agent_no, started_at, status FROM k6_runs WHERE agent_no IN " GONE_AGENTS;

	if (!keep)
		return dash_store_count_rows(s, orphans, limit, -1, NULL, err);
	if (reap_step(s, detached, limit, err) < 0 ||
		dash_store_count_rows(s, detached_before, limit, -1, NULL, err) < 0)
		return -1;
	return dash_store_count_rows(s, detach, limit, 1, NULL, err);
}

/* Rule one: runs without a result. */
static int reap_runs(struct reaping *r, int64_t limit, int64_t *n, struct err *err)
{
	static const char runs[] =
		"UPDATE k6_runs SET status = 'error', reason = 'reaped', error_message ="
		" 'no result came within the time that the run had; its agent may have been lost'"
		" WHERE status = 'running' AND started_at + planned_ms < ?1 RETURNING id, '', target_no, agent_no, started_at";
	/* Rows of a frozen hour are partly deleted, so its rollup cannot be recomputed: the runs
	 * are added to it instead. */
	static const char frozen[] =
		"UPDATE k6_rollups SET runs = runs + n, error = error + n FROM (SELECT coalesce(target_id, '') AS t,"
		" started_at / 3600000 AS h, count(*) AS n FROM k6_runs WHERE status = 'running' AND"
		" started_at + planned_ms < ?1 GROUP BY 1, 2) WHERE target_id = t AND hour = h AND frozen";
	static const char dirty[] =
		"INSERT OR IGNORE INTO k6_rollup_dirty SELECT DISTINCT started_at / 3600000, coalesce(target_id, '')"
		" FROM k6_runs WHERE status = 'running' AND started_at + planned_ms < ?1 AND NOT EXISTS (SELECT 1 FROM"
		" k6_rollups f WHERE f.target_id = coalesce(k6_runs.target_id, '') AND f.hour = started_at / 3600000 AND f.frozen)";

	if (reap_step(r->store, frozen, limit, err) < 0 ||
		reap_step(r->store, dirty, limit, err) < 0)
		return -1;
	r->what = "run";
	return reap_rows(r, runs, limit, n, err);
}

/* Rules two and three: pointers to runs that do not run, and agents that are silent. */
static int reap_agents(struct reaping *r, int64_t limit, int64_t *n, struct err *err)
{
	static const char pointers[] =
		"UPDATE k6_agents SET current_run_id = NULL, progress = NULL WHERE current_run_id IS NOT NULL AND ?1"
		" AND NOT EXISTS (SELECT 1 FROM k6_runs r WHERE r.id = current_run_id AND r.status = 'running')";
	static const char offline[] =
		"UPDATE k6_agents SET status = 'offline' WHERE last_seen_at < ?1 AND status <> 'offline' RETURNING host, name";

	if (reap_step(r->store, pointers, 1, err) < 0)
		return -1;
	r->what = "agent";
	return reap_rows(r, offline, limit, n, err);
}

/* Rule four: agents that have been silent for so long that they are deleted, with their runs or
 * without. */
static int delete_agents(
	struct reaping *r, bool keep_runs, int64_t limit, int64_t *n, struct err *err)
{
	static const char agents[] =
		"DELETE FROM k6_agents WHERE status = 'offline' AND last_seen_at < ?1 RETURNING host, name";
	static const char hours[] =
		"SELECT DISTINCT coalesce(target_id, ''), started_at / 3600000 FROM k6_runs WHERE agent_no IN " GONE_AGENTS;

	if ((!keep_runs && dash_store_rollup_freeze(r->store, hours, limit, err) < 0) ||
		let_runs_go(r->store, keep_runs, limit, err) < 0)
		return -1;
	r->what = "agent";
	return reap_rows(r, agents, limit, n, err);
}

int dash_store_reap(struct dash_store *s, const struct dash_store_rules *rules, int64_t now_ms,
	struct dash_store_reaped *out, json_t *changed, struct err *err)
{
	struct reaping r = {.store = s, .changed = changed};

	*out = (struct dash_store_reaped){0};
	if (dash_store_begin(s, err) < 0)
		return -1;
	if (reap_runs(&r, now_ms - rules->run_timeout_ms, &out->runs_timed_out, err) < 0 ||
		reap_agents(&r, now_ms - rules->offline_ms, &out->agents_offline, err) < 0 ||
		delete_agents(&r, rules->keep_runs, now_ms - rules->delete_ms, &out->agents_deleted,
			err) < 0 ||
		dash_store_expire_commands(s, now_ms, err) < 0) {
		dash_store_rollback(s);
		return -1;
	}
	return dash_store_commit(s, err);
}

int dash_store_expire(struct dash_store *s, int64_t before_ms, struct err *err)
{
	static const char hours[] =
		"SELECT DISTINCT coalesce(target_id, ''), started_at / 3600000 FROM (SELECT target_id, started_at FROM"
		" k6_runs WHERE started_at < ?1 AND status <> 'running' ORDER BY started_at LIMIT 2000)";

	int64_t gone = 0;

	/* In small steps, so that no request waits until a year of runs is deleted. */
	if (dash_store_begin(s, err) < 0)
		return -1;
	if (dash_store_rollup_freeze(s, hours, before_ms, err) < 0 ||
		dash_store_count_rows(s,
			"DELETE FROM k6_runs WHERE seq IN (SELECT seq FROM k6_runs WHERE started_at < ?1 AND"
			" status <> 'running' ORDER BY started_at LIMIT 2000)"
			" RETURNING target_no, agent_no, started_at, status",
			before_ms, -1, &gone, err) < 0 ||
		dash_store_commit(s, err) < 0) {
		dash_store_rollback(s);
		return -1;
	}
	return gone > 0;
}
