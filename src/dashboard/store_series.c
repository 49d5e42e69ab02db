/* SPDX-License-Identifier: MIT */
/* Steps of whole hours come from rollups; shorter steps, and hours that have changed since, come
 * from their runs. */
#include "dashboard/store_series.h"

#include <stdlib.h>

#include "common/mem.h"
#include "common/run.h"
#include "dashboard/slice.h"
#include "dashboard/store_priv.h"
#include "dashboard/store_samples.h"

/* Ascending hours of the series that must be read from their runs. */
struct dirty_hours {
	int64_t *list;
	size_t count;
};

/* A series while it is read. */
struct reading {
	struct dash_store *store;
	const char *target_id;
	struct dirty_hours dirty;
	struct slice slice; /* the present point */
};

static int add_dirty_hour(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct dirty_hours *h = arg;

	(void)err;
	h->list = x_realloc(h->list, h->count + 1, sizeof(*h->list));
	h->list[h->count++] = sqlite3_column_int64(st, 0);
	return 0;
}

static int find_dirty_hours(struct reading *r, int64_t from, int64_t to, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(r->store,
		"SELECT hour FROM k6_rollup_dirty WHERE hour >= ?1 AND hour < ?2 AND target_id = ?3 ORDER BY hour",
		err);

	sqlite3_bind_int64(st, 1, from);
	sqlite3_bind_int64(st, 2, to);
	db_bind_text(st, 3, r->target_id);
	return dash_store_each(r->store, st, add_dirty_hour, &r->dirty, err);
}

static int add_run(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct sample sample;

	if (dash_store_read_sample(st, &sample, err) < 0)
		return -1;
	slice_add(arg, &sample);
	return 0;
}

static int add_runs(struct reading *r, int64_t from_ms, int64_t to_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(r->store,
		"SELECT " DASH_STORE_SAMPLE_COLUMNS
		" FROM k6_runs WHERE target_no = " DASH_STORE_TARGET_NO
		" AND started_at >= ?2 AND started_at < ?3 AND status <> 'running'",
		err);

	db_bind_text(st, 1, r->target_id);
	sqlite3_bind_int64(st, 2, from_ms);
	sqlite3_bind_int64(st, 3, to_ms);
	return dash_store_each(r->store, st, add_run, &r->slice, err);
}

static int add_rollup(sqlite3_stmt *st, void *arg, struct err *err)
{
	return dash_store_add_rollup(st, arg, err);
}

/* A step of whole hours: the rollups of hours that have not changed, and the runs of all others. */
static int add_hours(struct reading *r, int64_t from_ms, int64_t to_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(r->store,
		"SELECT " DASH_STORE_ROLLUP_COLUMNS
		" FROM k6_rollups WHERE target_id = ?1 AND hour >= ?2 AND hour < ?3"
		" AND NOT EXISTS (SELECT 1 FROM k6_rollup_dirty d WHERE d.hour = k6_rollups.hour AND d.target_id = ?1)",
		err);
	int rc;

	db_bind_text(st, 1, r->target_id);
	sqlite3_bind_int64(st, 2, slice_hour_of(from_ms));
	sqlite3_bind_int64(st, 3, slice_hour_of(to_ms));
	rc = dash_store_each(r->store, st, add_rollup, &r->slice, err);
	for (size_t i = 0; i < r->dirty.count && rc == 0; i++) {
		int64_t start = r->dirty.list[i] * HOUR_MS;

		if (start >= from_ms && start < to_ms)
			rc = add_runs(r, start, start + HOUR_MS, err);
	}
	return rc;
}

static int add_points(
	struct reading *r, const struct dash_store_range *range, json_t *points, struct err *err)
{
	bool by_hours = range->step_ms % HOUR_MS == 0;
	int64_t from_ms = range->from_ms;

	if (by_hours) {
		from_ms -= from_ms % HOUR_MS;
		if (find_dirty_hours(r, slice_hour_of(from_ms),
			    slice_hour_of(range->to_ms) + range->step_ms / HOUR_MS + 1, err) < 0)
			return -1;
	}
	for (int64_t t = from_ms; t < range->to_ms; t += range->step_ms) {
		int64_t end = t + range->step_ms;

		slice_init(&r->slice);
		if ((by_hours ? add_hours(r, t, end, err)
			      : add_runs(r, t, end < range->to_ms ? end : range->to_ms, err)) < 0)
			return -1;
		json_array_append_new(points, slice_to_json(&r->slice, t));
	}
	return 0;
}

int dash_store_series(struct dash_store *s, const char *target_id,
	const struct dash_store_range *range, json_t **series, struct err *err)
{
	struct reading r = {.store = s, .target_id = target_id};
	json_t *points = json_array();
	int rc = add_points(&r, range, points, err);

	quantiles_pool_clear(&r.slice.pool);
	free(r.dirty.list);
	if (rc < 0) {
		json_decref(points);
		return -1;
	}
	*series = json_pack(
		"{s:I, s:o}", "step", (json_int_t)(range->step_ms / 1000), "points", points);
	return 0;
}

/* --- runs one by one -------------------------------------------------------------------- */

struct caller {
	sample_fn *each;
	void *arg;
	const char *status; /* replaces the status of each run; NULL: keep it */
};

static int call_each(sqlite3_stmt *st, void *arg, struct err *err)
{
	const struct caller *c = arg;
	struct sample sample;

	if (dash_store_read_sample(st, &sample, err) < 0)
		return -1;
	if (c->status)
		sample.status = c->status;
	c->each(c->arg, &sample);
	return 0;
}

int dash_store_each_sample(
	struct dash_store *s, int64_t since_ms, sample_fn *each, void *arg, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " DASH_STORE_SAMPLE_COLUMNS
		" FROM k6_runs WHERE started_at >= ?1 AND status <> 'running'"
		" ORDER BY started_at",
		err);

	sqlite3_bind_int64(st, 1, since_ms);
	return dash_store_each(s, st, call_each, &(struct caller){each, arg, NULL}, err);
}

int dash_store_each_overdue(struct dash_store *s, int64_t now_ms, int64_t run_timeout_ms,
	sample_fn *each, void *arg, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " DASH_STORE_SAMPLE_COLUMNS
		" FROM k6_runs WHERE status = 'running' AND started_at + planned_ms < ?1",
		err);

	sqlite3_bind_int64(st, 1, now_ms - run_timeout_ms);
	return dash_store_each(
		s, st, call_each, &(struct caller){each, arg, run_status_names[RUN_ERROR]}, err);
}
