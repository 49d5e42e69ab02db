/* SPDX-License-Identifier: MIT */
/*
 * What the last hour's runs have measured together, kept in memory minute by minute as they come in, so
 * that the overview and the metrics cost the same however many runs are stored.  Does no I/O.
 */
#ifndef K6FLEET_DASHBOARD_LIVE_H
#define K6FLEET_DASHBOARD_LIVE_H

#include <stdint.h>

#include "dashboard/sample.h"

struct live;

struct live_sum {
	int64_t runs, success, failed, error;
	double error_rate, p50_ms, p95_ms, p99_ms; /* NAN: nothing was measured */
};

struct live *live_new(void);
void live_free(struct live *l);
/* A run that has ended; corrected: it takes the place of one that the reaper had given up. */
void live_add(struct live *l, const struct sample *run, bool corrected, int64_t now_ms);
/* Runs that began within the last hour, to the minute. */
struct live_sum live_last_hour(struct live *l, int64_t now_ms);
/* Those of one minute of the last hour, 0 (that goes on) to 59; starts at *from_ms. */
struct live_sum live_minute(struct live *l, int ago, int64_t now_ms, int64_t *from_ms);
/* Runs that have come in since the start, by enum run_status. */
uint64_t live_total(const struct live *l, int status);
/* The last run of each target that is known; up to LIVE_TARGETS_MAX of them. */
#define LIVE_TARGETS_MAX 1000
void live_each_target(const struct live *l,
	void (*each)(void *arg, const char *target_id, double p95_ms, double error_rate),
	void *arg);
/* The target is gone. */
void live_forget_target(struct live *l, const char *target_id);

#endif
