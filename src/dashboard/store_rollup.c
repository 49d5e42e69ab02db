/* SPDX-License-Identifier: MIT */
/* Hourly rollups of each target.  An hour that is over and has changed is read again from its runs, a thousand a
 * step; once runs of it have been deleted it is frozen, and what still comes is added to it. */
#include "dashboard/slice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"

#define CHUNK_RUNS 1000
#define HOUR_COST 20 /* of an hour without runs, in runs */

struct rollup_job {
	char *target_id;
	int64_t hour;
	int64_t after_ms; /* where the last step stopped */
	int64_t after_seq;
	int last_chunk; /* runs that the last step has read */
	bool stale;     /* a run of it has changed since */
	struct slice slice;
};

static int put_rollup(struct dash_store *s, const char *target_id, int64_t hour, struct slice *sl,
	bool frozen, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT OR REPLACE INTO k6_rollups VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
		err);
	unsigned char digest[QUANTILES_PACKED_MAX];
	size_t len = quantiles_pool_pack(&sl->pool, digest);

	if (!st)
		return -1;
	db_bind_text(st, 1, target_id);
	sqlite3_bind_int64(st, 2, hour);
	sqlite3_bind_int64(st, 3, sl->runs);
	sqlite3_bind_int64(st, 4, sl->success);
	sqlite3_bind_int64(st, 5, sl->failed);
	sqlite3_bind_int64(st, 6, sl->error);
	sqlite3_bind_double(st, 7, sl->http_reqs);
	sqlite3_bind_double(st, 8, sl->failed_reqs);
	sqlite3_bind_double(st, 9, sl->known_reqs);
	sqlite3_bind_double(st, 10, sl->timed_reqs);
	sqlite3_bind_double(st, 11, sl->run_s);
	if (isnan(sl->worst_p95))
		sqlite3_bind_null(st, 12);
	else
		sqlite3_bind_double(st, 12, sl->worst_p95);
	if (len)
		sqlite3_bind_blob(st, 13, digest, (int)len, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 13);
	sqlite3_bind_int(st, 14, frozen);
	return db_run(st, err);
}

/* 1: there is one, and it is in sl; 0: none. */
static int get_rollup(struct dash_store *s, const char *target_id, int64_t hour, struct slice *sl,
	bool *frozen, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " SLICE_ROLLUP_COLUMNS
		", frozen FROM k6_rollups WHERE target_id = ?1 AND hour = ?2",
		err);
	int rc;

	if (!st)
		return -1;
	slice_init(sl);
	db_bind_text(st, 1, target_id);
	sqlite3_bind_int64(st, 2, hour);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		slice_add_rollup(sl, st);
		*frozen = sqlite3_column_int(st, 12) != 0;
	}
	sqlite3_reset(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return err_set(err, "%s", sqlite3_errmsg(s->db));
	return rc == SQLITE_ROW;
}

static int set_dirty(
	struct dash_store *s, const char *sql, const char *target_id, int64_t hour, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, hour);
	db_bind_text(st, 2, target_id);
	return db_run(st, err);
}

static const char mark_dirty[] = "INSERT OR IGNORE INTO k6_rollup_dirty VALUES (?1, ?2)";
static const char mark_clean[] = "DELETE FROM k6_rollup_dirty WHERE hour = ?1 AND target_id = ?2";

