/* SPDX-License-Identifier: MIT */
/* What the files verbs*.c share: one function a verb, for the table in verbs.c. */
#ifndef K6FLEET_VERBS_PRIV_H
#define K6FLEET_VERBS_PRIV_H

#include <jansson.h>

#include "supervisor/verbs.h"

/* Responds or refuses through the ticket, at once or later.  request is borrowed. */
typedef void verbs_fn(struct supervisor *sup, struct control_ticket ticket, const json_t *request);

/* verbs_fleet.c */
verbs_fn verbs_status, verbs_scale, verbs_pause, verbs_resume, verbs_restart, verbs_drain,
	verbs_stop, verbs_reload, verbs_metrics, verbs_ping, verbs_version;
/* verbs_runs.c */
verbs_fn verbs_targets, verbs_runs, verbs_show, verbs_run, verbs_follow, verbs_cancel, verbs_logs;

/* Fills slots (room for the desired count) with the agents that request["agents"] names, with
 * all desired ones if it names none.  Returns how many, or -1 after a refusal. */
int verbs_pick_agents(struct supervisor *sup, struct control_ticket ticket, const json_t *request,
	unsigned int *slots);

#endif
