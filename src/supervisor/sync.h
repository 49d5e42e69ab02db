/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's talk with the dashboard, for all agents at once: registers, polls targets,
 * sends one heartbeat an interval, posts runs from the outbox until they are acknowledged.
 */
#ifndef K6FLEET_SYNC_H
#define K6FLEET_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/msg.h"
#include "supervisor/agents.h"
#include "supervisor/commands.h"
#include "supervisor/desired.h"
#include "supervisor/host_facts.h"
#include "supervisor/fleet_store.h"
#include "supervisor/targets.h"

/* X(ID, name in status) */
#define SYNC_STATES(X) \
	X(NONE, "none") /* no dashboard is configured */ \
	X(CONNECTED, "connected") \
	X(UNREACHABLE, "unreachable") /* no response */ \
	X(CONNECTING, "connecting")   /* nothing has been heard yet */ \
	X(REFUSED, "refused")         /* a response that is an error */

enum sync_state {
#define X(id, name) SYNC_##id,
	SYNC_STATES(X)
#undef X
		SYNC_STATE_COUNT
};

struct sync;

/* Borrowed; all must outlive it. */
struct sync_parts {
	struct ev_loop *loop;
	const struct conf *conf; /* until sync_reconfigure() */
	const struct host_facts *host;
	struct fleet_store *store;
	struct targets *targets;
	struct agents *agents;
	struct commands *commands;
	struct desired *desired;
	/* Each request that has ended, by HTTP status; 0: without a response. */
	void (*count_request)(void *arg, int status);
	void *arg;
};

/* secret: copied, NULL for none.  Without a dashboard.url it does nothing until
 * sync_reconfigure() brings one. Returns NULL and err if the connection cannot be prepared, as
 * for a bad certificate. */
struct sync *sync_new(const struct sync_parts *parts, const char *secret, struct err *err);
/* Cancels the requests under way.  NULL is allowed. */
void sync_free(struct sync *s);
/* The workers are known: registers.  Nothing is sent before. */
void sync_start(struct sync *s);
/* The configuration has changed: conf replaces the previous one.  Registers again
 * with its address, credentials and intervals; if they cannot be used that is logged, and the
 * connection stays as it was. */
void sync_reconfigure(struct sync *s, const struct conf *conf, const char *secret);

/* A record has been written: posts it soon. */
void sync_kick_outbox(struct sync *s);
/* This host has changed its desired count itself: tells the dashboard, and takes none from it
 * until it knows. */
void sync_scaled(struct sync *s);
/* The set of agents, or their k6, has changed: they are registered soon. */
void sync_agents_changed(struct sync *s);

enum sync_state sync_state(const struct sync *s);
/* Static. */
const char *sync_state_name(enum sync_state state);
/* The same for the keeper, which knows fewer states. */
enum msg_dashboard sync_state_for_keeper(enum sync_state state);
/* Since the dashboard's last response; -1: none yet. */
int64_t sync_last_contact_ms(const struct sync *s);
/* Returns what went wrong last, "" when nothing; valid until the loop's next turn. */
const char *sync_last_error(const struct sync *s);

#endif
