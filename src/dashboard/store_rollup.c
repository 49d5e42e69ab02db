/* SPDX-License-Identifier: MIT */
/* An hour that is over and has changed is read again from its runs, a thousand a step.  Once
 * runs of it have been deleted its rollup is frozen: runs that come later are added to it. */
#include "dashboard/store_rollup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/run.h"
#include "dashboard/slice.h"
#include "dashboard/store_priv.h"
#include "dashboard/store_samples.h"

#define CHUNK_RUNS 1000
#define HOUR_COST 20 /* what an hour without runs costs, in runs */
#define MARKS_KEPT 32

/* An hour that is being rolled up. */
struct rollup_job {
	char *target_id;
	int64_t hour;
	int64_t after_ms, after_seq; /* started_at and seq of the last run that was read */
	int limit, last_chunk; /* runs that the present step may read; runs that it has read */
	bool stale;            /* a run of the hour has changed since the job began */
	struct slice slice;
};

struct mark {
	int64_t hour;
	char target_id[256];
};

struct dash_store_rollup {
	struct rollup_job *job; /* NULL: none */
	/* Hours that this transaction has marked as changed: a ring of the last ones. */
	uint64_t transaction;
	size_t mark_count;
	struct mark marks[MARKS_KEPT];
};

static struct dash_store_rollup *state_of(struct dash_store *s)
{
	if (!s->rollup)
		s->rollup = x_calloc(1, sizeof(*s->rollup));
	return s->rollup;
}

/* Key and value of a row of k6_rollups. */
struct rollup {
	const char *target_id;
	int64_t hour;
	bool frozen;
	struct slice *slice;
};

static int put_rollup(struct dash_store *s, const struct rollup *r, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT OR REPLACE INTO k6_rollups VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
		err);
	const struct slice_sums *sums = &r->slice->sums;
	unsigned char digest[QUANTILES_PACKED_MAX];
	size_t len = quantiles_pool_pack(&r->slice->pool, digest);

	db_bind_text(st, 1, r->target_id);
	sqlite3_bind_int64(st, 2, r->hour);
	sqlite3_bind_int64(st, 3, sums->runs);
	sqlite3_bind_int64(st, 4, sums->success);
	sqlite3_bind_int64(st, 5, sums->failed);
	sqlite3_bind_int64(st, 6, sums->error);
	sqlite3_bind_double(st, 7, sums->http_reqs);
	sqlite3_bind_double(st, 8, sums->failed_reqs);
	sqlite3_bind_double(st, 9, sums->known_reqs);
	sqlite3_bind_double(st, 10, sums->timed_reqs);
	sqlite3_bind_double(st, 11, sums->run_s);
	if (isnan(sums->worst_p95))
		sqlite3_bind_null(st, 12);
	else
		sqlite3_bind_double(st, 12, sums->worst_p95);
	if (len)
		sqlite3_bind_blob(st, 13, digest, (int)len, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 13);
	sqlite3_bind_int(st, 14, r->frozen);
	return dash_store_run(s, st, err);
}

static int read_rollup(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct rollup *r = arg;

	r->frozen = sqlite3_column_int(st, DASH_STORE_ROLLUP_FROZEN) != 0;
	/* The runs of an hour that is not frozen are read again: damage does not matter. */
	return r->frozen ? dash_store_add_rollup(st, r->slice, err) : 0;
}

/* Fills r->frozen and r->slice, which is empty for NOT_FOUND and for a rollup that is not
 * frozen. */
static enum found get_rollup(struct dash_store *s, struct rollup *r, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " DASH_STORE_ROLLUP_COLUMNS
		" FROM k6_rollups WHERE target_id = ?1 AND hour = ?2",
		err);

	slice_init(r->slice);
	db_bind_text(st, 1, r->target_id);
	sqlite3_bind_int64(st, 2, r->hour);
	return dash_store_one(s, st, read_rollup, r, err);
}

/* Runs a statement with the parameters hour and target_id. */
static int change_hour(
	struct dash_store *s, const char *sql, const char *target_id, int64_t hour, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);

	sqlite3_bind_int64(st, 1, hour);
	db_bind_text(st, 2, target_id);
	return dash_store_run(s, st, err);
}

static const char mark_dirty[] = "INSERT OR IGNORE INTO k6_rollup_dirty VALUES (?1, ?2)";
static const char mark_clean[] = "DELETE FROM k6_rollup_dirty WHERE hour = ?1 AND target_id = ?2";

static bool is_marked(const struct dash_store_rollup *r, const char *target_id, int64_t hour)
{
	for (size_t i = 0; i < r->mark_count && i < MARKS_KEPT; i++) {
		if (r->marks[i].hour == hour && !strcmp(r->marks[i].target_id, target_id))
			return true;
	}
	return false;
}

