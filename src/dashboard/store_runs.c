/* SPDX-License-Identifier: MIT */
#include "dashboard/store_runs.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run.h"
#include "dashboard/store_counts.h"
#include "dashboard/store_names.h"
#include "dashboard/store_priv.h"
#include "dashboard/store_rollup.h"
#include "dashboard/store_run_row.h"
#include "dashboard/store_samples.h"

/* The row of a run that is there already. */
struct old_run {
	const struct dash_store_run *run; /* the new one */
	struct dash_store_upserted *out;
	struct counts_key key;
};

/* A run that has ended stays as it is, unless the reaper had given it up.  Columns: status, reason, and those of
 * dash_store_count_key(). */
static int judge_upsert(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct old_run *o = arg;
	const char *old = db_column_text(st, 0), *reason = db_column_text(st, 1);
	const char *status = json_get_text(o->run->json, "status", "");
	bool ended = strcmp(old, "running") != 0, reaped = !strcmp(reason, "reaped");

	(void)err;
	o->key = dash_store_count_key(st, 2);
	o->out->changed = !ended || (reaped && strcmp(status, "running") != 0);
	o->out->corrected = reaped && o->out->changed;
	/* The same record once more, after a response that was lost, is accepted. */
	if (!o->out->changed &&
		(strcmp(old, status) != 0 || o->run->started_ms != sqlite3_column_int64(st, 4)))
		o->out->what = DASH_STORE_IGNORED;
	return 0;
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

static void bind_run(sqlite3_stmt *st, const struct dash_store_run *r, const char *text)
{
	const json_t *run = r->json, *metrics = json_object_get(run, "metrics");

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
}

/* The numbers of the run's target and agent; they get one if they have none. */
static int find_numbers(
	struct dash_store *s, const json_t *run, int64_t *target, int64_t *agent, struct err *err)
{
	const struct dash_store_name t = {
		DASH_STORE_NAME_TARGET, "", json_get_text(run, "targetId", "")};
	const struct dash_store_name a = {DASH_STORE_NAME_AGENT, json_get_text(run, "host", ""),
		json_get_text(run, "agent", "")};

	if (dash_store_name_no(s, &t, true, target, err) == FOUND_ERROR ||
		dash_store_name_no(s, &a, true, agent, err) == FOUND_ERROR)
		return -1;
	return 0;
}

/* sql leaves a run of this id alone, or replaces it.  Returns 1 when it has written, 0 when there is such a run, -1
 * with err. */
static int put_run(struct dash_store *s, const char *sql, const struct dash_store_run *r,
	struct dash_store_upserted *out, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct counts_key key = {.day = dash_store_day_of(r->started_ms)};
	int64_t target, agent;
	struct sample sample;
	sqlite3_stmt *st;

	if (find_numbers(s, r->json, &target, &agent, err) < 0)
		return -1;
	st = dash_store_stmt(s, sql, err);
	text = json_compact(r->json);
	bind_run(st, r, text);
	sqlite3_bind_int64(st, 19, target);
	sqlite3_bind_int64(st, 20, agent);
	if (dash_store_run(s, st, err) < 0)
		return -1;
	if (!sqlite3_changes(s->db))
		return 0;
	sample_of_run(r, &sample);
	key.target = (uint32_t)target;
	key.agent = (uint32_t)agent;
	key.status = (uint8_t)run_find_name(run_status_names, RUN_STATUS_COUNT, sample.status);
	counts_add(s->counts, &key, 1);
	out->text = steal_ptr(text);
	return dash_store_rollup_touch(s, &sample, out->corrected, err) < 0 ? -1 : 1;
}

int dash_store_upsert_run(struct dash_store *s, const struct dash_store_run *run,
	struct dash_store_upserted *out, struct err *err)
{
	struct old_run old = {.run = run, .out = out};
	enum found found;
	sqlite3_stmt *st;
	int rc;

	*out = (struct dash_store_upserted){.what = DASH_STORE_ACCEPTED, .changed = true};
	/* Nearly every run is new, so a second look is taken only at one that is not. */
	rc = put_run(s, "INSERT OR IGNORE" PUT_RUN, run, out, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	st = dash_store_stmt(s,
		"SELECT status, reason, target_no, agent_no, started_at, status FROM k6_runs WHERE id = ?1",
		err);
	db_bind_text(st, 1, json_get_text(run->json, "id", ""));
	found = dash_store_one(s, st, judge_upsert, &old, err);
	if (found == NOT_FOUND)
		return err_code_set(err, ERR_CORRUPT, "the index of run ids has no row for a run");
	if (found == FOUND_ERROR)
		return -1;
	if (!out->changed)
		return 0;
	counts_add(s->counts, &old.key, -1);
	return put_run(s, "INSERT OR REPLACE" PUT_RUN, run, out, err) < 0 ? -1 : 0;
}

/* --- reading ------------------------------------------------------------------------------ */

static json_t *recent_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", dash_store_text_column(st, 0), "status",
		dash_store_text_column(st, 1), "startedAt", json_time(sqlite3_column_int64(st, 2)),
		"p95_ms", dash_store_real_column(st, 3), "error_rate",
		dash_store_real_column(st, 4));
}

int dash_store_recent_runs(
	struct dash_store *s, const char *target_id, int limit, json_t **list, struct err *err)
{
	const struct dash_store_name name = {DASH_STORE_NAME_TARGET, "", target_id};
	int64_t target = 0; /* no run has this number */
	sqlite3_stmt *st;

	if (dash_store_name_no(s, &name, false, &target, err) == FOUND_ERROR)
		return -1;
	st = dash_store_stmt(s,
		"SELECT id, status, started_at, p95_ms, error_rate FROM k6_runs INDEXED BY k6_runs_target"
		" WHERE target_no = ?1 ORDER BY started_at DESC, seq DESC LIMIT ?2",
		err);
	sqlite3_bind_int64(st, 1, target);
	sqlite3_bind_int(st, 2, limit);
	return dash_store_list(s, st, recent_row, NULL, list, err);
}

enum found dash_store_get_run_row(
	struct dash_store *s, const char *id, json_t **run, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT " DASH_STORE_RUN_COLUMNS " FROM k6_runs WHERE id = ?1", err);

	db_bind_text(st, 1, id);
	return dash_store_object(s, st, dash_store_run_row, NULL, run, err);
}

static json_t *quantiles_column(sqlite3_stmt *st, int column, struct err *err)
{
	double values[QUANTILES];
	enum found found = dash_store_read_quantiles(st, column, values, err);
	json_t *list;

	if (found != FOUND)
		return found == FOUND_ERROR ? NULL : json_null();
	list = json_array();
	for (int i = 0; i < QUANTILES; i++)
		json_array_append_new(list, json_real(values[i]));
	return list;
}

/* Columns: those of dash_store_run_row(), quantiles, log. */
static json_t *whole_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	json_t *run = dash_store_run_row(st, arg, err);
	json_t *quantiles = run ? quantiles_column(st, DASH_STORE_RUN_COLUMN_COUNT, err) : NULL;

	if (!quantiles) {
		json_decref(run);
		return NULL;
	}
	json_object_set_new(run, "latencyQuantiles", quantiles);
	json_object_set_new(
		run, "log", dash_store_text_column(st, DASH_STORE_RUN_COLUMN_COUNT + 1));
	return run;
}

enum found dash_store_get_run(struct dash_store *s, const char *id, json_t **run, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " DASH_STORE_RUN_COLUMNS ", quantiles, log FROM k6_runs WHERE id = ?1",
		err);

	db_bind_text(st, 1, id);
	return dash_store_object(s, st, whole_row, NULL, run, err);
}
