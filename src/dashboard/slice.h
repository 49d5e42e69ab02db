/* SPDX-License-Identifier: MIT */
/* Sums of several runs, and the pool of samples that their common percentiles come from.  Pure. */
#ifndef K6FLEET_DASHBOARD_SLICE_H
#define K6FLEET_DASHBOARD_SLICE_H

#include <jansson.h>

#include "common/limits.h"
#include "common/quantiles.h"
#include "dashboard/sample.h"

struct slice_sums {
	int64_t runs, success, failed, error; /* numbers of runs that have ended, by status */
	double http_reqs, failed_reqs;
	double known_reqs;        /* requests of the runs whose error rate is known */
	double timed_reqs, run_s; /* requests of the runs whose rate is known, and their duration */
	double worst_p95;         /* ms; NAN: none */
};

struct slice {
	struct slice_sums sums;
	struct quantiles_pool pool;
};

/* Returns the hour since 1970 that a wall time in ms lies in. */
static inline int64_t slice_hour_of(int64_t ms)
{
	return ms / HOUR_MS;
}

/* Empties the slice, which is zeroed or has been used, and keeps the memory of its pool.  The
 * owner frees that by quantiles_pool_clear(). */
void slice_init(struct slice *sl);
/* Adds one run. */
void slice_add(struct slice *sl, const struct sample *run);
/* Adds sums, without samples for the percentiles. */
void slice_add_sums(struct slice *sl, const struct slice_sums *sums);
/* Returns a point of a series that begins at t_ms, a new reference; its numbers are null without
 * runs. */
json_t *slice_to_json(struct slice *sl, int64_t t_ms);

#endif
