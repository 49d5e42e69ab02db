/* SPDX-License-Identifier: MIT */
/*
 * What operators, the dashboard and the configuration want of the fleet: how many agents, paused
 * or not, which agents are drained, whether all shall stop.  Each change is applied to fleet and
 * schedule at once and kept over restarts.
 */
#ifndef K6FLEET_DESIRED_H
#define K6FLEET_DESIRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "supervisor/fleet.h"
#include "supervisor/kept.h"
#include "supervisor/schedule.h"

struct desired;

/* Borrowed; all must outlive it. */
struct desired_parts {
	const struct conf *conf; /* until desired_reconfigure() */
	struct kept *kept;
	struct fleet *fleet;
	struct schedule *schedule;
};

/* Takes the count that was kept, unless the option -n or a changed file says otherwise: option,
 * -n was given; again, this is not the first supervisor of its keeper, which has obeyed -n
 * already.  What was kept as paused stays paused, and so does a fleet of which that cannot be
 * read.  Changes neither fleet nor schedule before desired_begin().  Never NULL. */
struct desired *desired_new(const struct desired_parts *parts, bool option, bool again);
/* NULL is allowed. */
void desired_free(struct desired *d);
/* The workers of an earlier supervisor are known: drained agents are held, fleet and schedule
 * get the count. */
void desired_begin(struct desired *d);
/* After a reload: a count that differs from the old file's replaces the kept one, a lower
 * ceiling lowers it.  Returns whether the count has changed; conf replaces the one that was
 * given before. */
bool desired_reconfigure(struct desired *d, const struct conf *conf);

/* Agents that shall be up, and the revision of that count; of two counts the one with the higher
 * revision wins everywhere. */
unsigned int desired_count(const struct desired *d);
int64_t desired_revision(const struct desired *d);
/* By an operator's or the dashboard's wish. */
bool desired_is_paused(const struct desired *d);
bool desired_is_stopping(const struct desired *d);
/* The keeper has handed all workers over: desired_begin() has been called. */
bool desired_has_begun(const struct desired *d);

/* who: for the log, as in "uid=0 pid=7" or "dashboard". */
/* A new count.  Releases all drained agents.  now: runs of agents that go are cancelled. */
void desired_set(
	struct desired *d, unsigned int count, int64_t revision, bool now, const char *who);
/* No new runs, or new runs again.  With now the caller cancels the runs that go on; here it is
 * logged. */
void desired_pause(struct desired *d, bool paused, bool now, const char *who);
/* Drains the agent of this slot and name, and leaves it stopped until it is restarted or the
 * fleet is scaled. */
void desired_hold(struct desired *d, unsigned int slot, const char *name, const char *who);
/* New workers for these slots: at once, or rolling, in turns with their runs finished first. */
void desired_restart(
	struct desired *d, const unsigned int *slots, size_t count, bool rolling, const char *who);
/* Drains and stops all agents, for good; now: without waiting for runs. */
void desired_stop(struct desired *d, bool now);

#endif
