/* SPDX-License-Identifier: MIT */
/* The run object of the HTTP API: made when a run is given out, completed from its result. */
#ifndef K6FLEET_RUNS_H
#define K6FLEET_RUNS_H

#include <jansson.h>
#include <stdint.h>

#include "common/result.h"
#include "common/target.h"

/* A run that is about to start; new reference.  Times are wall ms. */
json_t *runs_make(const char *agent, const char *host, const struct target *t, int64_t planned_ms,
	int64_t scheduled_ms, int64_t now_ms);
/* The worker has executed k6. */
void runs_started(json_t *run, int64_t started_ms);
/* Makes it terminal. */
void runs_complete(json_t *run, const struct run_result *r);
/* Makes it terminal without a result: reason lost, killed, spawn_failed ... */
void runs_abandon(json_t *run, enum result_reason reason, const char *message, int64_t now_ms);

#endif
