/* SPDX-License-Identifier: MIT */
/* The statements that write a run are made from the table in common/run.h. */
#include "dashboard/store_run_row.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

json_t *dash_store_run_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	json_t *run = dash_store_json_column(st, 0, err);
	int column = 1;

	(void)arg;
	if (!run) {
		err_prefix(err, "run %.100s", db_column_text(st, DASH_STORE_RUN_COLUMN_COUNT - 1));
		return NULL;
	}
	/* The reaper may have changed these columns since the object was stored. */
	for (size_t i = 0; i < run_field_count; i++) {
		if (run_fields[i].column_wins)
			json_object_set_new(
				run, run_fields[i].name, dash_store_text_column(st, column++));
	}
	json_object_del(run, "startedAtMs");
	return run;
}

/* --- writing ------------------------------------------------------------------------------ */

static void bind_text(sqlite3_stmt *st, int index, const struct run_field *f, const struct run *r)
{
	db_bind_text(st, index, *(char **)run_member(f, r));
}

static void bind_status(sqlite3_stmt *st, int index, const struct run_field *f, const struct run *r)
{
	(void)f;
	db_bind_text(st, index, run_status_names[r->status]);
}

static void bind_reason(sqlite3_stmt *st, int index, const struct run_field *f, const struct run *r)
{
	(void)f;
	db_bind_text(st, index, r->reason ? run_reason_names[r->reason] : NULL);
}

static void bind_time(sqlite3_stmt *st, int index, const struct run_field *f, const struct run *r)
{
	int64_t ms = *(int64_t *)run_member(f, r);

	if (ms)
		sqlite3_bind_int64(st, index, ms);
	else
		sqlite3_bind_null(st, index);
}

static void bind_integer(
	sqlite3_stmt *st, int index, const struct run_field *f, const struct run *r)
{
	int64_t v = *(int64_t *)run_member(f, r);

	if (v != RUN_NONE || f->column_not_null)
		sqlite3_bind_int64(st, index, v == RUN_NONE ? 0 : v);
	else
		sqlite3_bind_null(st, index);
}

static void bind_real(sqlite3_stmt *st, int index, const struct run_field *f, const struct run *r)
{
	double v = *(double *)run_member(f, r);

	if (isnan(v))
		sqlite3_bind_null(st, index);
	else
		sqlite3_bind_double(st, index, v);
}

static void bind_quantiles(
	sqlite3_stmt *st, int index, const struct run_field *f, const struct run *r)
{
	const double *q = *(double **)run_member(f, r);

	if (q)
		sqlite3_bind_blob(st, index, q, QUANTILES * sizeof(*q), SQLITE_STATIC);
	else
		sqlite3_bind_null(st, index);
}

/* NULL: a field of this kind cannot have a column. */
static void (*const binders[RUN_KIND_COUNT])(
	sqlite3_stmt *st, int index, const struct run_field *f, const struct run *r) = {
	[RUN_KIND_ID] = bind_text,
	[RUN_KIND_TEXT] = bind_text,
	[RUN_KIND_STATUS] = bind_status,
	[RUN_KIND_REASON] = bind_reason,
	[RUN_KIND_TIME] = bind_time,
	[RUN_KIND_INTEGER] = bind_integer,
	[RUN_KIND_REAL] = bind_real,
	[RUN_KIND_QUANTILES] = bind_quantiles,
	[RUN_KIND_LOG] = bind_text,
};

/* The statement that puts a row; the caller frees it. */
static char *make_put_sql(const char *how)
{
	_cleanup_free_ char *names = x_strdup(""), *values = x_strdup("");
	int index = 5;

	for (size_t i = 0; i < run_field_count; i++) {
		_cleanup_free_ char *names_before = NULL, *values_before = NULL;

		if (!run_fields[i].column)
			continue;
		names_before = steal_ptr(names);
		values_before = steal_ptr(values);
		names = x_asprintf("%s, %s", names_before, run_fields[i].column);
		values = x_asprintf("%s, ?%d", values_before, index++);
	}
	return x_asprintf(
		"%s INTO k6_runs (started_at, target_no, agent_no, json%s) VALUES (?1, ?2, ?3, ?4%s)",
		how, names, values);
}

const char *dash_store_put_sql(bool replace)
{
	static char *texts[2];

	if (!texts[replace])
		texts[replace] = make_put_sql(replace ? "INSERT OR REPLACE" : "INSERT OR IGNORE");
	return texts[replace];
}

void dash_store_bind_run(sqlite3_stmt *st, const struct run *r, const struct dash_store_row *row)
{
	int index = 5;

	sqlite3_bind_int64(st, 1, row->started_ms);
	sqlite3_bind_int64(st, 2, row->target_no);
	sqlite3_bind_int64(st, 3, row->agent_no);
	db_bind_text(st, 4, row->json);
	for (size_t i = 0; i < run_field_count; i++) {
		if (run_fields[i].column)
			binders[run_fields[i].kind](st, index++, &run_fields[i], r);
	}
}
