/* SPDX-License-Identifier: MIT */
/* Runs: taken in once each, and read one by one. */
#include "dashboard/store_priv.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/quantiles.h"
#include "common/run.h"
#include "dashboard/counts.h"

/* What is there already decides: a terminal state is final, but for one that the reaper guessed. */
static void judge_upsert(
	sqlite3_stmt *st, const struct dash_store_run *run, struct dash_store_upserted *out)
{
	const char *old = db_column_text(st, 0), *reason = db_column_text(st, 1);
	const char *status = json_get_text(run->json, "status", "");
	bool old_final = strcmp(old, "running") != 0, reaped = !strcmp(reason, "reaped");

	out->changed = !old_final || (reaped && strcmp(status, "running") != 0);
	out->corrected = reaped && out->changed;
	if (out->changed)
		return;
	/* The same record again, after a lost answer: known, nothing to do. */
	if (!strcmp(old, status) && run->started_ms == sqlite3_column_int64(st, 2))
		return;
	out->what = DASH_STORE_IGNORED;
}

static void bind_number(sqlite3_stmt *st, int index, const json_t *v)
{
	if (json_is_number(v))
		sqlite3_bind_double(st, index, json_number_value(v));
	else
		sqlite3_bind_null(st, index);
}

#define PUT_RUN \
	" INTO k6_runs (id, agent, host, target_id, status, reason, started_at, planned_ms," \
	" p95_ms, error_rate, lag_ms, error_message, json, quantiles, log, http_reqs, answered, rps," \
	" target_no, agent_no) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17," \
	" ?18, ?19, ?20)"

/* sql: one that leaves a run of that id alone, or one that takes its place.  1: done, 0: there is one. */
static int put_run(struct dash_store *s, const char *sql, const struct dash_store_run *r,
	struct dash_store_upserted *out, struct err *err)
{
	const json_t *run = r->json;
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);
	const json_t *metrics = json_object_get(run, "metrics");
	_cleanup_free_ char *text = NULL;
	struct counts_key key;
	int64_t target = dash_store_name_no(
		s, DASH_STORE_NAME_TARGET, "", json_get_text(run, "targetId", ""), true, err);
	int64_t agent = target < 0
		? -1
		: dash_store_name_no(s, DASH_STORE_NAME_AGENT, json_get_text(run, "host", ""),
			  json_get_text(run, "agent", ""), true, err);

	if (!st || agent < 0)
		return -1;
	text = json_compact(run);
	db_bind_text(st, 1, json_get_text(run, "id", ""));
	db_bind_text(st, 2, json_get_text(run, "agent", NULL));
	db_bind_text(st, 3, json_get_text(run, "host", ""));
	db_bind_text(st, 4, json_get_text(run, "targetId", NULL));
	db_bind_text(st, 5, json_get_text(run, "status", ""));
	db_bind_text(st, 6, json_get_text(run, "reason", NULL));
	sqlite3_bind_int64(st, 7, r->started_ms);
	sqlite3_bind_int64(st, 8, json_get_int(run, "plannedMs", 0));
	bind_number(st, 9, json_object_get(metrics, "p95_ms"));
	bind_number(st, 10, json_object_get(metrics, "error_rate"));
	bind_number(st, 11, json_object_get(run, "lagMs"));
	db_bind_text(st, 12, json_get_text(run, "errorMessage", NULL));
	db_bind_text(st, 13, text);
	if (r->quantiles)
		sqlite3_bind_blob(st, 14, r->quantiles, QUANTILES * sizeof(double), SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 14);
	db_bind_text(st, 15, json_string_value(r->log));
	bind_number(st, 16, json_object_get(metrics, "http_reqs"));
	bind_number(st, 17, json_object_get(metrics, "http_reqs_answered"));
	bind_number(st, 18, json_object_get(metrics, "rps"));
	sqlite3_bind_int64(st, 19, target);
	sqlite3_bind_int64(st, 20, agent);
	if (db_run(st, err) < 0)
		return -1;
	if (!sqlite3_changes(s->db))
		return 0;
	key = (struct counts_key){.target = (uint32_t)target,
		.agent = (uint32_t)agent,
		.day = dash_store_day_of(r->started_ms),
		.status = (uint8_t)run_find_name(
			run_status_names, RUN_STATUS_COUNT, json_get_text(run, "status", ""))};
	counts_add(s->counts, &key, 1);
	out->text = steal_ptr(text);
	return dash_store_rollup_touch(s, r, out->corrected, err) < 0 ? -1 : 1;
}