static double metric(const json_t *run, const char *name)
{
	const json_t *v = json_object_get(json_object_get(run, "metrics"), name);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

void dash_store_sample_of(const struct dash_store_run *run, struct dash_store_sample *out)
{
	*out = (struct dash_store_sample){
		.started_ms = run->started_ms,
		.target_id = json_get_text(run->json, "targetId", ""),
		.status = json_get_text(run->json, "status", ""),
		.http_reqs = metric(run->json, "http_reqs"),
		.answered = metric(run->json, "http_reqs_answered"),
		.rps = metric(run->json, "rps"),
		.error_rate = metric(run->json, "error_rate"),
		.p95_ms = metric(run->json, "p95_ms"),
		.has_quantiles = run->quantiles,
	};
	if (run->quantiles)
		memcpy(out->quantiles, run->quantiles, sizeof(out->quantiles));
}

static bool is_marked(const struct dash_store *s, const char *target_id, int64_t hour)
{
	for (size_t i = 0; i < s->mark_count && i < DASH_STORE_MARKS_KEPT; i++) {
		if (s->marks[i].hour == hour && !strcmp(s->marks[i].target_id, target_id))
			return true;
	}
	return false;
}

static void remember_mark(struct dash_store *s, const char *target_id, int64_t hour)
{
	struct mark *m = &s->marks[s->mark_count % DASH_STORE_MARKS_KEPT];

	if (strlen(target_id) >= sizeof(m->target_id))
		return;
	s->mark_count++;
	m->hour = hour;
	memcpy(m->target_id, target_id, strlen(target_id) + 1);
}

int dash_store_rollup_touch(
	struct dash_store *s, const struct dash_store_run *run, bool corrected, struct err *err)
{
	struct slice sl = {0};
	struct dash_store_sample sample;
	int64_t hour = slice_hour_of(run->started_ms);
	bool frozen = false;
	int known_here, rc;

	dash_store_sample_of(run, &sample);
	if (!strcmp(sample.status, "running"))
		return 0;
	if (s->job && s->job->hour == hour && !strcmp(s->job->target_id, sample.target_id))
		s->job->stale = true;
	if (is_marked(s, sample.target_id, hour))
		return 0;
	known_here = get_rollup(s, sample.target_id, hour, &sl, &frozen, err);
	if (known_here < 0) {
		rc = -1;
	} else if (frozen) {
		/* What the reaper had guessed counted as a run that failed. */
		sl.runs -= corrected;
		sl.error -= corrected;
		slice_add(&sl, &sample);
		rc = put_rollup(s, sample.target_id, hour, &sl, true, err);
	} else {
		rc = set_dirty(s, mark_dirty, sample.target_id, hour, err);
		remember_mark(s, sample.target_id, hour);
	}
	quantiles_pool_clear(&sl.pool);
	return rc;
}

void dash_store_rollup_free(struct dash_store *s)
{
	if (!s->job)
		return;
	quantiles_pool_clear(&s->job->slice.pool);
	free(s->job->target_id);
	free(s->job);
	s->job = NULL;
}

static void begin_job(struct dash_store *s, const char *target_id, int64_t hour)
{
	s->job = x_calloc(1, sizeof(*s->job));
	s->job->target_id = x_strdup(target_id);
	s->job->hour = hour;
	s->job->after_ms = hour * SLICE_HOUR_MS - 1;
	slice_init(&s->job->slice);
}

/* Takes in up to so many runs.  1: there are more, 0: that was all. */
static int read_chunk(struct dash_store *s, int limit, struct err *err)
{
	struct rollup_job *job = s->job;
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " SLICE_SAMPLE_COLUMNS " FROM k6_runs WHERE target_no = " SLICE_TARGET_NO
		" AND (started_at, seq) > (?2, ?3) AND started_at < ?4 AND status <> 'running'"
		" ORDER BY started_at, seq LIMIT ?5",
		err);
	struct dash_store_sample sample;
	int n = 0, rc;

	if (!st)
		return -1;
	db_bind_text(st, 1, job->target_id);
	sqlite3_bind_int64(st, 2, job->after_ms);
	sqlite3_bind_int64(st, 3, job->after_seq);
	sqlite3_bind_int64(st, 4, (job->hour + 1) * SLICE_HOUR_MS);
	sqlite3_bind_int(st, 5, limit);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		slice_read_sample(st, &sample);
		slice_add(&job->slice, &sample);
		if (++n == limit) {
			job->after_seq = sqlite3_column_int64(st, 9);
			job->after_ms = sample.started_ms;
		}
	}
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (rc != SQLITE_DONE)
		return err_set(err, "%s", sqlite3_errmsg(s->db));
	job->last_chunk = n;
	return n == limit;
}

/* Within a transaction. */
static int finish_job(struct dash_store *s, bool frozen, struct err *err)
{
	struct rollup_job *job = s->job;

	if (put_rollup(s, job->target_id, job->hour, &job->slice, frozen, err) < 0 ||
		set_dirty(s, mark_clean, job->target_id, job->hour, err) < 0)
		return -1;
	return 0;
}

