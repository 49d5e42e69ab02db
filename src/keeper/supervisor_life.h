/* SPDX-License-Identifier: MIT */
/* The supervisor's process: started, handed its workers, and started again after its death. */
#ifndef K6FLEET_KEEPER_SUPERVISOR_LIFE_H
#define K6FLEET_KEEPER_SUPERVISOR_LIFE_H

#include "keeper/keeper.h"

/* Forks and executes a supervisor and sends it all workers.  A failure ends the process as long
 * as no supervisor has ever worked; later another attempt follows in 1 s. */
void supervisor_life_start(struct keeper *k);
/* The supervisor was reaped with this status of waitpid(2).  Carries out the supervisor's last
 * unread messages.  Then sets the time of the next start (k->sup_restart_at_ms), or continues a
 * hand-over that waited for this exit, or ends the process if the first supervisor could not
 * start. */
void supervisor_life_ended(struct keeper *k, int status);

#endif
