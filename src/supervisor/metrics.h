/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor counts.  Counters begin with the supervisor; a new one starts at 0, which
 * rate() of Prometheus allows for.
 */
#ifndef K6FLEET_METRICS_H
#define K6FLEET_METRICS_H

#include <stdint.h>

#include "common/run.h"

#define METRICS_LAG_BUCKETS 9
/* HTTP statuses are three digits below this. */
#define METRICS_STATUSES 600

/* Read by metrics_text.c, written by the functions below only. */
struct metrics {
	uint64_t runs[RUN_STATUS_COUNT];
	uint64_t storms;
	uint64_t requests[METRICS_STATUSES]; /* to the dashboard, by status; 0: no response */
	uint64_t k6_cpu_ms;                  /* of finished runs */
	int64_t k6_max_rss_bytes, k6_max_tmp_bytes;
	uint64_t lag_buckets[METRICS_LAG_BUCKETS], lag_count,
		lag_sum_ms; /* cumulative, as in Prometheus */
};

extern const int64_t metrics_lag_bounds_ms[METRICS_LAG_BUCKETS];

/* A record is final.  lag_ms: how much later than due its k6 was started, -1: it never was. */
void metrics_count_run(struct metrics *m, enum run_status status, int64_t lag_ms);
/* A request to the dashboard has ended; status 0: without a response. */
void metrics_count_request(struct metrics *m, int status);
/* What a run has used. */
void metrics_count_cost(struct metrics *m, int64_t cpu_ms, int64_t rss_bytes, int64_t tmp_bytes);
void metrics_count_storm(struct metrics *m);

#endif
