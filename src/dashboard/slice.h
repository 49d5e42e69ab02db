/* SPDX-License-Identifier: MIT */
/* What some runs have measured together: sums, and the pool that percentiles of all their samples come from. */
#ifndef K6FLEET_DASHBOARD_SLICE_H
#define K6FLEET_DASHBOARD_SLICE_H

#include "common/quantiles.h"
#include "dashboard/store_priv.h"

#define SLICE_HOUR_MS 3600000

static inline int64_t slice_hour_of(int64_t ms)
{
	return ms / SLICE_HOUR_MS;
}

/* Of k6_runs, as slice_read_sample() wants them. */
#define SLICE_SAMPLE_COLUMNS \
	"started_at, target_id, status, http_reqs, answered, rps, error_rate, p95_ms, quantiles, seq"
/* Of k6_rollups, as slice_add_rollup() wants them. */
#define SLICE_ROLLUP_COLUMNS \
	"hour, runs, success, failed, error, http_reqs, failed_reqs, known_reqs, timed_reqs, run_s, " \
	"worst_p95, digest"
/* The number of the target ?1. */
#define SLICE_TARGET_NO "(SELECT no FROM k6_names WHERE kind = 0 AND host = '' AND name = ?1)"

struct slice {
	int64_t runs, success, failed, error;
	double http_reqs, failed_reqs;
	double known_reqs;        /* of runs whose error rate is known */
	double timed_reqs, run_s; /* of runs whose rate is known, and how long those took */
	double worst_p95;         /* NAN: none */
	struct quantiles_pool pool;
};

/* Empty; memory that a pool has is kept.  The pool is freed by its owner. */
void slice_init(struct slice *sl);
void slice_add(struct slice *sl, const struct dash_store_sample *run);
void slice_add_rollup(struct slice *sl, sqlite3_stmt *st);
/* A point of a series; without runs its numbers are null.  New reference. */
json_t *slice_to_json(struct slice *sl, int64_t t_ms);
/* Texts in it are the statement's. */
void slice_read_sample(sqlite3_stmt *st, struct dash_store_sample *out);

#endif
