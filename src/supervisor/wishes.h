/* SPDX-License-Identifier: MIT */
/*
 * What operators, the dashboard and the configuration want of the fleet (how many agents, paused,
 * drained, stopping), kept in the store so that it outlives every process.  What others may ask for is
 * in supervisor.h; this is for main.c.
 */
#ifndef K6FLEET_WISHES_H
#define K6FLEET_WISHES_H

#include <jansson.h>
#include <stdbool.h>

#include "supervisor/supervisor.h"

/* Brings fleet and schedule in line with the desired count; with now without waiting for runs. */
void wishes_apply(struct supervisor *sup, bool now);
void wishes_restore_paused(struct supervisor *sup);
/* The saved count, unless option (-n) or a changed file says otherwise.  again: this is not the first
 * supervisor of its keeper, which has obeyed the option already. */
void wishes_restore_desired(struct supervisor *sup, bool option, bool again);
void wishes_remember(struct supervisor *sup, bool option);
/* Slots that were drained; NULL when there are none.  The caller owns it. */
json_t *wishes_load_held(struct fleet_store *store);
/* After the hand-over: holds those of sup->held. */
void wishes_restore_held(struct supervisor *sup);

#endif
