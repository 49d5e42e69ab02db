/* SPDX-License-Identifier: MIT */
/*
 * The work of each turn of the loop, of each second and of each minute: starts due runs, reports
 * changes to keeper, dashboard and waiting clients, and ends the loop when the fleet has
 * stopped.
 */
#ifndef K6FLEET_TURN_H
#define K6FLEET_TURN_H

#include "supervisor/agents.h"
#include "supervisor/desired.h"
#include "supervisor/fleet_waits.h"
#include "supervisor/follow.h"
#include "supervisor/keeper_link.h"
#include "supervisor/logs.h"
#include "supervisor/obstacle.h"
#include "supervisor/schedule.h"
#include "supervisor/fleet_store.h"
#include "supervisor/sync.h"

struct turn;

/* Borrowed; all must outlive it. */
struct turn_parts {
	struct ev_loop *loop;
	const struct conf *conf; /* until turn_reconfigure() */
	struct keeper_link *keeper;
	struct fleet_store *store;
	struct fleet *fleet;
	struct schedule *schedule;
	struct desired *desired;
	struct agents *agents;
	struct sync *sync;
	struct fleet_waits *waits;
	struct follow *follow;
	struct logs *logs;
	struct obstacle_sources obstacle;
};

/* Never NULL.  Acts as soon as the loop runs; before desired_begin() it only pings the keeper,
 * prunes the store and looks after clients that read. */
struct turn *turn_new(const struct turn_parts *parts);
/* NULL is allowed. */
void turn_free(struct turn *t);
/* conf replaces the one that was given before. */
void turn_reconfigure(struct turn *t, const struct conf *conf);

#endif
