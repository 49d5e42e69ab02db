/* SPDX-License-Identifier: MIT */
/* Numbers of agents, hosts and targets. */
#ifndef K6FLEET_DASHBOARD_STORE_OVERVIEW_H
#define K6FLEET_DASHBOARD_STORE_OVERVIEW_H

#include <jansson.h>

#include "dashboard/store_base.h"

/* Sets *counts to {"agents":{status: number},"hosts","targets"}, a new reference.  Returns 0, or
 * -1 with err. */
int dash_store_overview(struct dash_store *s, json_t **counts, struct err *err);

#endif
