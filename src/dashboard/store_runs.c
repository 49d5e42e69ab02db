/* SPDX-License-Identifier: MIT */
/* A run is stored once by its id: sending it again changes nothing. */
#include "dashboard/store_runs.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run_json.h"
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

/* A run that has ended stays as it is, unless the reaper had given it up.  Columns: status,
 * reason, and those of dash_store_count_key(). */
static int judge_upsert(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct old_run *o = arg;
	const char *old = db_column_text(st, 0), *reason = db_column_text(st, 1);
	enum run_status status = o->run->run.status;
	bool ended = strcmp(old, run_status_names[RUN_RUNNING]) != 0;
	bool reaped = !strcmp(reason, run_reason_names[RUN_REASON_REAPED]);

	(void)err;
	o->key = dash_store_count_key(st, 2);
	o->out->changed = !ended || (reaped && status != RUN_RUNNING);
	o->out->corrected = reaped && o->out->changed;
	/* The same record once more, after a response that was lost, is accepted. */
	if (!o->out->changed &&
		(strcmp(old, run_status_names[status]) != 0 ||
			o->run->started_ms != sqlite3_column_int64(st, 4)))
		o->out->what = DASH_STORE_IGNORED;
	return 0;
}

/* The numbers of the run's target and agent; they get one if they have none. */
static int find_numbers(
	struct dash_store *s, const struct run *run, struct dash_store_row *row, struct err *err)
{
	const struct dash_store_name t = {
		DASH_STORE_NAME_TARGET, "", run->target_id ? run->target_id : ""};
	const struct dash_store_name a = {
		DASH_STORE_NAME_AGENT, run->host, run->agent ? run->agent : ""};

	if (dash_store_name_no(s, &t, true, &row->target_no, err) == FOUND_ERROR ||
		dash_store_name_no(s, &a, true, &row->agent_no, err) == FOUND_ERROR)
		return -1;
	return 0;
}

/* Returns 1 when it has written, 0 when there is a run of this id and it is not to be replaced,
 * -1 with err. */
static int put_run(struct dash_store *s, bool replace, const struct dash_store_run *r,
	struct dash_store_upserted *out, struct err *err)
{
	struct dash_store_row row = {.started_ms = r->started_ms};
	struct counts_key key = {.day = dash_store_day_of(r->started_ms)};
	_cleanup_free_ char *text = NULL;
	struct sample sample;
	sqlite3_stmt *st;

	if (find_numbers(s, &r->run, &row, err) < 0)
		return -1;
	row.json = text = run_to_text(&r->run, RUN_LIST);
	st = dash_store_stmt(s, dash_store_put_sql(replace), err);
	dash_store_bind_run(st, &r->run, &row);
	if (dash_store_run(s, st, err) < 0)
		return -1;
	if (!sqlite3_changes(s->db))
		return 0;
	sample_of_run(r, &sample);
	key.target = (uint32_t)row.target_no;
	key.agent = (uint32_t)row.agent_no;
	key.status = (uint8_t)r->run.status;
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
	rc = put_run(s, false, run, out, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	st = dash_store_stmt(s,
		"SELECT status, reason, target_no, agent_no, started_at, status FROM k6_runs WHERE id = ?1",
		err);
	db_bind_text(st, 1, run->run.id);
	found = dash_store_one(s, st, judge_upsert, &old, err);
	if (found == NOT_FOUND)
		return dash_store_damaged(s, "the index of run ids has no row for a run", err);
	if (found == FOUND_ERROR)
		return -1;
	if (!out->changed)
		return 0;
	counts_add(s->counts, &old.key, -1);
	return put_run(s, true, run, out, err) < 0 ? -1 : 0;
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

	if (found == FOUND_ERROR)
		err_prefix(err, "run %.100s", db_column_text(st, DASH_STORE_RUN_COLUMN_COUNT - 1));
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
	json_object_set_new(run, RUN_NAME(quantiles), quantiles);
	json_object_set_new(
		run, RUN_NAME(log), dash_store_text_column(st, DASH_STORE_RUN_COLUMN_COUNT + 1));
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
