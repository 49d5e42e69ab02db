/* SPDX-License-Identifier: MIT */
/* The life of a run's record on its host: made when an agent gets the run, completed from the
 * worker's result. */
#ifndef K6FLEET_RUNS_H
#define K6FLEET_RUNS_H

#include <stdint.h>

#include "common/run.h"
#include "common/target.h"

struct run_list {
	struct run *runs;
	size_t count;
};

/* Frees the runs and leaves an empty list. */
void run_list_clear(struct run_list *list);
/* Appends run, whose members move into the list. */
void run_list_add(struct run_list *list, struct run *run);

/* Returns a run that is about to start, with a new id; runs_free() frees it.  Times are wall ms. */
struct run *runs_make(const char *agent, const char *host, const struct target *t,
	int64_t planned_ms, int64_t scheduled_ms, int64_t now_ms);
/* NULL is allowed. */
void runs_free(struct run *run);
/* The worker has executed k6. */
void runs_started(struct run *run, int64_t started_ms);
/* Makes the run terminal; takes the worker's fields out of result, which is null then. */
void runs_complete(struct run *run, struct run *result, int64_t now_ms);
/* Makes the run terminal without a result: reason lost, killed, spawn_failed ... */
void runs_abandon(struct run *run, enum run_reason reason, const char *message, int64_t now_ms);

#endif
