/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's talk with the dashboard, for all agents at once: registers, polls targets,
 * sends one heartbeat an interval, posts runs from the outbox until they are acknowledged.
 */
#ifndef K6FLEET_SYNC_H
#define K6FLEET_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "supervisor/supervisor.h"

enum sync_state { SYNC_NONE, SYNC_CONNECTED, SYNC_UNREACHABLE, SYNC_CONNECTING, SYNC_REFUSED };

/* The secret is copied. */
struct sync *sync_new(struct supervisor *sup, const char *secret, struct err *err);
/* The configuration has changed: address, credentials, intervals.  Registers anew. */
void sync_reconfigure(struct sync *s, const char *secret);
void sync_free(struct sync *s);
void sync_start(struct sync *s);
/* A record has been written: posts it soon. */
void sync_kick_outbox(struct sync *s);
/* The host's own count has changed. */
void sync_scaled(struct sync *s);
/* The set of agents has changed: they are registered soon. */
void sync_agents_changed(struct sync *s);
enum sync_state sync_state(const struct sync *s);
const char *sync_state_name(enum sync_state state);
/* Since the last answer; -1: none yet. */
int64_t sync_last_contact_ms(const struct sync *s);
/* What went wrong last, "" when nothing. */
const char *sync_last_error(const struct sync *s);

#endif
