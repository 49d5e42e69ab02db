/* SPDX-License-Identifier: MIT */
/* The states of an agent: the only list in C.  tests/unit/test_documents.c compares
 * openapi.yaml, the schema of k6fleetctl and the web pages with it. */
#ifndef K6FLEET_AGENT_STATE_H
#define K6FLEET_AGENT_STATE_H

#include <stdbool.h>
#include <string.h>

/* X(enum, name in JSON, metrics and on the command line), as the supervisor keeps them. */
/* clang-format off */
#define AGENT_STATES(X) \
	X(STOPPED, "stopped") \
	X(STARTING, "starting") \
	X(IDLE, "idle") \
	X(RUNNING, "running") \
	X(DRAINING, "draining") \
	X(BACKOFF, "backoff") \
	X(STOPPING, "stopping")
/* clang-format on */

/* The dashboard's state of an agent whose host is silent. */
#define AGENT_OFFLINE "offline"

/* Whether a heartbeat may have this state. */
static inline bool agent_state_is_known(const char *name)
{
#define AGENT_STATE_NAME(id, text) text,
	static const char *const names[] = {AGENT_STATES(AGENT_STATE_NAME) AGENT_OFFLINE};
#undef AGENT_STATE_NAME

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(names[i], name))
			return true;
	}
	return false;
}

#endif
