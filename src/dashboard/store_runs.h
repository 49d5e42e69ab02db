/* SPDX-License-Identifier: MIT */
/* Single runs: taken in, and read. */
#ifndef K6FLEET_DASHBOARD_STORE_RUNS_H
#define K6FLEET_DASHBOARD_STORE_RUNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/run.h"
#include "dashboard/store_base.h"

/* A run as it is taken in; run_clear() of run frees. */
struct dash_store_run {
	struct run run;
	/* The run is found by it: when it started, or was due, or ended; never 0. */
	int64_t started_ms;
};

enum dash_store_upsert { DASH_STORE_ACCEPTED, DASH_STORE_IGNORED };

struct dash_store_upserted {
	enum dash_store_upsert what;
	bool changed;   /* the row is new or differs from before */
	bool corrected; /* the reaper had given the run up */
	/* The run as lists have it, which the caller frees; NULL when nothing has changed. */
	char *text;
};

/* Adds the run or updates its row; a run that has ended stays as it is, unless the reaper had
 * given it up.  Fills out. Belongs into a transaction.  Returns 0, or -1 with err. */
int dash_store_upsert_run(struct dash_store *s, const struct dash_store_run *run,
	struct dash_store_upserted *out, struct err *err);
/* Set *run to the run with log and latencyQuantiles, or as lists have it, without these two; a
 * new reference.  Return FOUND, NOT_FOUND, or FOUND_ERROR with err. */
enum found dash_store_get_run(struct dash_store *s, const char *id, json_t **run, struct err *err);
enum found dash_store_get_run_row(
	struct dash_store *s, const char *id, json_t **run, struct err *err);
/* Sets *list to an array of the target's last `limit` runs, newest first, with id, status,
 * startedAt, p95_ms and error_rate of each; a new reference.  Returns 0, or -1 with err. */
int dash_store_recent_runs(
	struct dash_store *s, const char *target_id, int limit, json_t **list, struct err *err);

#endif
