/* SPDX-License-Identifier: MIT */
/* Rows of k6_runs and k6_rollups as numbers, for sums.  For store_*.c only. */
#ifndef K6FLEET_DASHBOARD_STORE_SAMPLES_H
#define K6FLEET_DASHBOARD_STORE_SAMPLES_H

#include "dashboard/sample.h"
#include "dashboard/slice.h"
#include "dashboard/store_priv.h"

/* Columns of k6_runs in the order of dash_store_read_sample(). */
#define DASH_STORE_SAMPLE_COLUMNS \
	"started_at, target_id, status, http_reqs, answered, rps, error_rate, p95_ms, quantiles, seq"
#define DASH_STORE_SAMPLE_SEQ 9 /* the column seq */
/* Columns of k6_rollups in the order of dash_store_add_rollup(). */
#define DASH_STORE_ROLLUP_COLUMNS \
	"runs, success, failed, error, http_reqs, failed_reqs, known_reqs, timed_reqs, run_s, " \
	"worst_p95, digest, frozen, target_id, hour"
#define DASH_STORE_ROLLUP_FROZEN 11 /* the column frozen */
#define DASH_STORE_ROLLUP_TARGET 12
#define DASH_STORE_ROLLUP_HOUR 13
/* SQL for the number of the target ?1. */
#define DASH_STORE_TARGET_NO "(SELECT no FROM k6_names WHERE kind = 0 AND host = '' AND name = ?1)"

/* Fills out; its texts are valid until the next step of the statement.  Returns 0, or -1 with
 * err when the quantiles are damaged. */
int dash_store_read_sample(sqlite3_stmt *st, struct sample *out, struct err *err);
/* Adds a rollup to the slice.  Returns 0, or -1 with err when the digest of its latencies is
 * damaged. */
int dash_store_add_rollup(sqlite3_stmt *st, struct slice *sl, struct err *err);
/* Reads a run's quantiles; out has room for QUANTILES numbers.  Rows of earlier schemas have
 * them as JSON text. Returns FOUND, NOT_FOUND for NULL, or FOUND_ERROR with err. */
enum found dash_store_read_quantiles(sqlite3_stmt *st, int column, double *out, struct err *err);

#endif
