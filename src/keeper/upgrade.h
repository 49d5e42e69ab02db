/* SPDX-License-Identifier: MIT */
/*
 * The hand-over to the binaries on disk.  The keeper asks both whether they can take over, lets
 * the supervisor commit and end, and executes the new keeper with all that it holds.  Pid,
 * workers and running k6 stay.
 */
#ifndef K6FLEET_KEEPER_UPGRADE_H
#define K6FLEET_KEEPER_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper/keeper.h"

/* Carries out --check-handover: returns 0 if this program can take over a state of that format
 * (UPGRADE_FORMAT), else -1 and a line on standard error. */
int upgrade_check(const char *format);
/* Remembers which binaries of k6fleetd and of the supervisor run, for upgrade_is_due(). */
void upgrade_note_binaries(struct keeper *k);
/* Whether one of the two binaries on disk is another than the one that runs, and neither is
 * missing. */
bool upgrade_is_due(const struct keeper *k);
/* Starts a hand-over and returns; the functions below carry it on.  asker: as in
 * keeper_reload().  A refusal is logged and sent to the supervisor; under a service manager it
 * makes the keeper drain and end. */
void upgrade_begin(struct keeper *k, uint64_t asker);
/* Takes the exit of a binary that was asked, and goes on with the next step.  Returns false if
 * pid is another process. */
bool upgrade_reaped(struct keeper *k, pid_t pid, int status);
/* Returns the time (monotonic ms) of the next upgrade_tick(); INT64_MAX: none is needed. */
int64_t upgrade_deadline(const struct keeper *k);
/* Kills the binary that was asked, or the supervisor, if it takes too long. */
void upgrade_tick(struct keeper *k, int64_t now_ms);
/* Executes the new keeper, now that the supervisor has ended.  Returns only if no hand-over is
 * under way or the execve(2) fails: this image then goes on. */
void upgrade_supervisor_gone(struct keeper *k);

#endif