/* The oldest hour that is over and dirty; 0: none. */
static int find_dirty(struct dash_store *s, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT hour, target_id FROM k6_rollup_dirty WHERE hour < ?1 ORDER BY hour LIMIT 1",
		err);
	bool found;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, slice_hour_of(now_ms));
	found = sqlite3_step(st) == SQLITE_ROW;
	if (found)
		begin_job(s, db_column_text(st, 1), sqlite3_column_int64(st, 0));
	sqlite3_reset(st);
	return found;
}

/* One part of one hour.  1: goes on, 0: nothing to do. */
static int roll_up(struct dash_store *s, int64_t now_ms, int *budget, struct err *err)
{
	int more = 1, chunk = *budget < CHUNK_RUNS ? *budget : CHUNK_RUNS;

	if (s->job && s->job->stale)
		dash_store_rollup_free(s);
	if (!s->job)
		more = find_dirty(s, now_ms, err);
	if (more <= 0)
		return more;
	more = read_chunk(s, chunk, err);
	*budget -= HOUR_COST + (int)s->job->last_chunk;
	if (more == 0) {
		more = finish_job(s, false, err) < 0 ? -1 : 1;
		dash_store_rollup_free(s);
	}
	if (more < 0)
		dash_store_rollup_free(s);
	return more;
}

int dash_store_rollup_step(struct dash_store *s, int64_t now_ms, struct err *err)
{
	int more = 1, budget = CHUNK_RUNS, rc;

	if (dash_store_begin(s, err) < 0)
		return -1;
	/* Small hours together, since each commit waits for the disk. */
	while (more > 0 && budget > 0)
		more = roll_up(s, now_ms, &budget, err);
	sqlite3_wal_autocheckpoint(s->db, DASH_STORE_LOG_PAGES_BACKGROUND);
	rc = more < 0 ? -1 : dash_store_commit(s, err);
	sqlite3_wal_autocheckpoint(s->db, DASH_STORE_LOG_PAGES);
	if (rc == 0)
		return more;
	dash_store_rollback(s);
	dash_store_rollup_free(s);
	return -1;
}

/* --- before runs are deleted ------------------------------------------------------------ */

static int freeze(struct dash_store *s, const char *target_id, int64_t hour, struct err *err)
{
	sqlite3_stmt *st;
	int more = 1;

	st = dash_store_stmt(
		s, "SELECT 1 FROM k6_rollup_dirty WHERE hour = ?1 AND target_id = ?2", err);
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, hour);
	db_bind_text(st, 2, target_id);
	more = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_reset(st);
	if (more) {
		dash_store_rollup_free(s);
		begin_job(s, target_id, hour);
		while ((more = read_chunk(s, CHUNK_RUNS, err)) > 0)
			;
		if (more == 0)
			more = finish_job(s, true, err);
		dash_store_rollup_free(s);
		return more;
	}
	st = dash_store_stmt(
		s, "UPDATE k6_rollups SET frozen = 1 WHERE target_id = ?2 AND hour = ?1", err);
	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, hour);
	db_bind_text(st, 2, target_id);
	return db_run(st, err);
}

int dash_store_rollup_freeze(
	struct dash_store *s, const char *sql, int64_t parameter, struct err *err)
{
	struct {
		char *target_id;
		int64_t hour;
	} *list = NULL;
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);
	size_t n = 0;
	int rc = 0;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, parameter);
	while (sqlite3_step(st) == SQLITE_ROW) {
		list = x_realloc(list, n + 1, sizeof(*list));
		list[n].target_id = x_strdup(db_column_text(st, 0));
		list[n++].hour = sqlite3_column_int64(st, 1);
	}
	sqlite3_reset(st);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = freeze(s, list[i].target_id, list[i].hour, err);
		free(list[i].target_id);
	}
	free(list);
	return rc;
}

int dash_store_expire_rollups(struct dash_store *s, int64_t before_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"DELETE FROM k6_rollups WHERE (target_id, hour) IN (SELECT target_id, hour FROM k6_rollups"
		" WHERE hour < ?1 LIMIT 2000)",
		err);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, slice_hour_of(before_ms));
	return db_run(st, err);
}
