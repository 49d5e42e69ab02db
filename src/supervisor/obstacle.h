/* SPDX-License-Identifier: MIT */
/* What keeps all runs from being started: no k6, a storage that would lose their records, a
 * pause, the end. */
#ifndef K6FLEET_OBSTACLE_H
#define K6FLEET_OBSTACLE_H

#include "common/conf.h"
#include "common/msg.h"
#include "supervisor/desired.h"
#include "supervisor/host_facts.h"
#include "supervisor/fleet_store.h"

struct obstacle_sources {
	const struct host_facts *host;
	const struct fleet_store *store;
	const struct desired *desired;
};

/* Returns the gravest obstacle, MSG_OBSTACLE_NONE without one.  That k6fleetd is stopping is
 * none: then there are no agents to start runs on. */
enum msg_obstacle obstacle_find(const struct obstacle_sources *from);
/* Returns the obstacle for an order, NULL if there is none.  Does not check single agents or
 * limits.  The text is static. */
const char *obstacle_to_run(const struct obstacle_sources *from);
/* Returns advice for the operator if k6 is missing; NULL if there is a k6.  The caller frees it. */
char *obstacle_no_k6(const struct host_facts *host, const struct conf *conf);

#endif
