/* SPDX-License-Identifier: MIT */
/* All parts of the supervisor, for main.c, which makes and connects them, and for the verbs,
 * which may ask any of them. A part itself has only what its _new() was given. */
#ifndef K6FLEET_SUPERVISOR_H
#define K6FLEET_SUPERVISOR_H

#include "supervisor/agents.h"
#include "supervisor/commands.h"
#include "supervisor/control.h"
#include "supervisor/desired.h"
#include "supervisor/fleet_waits.h"
#include "supervisor/follow.h"
#include "supervisor/host_facts.h"
#include "supervisor/kept.h"
#include "supervisor/keeper_link.h"
#include "supervisor/logs.h"
#include "supervisor/metrics.h"
#include "supervisor/metrics_text.h"
#include "supervisor/orders.h"
#include "supervisor/reload.h"
#include "supervisor/fleet_store.h"
#include "supervisor/sync.h"
#include "supervisor/targets.h"
#include "supervisor/turn.h"

struct supervisor {
	struct ev_loop *loop;
	const struct conf *conf; /* in force; reload owns it */
	struct host_facts host;
	struct keeper_link *keeper;
	struct fleet_store *store;
	struct kept *kept;
	struct fleet *fleet;
	struct schedule *schedule;
	struct desired *desired;
	struct targets *targets;
	struct agents *agents;
	struct follow *follow;
	struct logs *logs;
	struct commands *commands;
	struct sync *sync;
	struct control *control;
	struct fleet_waits *waits;
	struct reload *reload;
	struct turn *turn;
	struct metrics metrics;
	/* Pointers to the above, for orders.c and metrics_text.c. */
	struct orders_parts orders;
	struct metrics_sources sources;
};

#endif
