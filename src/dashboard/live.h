/* SPDX-License-Identifier: MIT */
/*
 * Figures of the last hour, in memory minute by minute: the overview and the metrics cost the
 * same, however many runs are stored.  Pure.
 */
#ifndef K6FLEET_DASHBOARD_LIVE_H
#define K6FLEET_DASHBOARD_LIVE_H

#include <stdint.h>

#include "dashboard/sample.h"

struct live;

struct live_sum {
	int64_t runs, success, failed, error;
	double error_rate, p50_ms, p95_ms, p99_ms; /* NAN: no run has measured it */
};

struct live *live_new(void);
/* NULL is allowed. */
void live_free(struct live *l);
/* Adds a run that has ended.  corrected: the reaper had given it up, and it was added as an
 * error before. */
void live_add(struct live *l, const struct sample *run, bool corrected, int64_t now_ms);
/* Returns the sum of the last hour, in whole minutes and the present one, by the start of the
 * runs. */
struct live_sum live_last_hour(struct live *l, int64_t now_ms);
/* Returns the sum of one minute: 0 is the present minute, 59 the oldest.  Sets *from_ms to its
 * start. */
struct live_sum live_minute(struct live *l, int ago, int64_t now_ms, int64_t *from_ms);
/* Returns the number of runs of a status (enum run_status) that have been added since the start. */
uint64_t live_total(const struct live *l, int status);
#define LIVE_TARGETS_MAX 1000
/* Calls each for every target with its last run, NAN for figures that it does not have.  Targets
 * that come after the first LIVE_TARGETS_MAX are left out. */
void live_each_target(const struct live *l,
	void (*each)(void *arg, const char *target_id, double p95_ms, double error_rate),
	void *arg);
/* Removes a target that was deleted. */
void live_forget_target(struct live *l, const char *target_id);

#endif