int dash_store_upsert_run(struct dash_store *s, const struct dash_store_run *run,
	struct dash_store_upserted *out, struct err *err)
{
	struct counts_key old = {0};
	sqlite3_stmt *st;
	int rc;

	*out = (struct dash_store_upserted){.what = DASH_STORE_ACCEPTED, .changed = true};
	/* As a rule it is new: only one that is not costs a second look. */
	rc = put_run(s, "INSERT OR IGNORE" PUT_RUN, run, out, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	st = dash_store_stmt(s,
		"SELECT status, reason, started_at, target_no, agent_no, started_at, status FROM k6_runs WHERE id = ?1",
		err);
	if (!st)
		return -1;
	db_bind_text(st, 1, json_get_text(run->json, "id", ""));
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		judge_upsert(st, run, out);
		old = dash_store_count_key(st, 3);
	}
	sqlite3_reset(st);
	if (rc != SQLITE_ROW)
		return dash_store_fail(s, err);
	if (!out->changed)
		return 0;
	counts_add(s->counts, &old, -1);
	return put_run(s, "INSERT OR REPLACE" PUT_RUN, run, out, err) < 0 ? -1 : 0;
}

/* Columns: json, status, reason, error_message, agent.  The columns are what the reaper may have
 * changed since the object was stored. */
json_t *dash_store_run_row(sqlite3_stmt *st)
{
	json_t *run = json_loads(db_column_text(st, 0), 0, NULL);

	json_object_set_new(run, "status", dash_store_text_column(st, 1));
	json_object_set_new(run, "reason", dash_store_text_column(st, 2));
	json_object_set_new(run, "errorMessage", dash_store_text_column(st, 3));
	json_object_set_new(run, "agent", dash_store_text_column(st, 4));
	json_object_del(run, "startedAtMs");
	return run;
}

static json_t *real_column(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL
		? json_null()
		: json_real(sqlite3_column_double(st, column));
}

json_t *dash_store_recent_runs(
	struct dash_store *s, const char *target_id, int limit, struct err *err)
{
	int64_t target = dash_store_name_no(s, DASH_STORE_NAME_TARGET, "", target_id, false, err);
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT id, status, started_at, p95_ms, error_rate FROM k6_runs INDEXED BY k6_runs_target"
		" WHERE target_no = ?1 ORDER BY started_at DESC, seq DESC LIMIT ?2",
		err);
	json_t *list = json_array();

	if (!st || target <= 0)
		return list;
	sqlite3_bind_int64(st, 1, target);
	sqlite3_bind_int(st, 2, limit);
	while (sqlite3_step(st) == SQLITE_ROW)
		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", dash_store_text_column(st, 0),
				"status", dash_store_text_column(st, 1), "startedAt",
				json_time(sqlite3_column_int64(st, 2)), "p95_ms",
				real_column(st, 3), "error_rate", real_column(st, 4)));
	sqlite3_reset(st);
	return list;
}

json_t *dash_store_get_run_row(struct dash_store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT json, status, reason, error_message, agent FROM k6_runs WHERE id = ?1",
		err);
	json_t *run = NULL;

	if (!st)
		return NULL;
	db_bind_text(st, 1, id);
	if (sqlite3_step(st) == SQLITE_ROW)
		run = dash_store_run_row(st);
	sqlite3_reset(st);
	return run;
}

json_t *dash_store_get_run(struct dash_store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT json, status, reason, error_message, agent, quantiles, log FROM k6_runs WHERE id = ?1",
		err);
	json_t *run = NULL;

	if (!st)
		return NULL;
	db_bind_text(st, 1, id);
	if (dash_store_step_row(s, st, err)) {
		run = dash_store_run_row(st);
		json_object_set_new(run, "latencyQuantiles", dash_store_quantiles_column(st, 5));
		json_object_set_new(run, "log", dash_store_text_column(st, 6));
	}
	sqlite3_reset(st);
	return run;
}
