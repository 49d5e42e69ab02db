/* SPDX-License-Identifier: MIT */
/* Clients whose response waits until the fleet has the desired count, with progress until then. */
#ifndef K6FLEET_FLEET_WAITS_H
#define K6FLEET_FLEET_WAITS_H

#include <stdbool.h>

#include "supervisor/control.h"

struct desired;
struct fleet;
struct fleet_waits;

/* Never NULL.  Both must outlive it. */
struct fleet_waits *fleet_waits_new(const struct fleet *fleet, const struct desired *desired);
/* Responds to nobody.  NULL is allowed. */
void fleet_waits_free(struct fleet_waits *w);
/* The client gets {"desired","running"} when exactly the wanted agents are up; with renewals not
 * before every worker that was to be replaced has been.  Never responds from inside this call. */
void fleet_waits_add(struct fleet_waits *w, struct control_ticket ticket, bool renewals);
/* Once a turn of the loop: responds where the fleet is as wanted, tells the others how many are
 * up. */
void fleet_waits_settle(struct fleet_waits *w);

#endif
