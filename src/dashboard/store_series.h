/* SPDX-License-Identifier: MIT */
/* Charts, and runs as samples. */
#ifndef K6FLEET_DASHBOARD_STORE_SERIES_H
#define K6FLEET_DASHBOARD_STORE_SERIES_H

#include <jansson.h>
#include <stdint.h>

#include "dashboard/sample.h"
#include "dashboard/store_base.h"

#define DASH_STORE_POINTS_MAX 5000

/* The points of a series: one each step_ms, from from_ms on and before to_ms (wall time). */
struct dash_store_range {
	int64_t from_ms, to_ms, step_ms;
};

/* Sets *series to {"step","points":[…]} of the target's runs that began in the range, a new
 * reference; step is in seconds.  Steps of whole hours begin at whole hours and come from the
 * rollups.  Returns 0, or -1 with err. */
int dash_store_series(struct dash_store *s, const char *target_id,
	const struct dash_store_range *range, json_t **series, struct err *err);
/* Calls each for every run that has ended and began at or after since_ms, oldest first.  Returns
 * 0, or -1 with err, possibly after some calls. */
int dash_store_each_sample(
	struct dash_store *s, int64_t since_ms, sample_fn *each, void *arg, struct err *err);
/* As dash_store_each_sample(), for every run that dash_store_reap() would end at now_ms, with
 * the status `error` that it would get. */
int dash_store_each_overdue(struct dash_store *s, int64_t now_ms, int64_t run_timeout_ms,
	sample_fn *each, void *arg, struct err *err);

#endif
