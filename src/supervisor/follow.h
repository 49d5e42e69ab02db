/* SPDX-License-Identifier: MIT */
/* Clients that wait for runs: they get the progress once a second and, when all have ended, the
 * records. */
#ifndef K6FLEET_FOLLOW_H
#define K6FLEET_FOLLOW_H

#include <jansson.h>

#include "supervisor/agents.h"
#include "supervisor/control.h"
#include "supervisor/fleet_store.h"

struct follow;

/* Never NULL.  Both must outlive it; the store must be closed before follow_free(), for its
 * queued reads call back. */
struct follow *follow_new(const struct agents *agents, struct fleet_store *store);
/* Responds to nobody.  NULL is allowed. */
void follow_free(struct follow *f);
/* The response, {"runs":[...]}, has the records in the order of the ids (array of strings,
 * copied) and comes when all have ended; before that there is progress once a second.  Never
 * responds from inside this call. */
void follow_runs(struct follow *f, struct control_ticket ticket, const json_t *ids);
/* An agent has no run any more. */
void follow_changed(struct follow *f);
/* Once a turn of the loop: asks the store for the records where all runs have ended.  The
 * response comes with the store's callback, which may be from inside this call if the store's
 * queue is full. */
void follow_settle(struct follow *f);
/* Once a second: progress; clients that have gone are dropped. */
void follow_tick(struct follow *f);

#endif
