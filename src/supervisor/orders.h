/* SPDX-License-Identifier: MIT */
/* Runs that somebody asks for now: an operator by k6fleetctl, or the dashboard. */
#ifndef K6FLEET_ORDERS_H
#define K6FLEET_ORDERS_H

#include <jansson.h>

#include "common/err.h"
#include "common/target.h"
#include "supervisor/supervisor.h"

struct order_request {
	const struct target *target;
	int64_t vus, duration_ms; /* instead of the target's, 0: as it says */
	unsigned int agents;
	bool at_most; /* on fewer where no more are free, as long as there is one */
	bool sync;    /* all at the same instant */
	const char *who;
	/* Called when it is sure that there will be runs, before the first of them; NULL: nobody. */
	void (*on_accepted)(void *arg);
	void *arg;
};

/* Starts the runs on idle agents, lowest slots first.  {"runs":[{"id","agent"}],"startAt"}, a new
 * reference; NULL and err when it cannot be done as asked, and then nothing is. */
json_t *orders_run(struct supervisor *sup, const struct order_request *request, struct err *err);
/* A target that is no target of the fleet: a script of the operator's.  NULL and err. */
struct target *orders_make_target(const char *label, const char *script, struct err *err);

#endif
