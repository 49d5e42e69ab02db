/* SPDX-License-Identifier: MIT */
/*
 * The binary on disk takes over: it is asked whether it can, the supervisor ends, and this process
 * executes it with everything that a keeper holds.  Pid, workers and running k6 stay.
 */
#ifndef K6FLEET_KEEPER_UPGRADE_H
#define K6FLEET_KEEPER_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper/keeper.h"

/* For --check-handover: 0 when this image can take over from one of that format. */
int upgrade_check(const char *format);
/* Remembers which binaries of k6fleetd and of the supervisor run, for upgrade_is_due(). */
void upgrade_note_binaries(struct keeper *k);
/* Whether a binary on disk is another than the one that runs. */
bool upgrade_is_due(const struct keeper *k);
/* Starts it; how it goes on is in reap() and check_deadlines(). */
void upgrade_begin(struct keeper *k, uint64_t asker);
/* True: pid was one that upgrade_begin() started. */
bool upgrade_reaped(struct keeper *k, pid_t pid, int status);
/* When upgrade_tick() is wanted; INT64_MAX: not at all. */
int64_t upgrade_deadline(const struct keeper *k);
void upgrade_tick(struct keeper *k, int64_t now_ms);
/* The supervisor has gone.  Returns where there was none to be done, or where it failed. */
void upgrade_supervisor_gone(struct keeper *k);

#endif
