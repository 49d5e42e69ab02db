/* SPDX-License-Identifier: MIT */
/* What is drawn: steps of whole hours come from rollups, shorter ones, and hours that have changed since, from
 * their runs. */
#include "dashboard/slice.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"

struct hours {
	int64_t *list; /* ascending: those that must be read from their runs */
	size_t count;
};

static struct hours find_dirty_hours(
	struct dash_store *s, const char *target_id, int64_t from, int64_t to, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT hour FROM k6_rollup_dirty WHERE hour >= ?1 AND hour < ?2 AND target_id = ?3 ORDER BY hour",
		err);
	struct hours h = {0};

	if (!st)
		return h;
	sqlite3_bind_int64(st, 1, from);
	sqlite3_bind_int64(st, 2, to);
	db_bind_text(st, 3, target_id);
	while (sqlite3_step(st) == SQLITE_ROW) {
		h.list = x_realloc(h.list, h.count + 1, sizeof(*h.list));
		h.list[h.count++] = sqlite3_column_int64(st, 0);
	}
	sqlite3_reset(st);
	return h;
}

static int add_runs(struct dash_store *s, const char *target_id, int64_t from_ms, int64_t to_ms,
	struct slice *sl, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " SLICE_SAMPLE_COLUMNS " FROM k6_runs WHERE target_no = " SLICE_TARGET_NO
		" AND started_at >= ?2 AND started_at < ?3 AND status <> 'running'",
		err);
	struct dash_store_sample sample;

	if (!st)
		return -1;
	db_bind_text(st, 1, target_id);
	sqlite3_bind_int64(st, 2, from_ms);
	sqlite3_bind_int64(st, 3, to_ms);
	while (sqlite3_step(st) == SQLITE_ROW) {
		slice_read_sample(st, &sample);
		slice_add(sl, &sample);
	}
	sqlite3_reset(st);
	return 0;
}

/* Steps of whole hours: hours that have not changed from their rollups. */
static int add_hours(struct dash_store *s, const char *target_id, int64_t from_ms, int64_t to_ms,
	struct slice *sl, const struct hours *dirty, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " SLICE_ROLLUP_COLUMNS
		" FROM k6_rollups WHERE target_id = ?1 AND hour >= ?2 AND hour < ?3"
		" AND NOT EXISTS (SELECT 1 FROM k6_rollup_dirty d WHERE d.hour = k6_rollups.hour AND d.target_id = ?1)",
		err);
	int rc = 0;

	if (!st)
		return -1;
	db_bind_text(st, 1, target_id);
	sqlite3_bind_int64(st, 2, slice_hour_of(from_ms));
	sqlite3_bind_int64(st, 3, slice_hour_of(to_ms));
	while (sqlite3_step(st) == SQLITE_ROW)
		slice_add_rollup(sl, st);
	sqlite3_reset(st);
	for (size_t i = 0; i < dirty->count && rc == 0; i++) {
		int64_t start = dirty->list[i] * SLICE_HOUR_MS;

		if (start >= from_ms && start < to_ms)
			rc = add_runs(s, target_id, start, start + SLICE_HOUR_MS, sl, err);
	}
	return rc;
}

json_t *dash_store_series(struct dash_store *s, const char *target_id, int64_t from_ms,
	int64_t to_ms, int64_t step_s, struct err *err)
{
	json_t *points = json_array();
	int64_t step_ms = step_s * 1000;
	bool by_hours = step_ms % SLICE_HOUR_MS == 0;
	struct hours dirty = {0};
	struct slice sl = {0};
	int rc = 0;

	err->msg[0] = '\0';
	if (by_hours) {
		from_ms -= from_ms % SLICE_HOUR_MS;
		dirty = find_dirty_hours(s, target_id, slice_hour_of(from_ms),
			slice_hour_of(to_ms) + step_s / 3600 + 1, err);
	}
	for (int64_t t = from_ms; t < to_ms && rc == 0; t += step_ms) {
		slice_init(&sl);
		rc = by_hours ? add_hours(s, target_id, t, t + step_ms, &sl, &dirty, err)
			      : add_runs(s, target_id, t, t + step_ms < to_ms ? t + step_ms : to_ms,
					&sl, err);
		json_array_append_new(points, slice_to_json(&sl, t));
	}
	quantiles_pool_clear(&sl.pool);
	free(dirty.list);
	if (rc < 0 || err->msg[0]) {
		json_decref(points);
		return NULL;
	}
	return json_pack("{s:I, s:o}", "step", (json_int_t)step_s, "points", points);
}

int dash_store_each_sample(struct dash_store *s, int64_t since_ms, dash_store_sample_fn *each,
	void *arg, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " SLICE_SAMPLE_COLUMNS
		" FROM k6_runs WHERE started_at >= ?1 AND status <> 'running'"
		" ORDER BY started_at",
		err);
	struct dash_store_sample sample;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, since_ms);
	while (sqlite3_step(st) == SQLITE_ROW) {
		slice_read_sample(st, &sample);
		each(arg, &sample);
	}
	sqlite3_reset(st);
	return 0;
}

int dash_store_each_overdue(struct dash_store *s, int64_t now_ms, int64_t run_timeout_ms,
	dash_store_sample_fn *each, void *arg, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " SLICE_SAMPLE_COLUMNS
		" FROM k6_runs WHERE status = 'running' AND started_at + planned_ms < ?1",
		err);
	struct dash_store_sample sample;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, now_ms - run_timeout_ms);
	while (sqlite3_step(st) == SQLITE_ROW) {
		slice_read_sample(st, &sample);
		sample.status = "error";
		each(arg, &sample);
	}
	sqlite3_reset(st);
	return 0;
}