static void remember_mark(struct dash_store_rollup *r, const char *target_id, int64_t hour)
{
	struct mark *m = &r->marks[r->mark_count % MARKS_KEPT];

	if (strlen(target_id) >= sizeof(m->target_id))
		return;
	r->mark_count++;
	m->hour = hour;
	memcpy(m->target_id, target_id, strlen(target_id) + 1);
}

/* Adds the run to the rollup of its hour if that is frozen; marks the hour as changed otherwise. */
static int add_or_mark(struct dash_store *s, const struct sample *run, int64_t hour, bool corrected,
	struct err *err)
{
	struct slice sl = {0};
	struct rollup r = {.target_id = run->target_id, .hour = hour, .slice = &sl};
	int rc = get_rollup(s, &r, err) == FOUND_ERROR ? -1 : 0;

	if (rc == 0 && r.frozen) {
		/* The guess of the reaper counted as a run that failed. */
		sl.sums.runs -= corrected;
		sl.sums.error -= corrected;
		slice_add(&sl, run);
		rc = put_rollup(s, &r, err);
	} else if (rc == 0) {
		rc = change_hour(s, mark_dirty, run->target_id, hour, err);
		remember_mark(s->rollup, run->target_id, hour);
	}
	quantiles_pool_clear(&sl.pool);
	return rc;
}

int dash_store_rollup_touch(
	struct dash_store *s, const struct sample *run, bool corrected, struct err *err)
{
	struct dash_store_rollup *r = state_of(s);
	int64_t hour = slice_hour_of(run->started_ms);

	if (!strcmp(run->status, run_status_names[RUN_RUNNING]))
		return 0;
	if (r->job && r->job->hour == hour && !strcmp(r->job->target_id, run->target_id))
		r->job->stale = true;
	if (r->transaction != s->transactions) {
		r->transaction = s->transactions;
		r->mark_count = 0;
	}
	return is_marked(r, run->target_id, hour) ? 0 : add_or_mark(s, run, hour, corrected, err);
}

static void free_job(struct dash_store *s)
{
	struct rollup_job *job = s->rollup->job;

	if (!job)
		return;
	quantiles_pool_clear(&job->slice.pool);
	free(job->target_id);
	free(job);
	s->rollup->job = NULL;
}

void dash_store_rollup_free(struct dash_store *s)
{
	if (!s->rollup)
		return;
	free_job(s);
	free(s->rollup);
	s->rollup = NULL;
}

static void begin_job(struct dash_store *s, const char *target_id, int64_t hour)
{
	struct rollup_job *job = x_calloc(1, sizeof(*job));

	job->target_id = x_strdup(target_id);
	job->hour = hour;
	job->after_ms = hour * HOUR_MS - 1;
	slice_init(&job->slice);
	s->rollup->job = job;
}

static int add_run(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct rollup_job *job = arg;
	struct sample sample;

	if (dash_store_read_sample(st, &sample, err) < 0)
		return -1;
	slice_add(&job->slice, &sample);
	if (++job->last_chunk == job->limit) {
		job->after_seq = sqlite3_column_int64(st, DASH_STORE_SAMPLE_SEQ);
		job->after_ms = sample.started_ms;
	}
	return 0;
}

/* Takes in up to `limit` runs.  Returns 1 when there may be more, 0 when there are none, -1 with
 * err. */
static int read_chunk(struct dash_store *s, int limit, struct err *err)
{
	struct rollup_job *job = s->rollup->job;
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT " DASH_STORE_SAMPLE_COLUMNS
		" FROM k6_runs WHERE target_no = " DASH_STORE_TARGET_NO
		" AND (started_at, seq) > (?2, ?3) AND started_at < ?4 AND status <> 'running'"
		" ORDER BY started_at, seq LIMIT ?5",
		err);

	db_bind_text(st, 1, job->target_id);
	sqlite3_bind_int64(st, 2, job->after_ms);
	sqlite3_bind_int64(st, 3, job->after_seq);
	sqlite3_bind_int64(st, 4, (job->hour + 1) * HOUR_MS);
	sqlite3_bind_int(st, 5, limit);
	job->limit = limit;
	job->last_chunk = 0;
	if (dash_store_each(s, st, add_run, job, err) < 0)
		return -1;
	return job->last_chunk == limit;
}

/* Belongs into a transaction. */
static int finish_job(struct dash_store *s, bool frozen, struct err *err)
{
	struct rollup_job *job = s->rollup->job;
	const struct rollup r = {job->target_id, job->hour, frozen, &job->slice};

	if (put_rollup(s, &r, err) < 0)
		return -1;
	return change_hour(s, mark_clean, job->target_id, job->hour, err);
}

