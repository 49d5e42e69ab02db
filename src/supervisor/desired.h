/* SPDX-License-Identifier: MIT */
/*
 * What operators, the dashboard and the configuration want of the fleet: how many agents, paused
 * or not, which agents are held, whether all should stop.  Each change is applied to fleet and
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

/* Starts with the stored count, unless -n or a changed configuration file gives another.
 * option: -n was given; again: an earlier supervisor of this keeper has already applied -n.  A
 * fleet that was paused stays paused.  A fleet also counts as paused if the stored pause cannot
 * be read.  Changes neither fleet nor schedule before desired_begin().  Never NULL. */
struct desired *desired_new(const struct desired_parts *parts, bool option, bool again);
/* NULL is allowed. */
void desired_free(struct desired *d);
/* The workers of an earlier supervisor are known: held agents are stopped, fleet and schedule
 * get the count. */
void desired_begin(struct desired *d);
/* After a reload: if `workers` in the file has changed, it replaces the stored count; a lower
 * max_workers lowers the count.  Returns whether the count has changed; conf replaces the one
 * that was given before. */
bool desired_reconfigure(struct desired *d, const struct conf *conf);

/* The desired count and its revision.  Of two counts, the one with the higher revision applies. */
unsigned int desired_count(const struct desired *d);
int64_t desired_revision(const struct desired *d);
/* Return whether an operator or the dashboard has paused or is stopping the fleet. */
bool desired_is_paused(const struct desired *d);
bool desired_is_stopping(const struct desired *d);
/* The keeper has handed all workers over: desired_begin() has been called. */
bool desired_has_begun(const struct desired *d);

/* who: for the log, as in "uid=0 pid=7" or "dashboard". */
/* Sets the desired count and releases all held agents.  now: cancels the runs of agents that are
 * removed. */
void desired_set(
	struct desired *d, unsigned int count, int64_t revision, bool now, const char *who);
/* Pauses or resumes the fleet.  This function only logs now; the caller cancels the active
 * runs. */
void desired_pause(struct desired *d, bool paused, bool now, const char *who);
/* Drains the agent of this slot and name, and leaves it stopped until it is restarted or the
 * fleet is scaled. */
void desired_hold(struct desired *d, unsigned int slot, const char *name, const char *who);
/* Replaces the workers of these slots: at once, or with rolling a few at a time, each after its
 * run has ended. */
void desired_restart(
	struct desired *d, const unsigned int *slots, size_t count, bool rolling, const char *who);
/* Drains and stops all agents, for good; now: without waiting for runs. */
void desired_stop(struct desired *d, bool now);

#endif
