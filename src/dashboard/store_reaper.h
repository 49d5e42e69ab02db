/* SPDX-License-Identifier: MIT */
/* The reaper and the retention of runs.  Each function is one transaction of its own. */
#ifndef K6FLEET_DASHBOARD_STORE_REAPER_H
#define K6FLEET_DASHBOARD_STORE_REAPER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "dashboard/store_base.h"

struct dash_store_rules {
	/* A run without a result is given up so long after its planned end. */
	int64_t run_timeout_ms;
	int64_t offline_ms; /* an agent is offline when it was not heard of for so long, */
	int64_t delete_ms;  /* and deleted after so long */
	bool keep_runs;     /* the runs of a deleted agent stay */
};

struct dash_store_reaped {
	int64_t runs_timed_out, agents_offline, agents_deleted;
};

/* Applies the rules at now_ms.  Fills out, and appends each change to the array `changed`:
 * ["run", id, ""] or ["agent", host, name].  Returns 0; returns -1 with err when nothing was
 * changed. */
int dash_store_reap(struct dash_store *s, const struct dash_store_rules *rules, int64_t now_ms,
	struct dash_store_reaped *out, json_t *changed, struct err *err);
/* Deletes up to 2000 runs that have ended and began before before_ms.  Returns 1 when there may
 * be more of them, 0 when there are none, or -1 with err. */
int dash_store_expire(struct dash_store *s, int64_t before_ms, struct err *err);

#endif