static int begin_job_of_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	(void)err;
	begin_job(arg, db_column_text(st, 1), sqlite3_column_int64(st, 0));
	return 0;
}

/* Begins the job of the oldest hour that is over and has changed. */
static enum found find_job(struct dash_store *s, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT hour, target_id FROM k6_rollup_dirty WHERE hour < ?1 ORDER BY hour LIMIT 1",
		err);

	sqlite3_bind_int64(st, 1, slice_hour_of(now_ms));
	return dash_store_one(s, st, begin_job_of_row, s, err);
}

/* Takes in one chunk of one hour.  Returns 1 when there may be more to do, 0 when there is
 * nothing to do, -1 with err. */
static int roll_up(struct dash_store *s, int64_t now_ms, int *budget, struct err *err)
{
	int more, chunk = *budget < CHUNK_RUNS ? *budget : CHUNK_RUNS;

	if (s->rollup->job && s->rollup->job->stale)
		free_job(s);
	if (!s->rollup->job) {
		enum found found = find_job(s, now_ms, err);

		if (found != FOUND)
			return found == FOUND_ERROR ? -1 : 0;
	}
	more = read_chunk(s, chunk, err);
	*budget -= HOUR_COST + s->rollup->job->last_chunk;
	if (more > 0)
		return 1;
	if (more == 0)
		more = finish_job(s, false, err) < 0 ? -1 : 1;
	free_job(s);
	return more;
}

int dash_store_rollup_step(struct dash_store *s, int64_t now_ms, struct err *err)
{
	int more = 1, budget = CHUNK_RUNS, rc;

	state_of(s);
	if (dash_store_begin(s, err) < 0)
		return -1;
	/* Several small hours share a commit, which waits for the disk. */
	while (more > 0 && budget > 0)
		more = roll_up(s, now_ms, &budget, err);
	sqlite3_wal_autocheckpoint(s->db, DASH_STORE_WAL_PAGES_BACKGROUND);
	rc = more < 0 ? -1 : dash_store_commit(s, err);
	sqlite3_wal_autocheckpoint(s->db, DASH_STORE_WAL_PAGES);
	if (rc == 0)
		return more;
	dash_store_rollback(s);
	free_job(s);
	return -1;
}

/* --- before runs are deleted ------------------------------------------------------------ */

/* Rolls up an hour that has changed, and freezes its rollup. */
static int freeze_changed(
	struct dash_store *s, const char *target_id, int64_t hour, struct err *err)
{
	int more;

	free_job(s);
	begin_job(s, target_id, hour);
	while ((more = read_chunk(s, CHUNK_RUNS, err)) > 0)
		;
	if (more == 0)
		more = finish_job(s, true, err);
	free_job(s);
	return more;
}

static int freeze(struct dash_store *s, const char *target_id, int64_t hour, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT 1 FROM k6_rollup_dirty WHERE hour = ?1 AND target_id = ?2", err);
	enum found changed;

	sqlite3_bind_int64(st, 1, hour);
	db_bind_text(st, 2, target_id);
	changed = dash_store_one(s, st, NULL, NULL, err);
	if (changed == FOUND_ERROR)
		return -1;
	if (changed == FOUND)
		return freeze_changed(s, target_id, hour, err);
	return change_hour(s, "UPDATE k6_rollups SET frozen = 1 WHERE target_id = ?2 AND hour = ?1",
		target_id, hour, err);
}

struct hours {
	struct {
		char *target_id;
		int64_t hour;
	} * list;
	size_t count;
};

static int add_hour(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct hours *h = arg;

	(void)err;
	h->list = x_realloc(h->list, h->count + 1, sizeof(*h->list));
	h->list[h->count].target_id = x_strdup(db_column_text(st, 0));
	h->list[h->count++].hour = sqlite3_column_int64(st, 1);
	return 0;
}

int dash_store_rollup_freeze(
	struct dash_store *s, const char *sql, int64_t parameter, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);
	struct hours hours = {0};
	int rc;

	state_of(s);
	sqlite3_bind_int64(st, 1, parameter);
	rc = dash_store_each(s, st, add_hour, &hours, err);
	for (size_t i = 0; i < hours.count; i++) {
		if (rc == 0)
			rc = freeze(s, hours.list[i].target_id, hours.list[i].hour, err);
		free(hours.list[i].target_id);
	}
	free(hours.list);
	return rc;
}

int dash_store_expire_rollups(struct dash_store *s, int64_t before_ms, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"DELETE FROM k6_rollups WHERE (target_id, hour) IN (SELECT target_id, hour FROM k6_rollups"
		" WHERE hour < ?1 LIMIT 2000)",
		err);

	sqlite3_bind_int64(st, 1, slice_hour_of(before_ms));
	return dash_store_run(s, st, err);
}
