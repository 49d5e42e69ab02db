/* SPDX-License-Identifier: MIT */
/* Runs that somebody asks for now: an operator by k6fleetctl, or the dashboard. */
#ifndef K6FLEET_ORDERS_H
#define K6FLEET_ORDERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/target.h"
#include "supervisor/agents.h"
#include "supervisor/obstacle.h"
#include "supervisor/schedule.h"
#include "supervisor/targets.h"

/* Borrowed: nothing of it is kept after a call. */
struct orders_parts {
	struct agents *agents;
	const struct targets *targets;
	const struct schedule *schedule;
	struct obstacle_sources obstacle;
};

struct order_request {
	const struct target *target;
	int64_t vus, duration_ms; /* instead of the target's, 0: as it says */
	unsigned int agents;
	bool at_most; /* if not all are possible, as many as are, at least one */
	bool sync;    /* all at the same instant */
	const char *who;
	/* Called once before the first run starts, after all checks have passed; NULL: no
	 * callback. */
	void (*on_accepted)(void *arg);
	void *arg;
};

/* Gives the runs to idle agents, lowest slots first.  Returns
 * {"runs":[{"id","agent"}],"startAt"}, a new reference; or NULL and err when it cannot be done
 * as asked, and then no run is given to anybody: ERR_FORBIDDEN where asking again is of no use,
 * ERR_BUSY where it may be. */
json_t *orders_run(
	const struct orders_parts *parts, const struct order_request *request, struct err *err);
/* Returns a target that is no target of the fleet, for a script of the operator's; the caller
 * frees it.  NULL and err for a script or a label that no target may have. */
struct target *orders_make_target(const char *label, const char *script, struct err *err);

#endif
