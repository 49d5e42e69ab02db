/* SPDX-License-Identifier: MIT */
/* Agents, as their hosts report them. */
#ifndef K6FLEET_DASHBOARD_STORE_AGENTS_H
#define K6FLEET_DASHBOARD_STORE_AGENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/body.h"
#include "dashboard/store_base.h"

/* Adds the agent or updates it, and writes its id of UUID_MAX bytes to id_out.  Within a
 * transaction.  Returns 0, or
 * -1 with err. */
int dash_store_register_agent(struct dash_store *s, const char *host,
	const struct body_agent_registration *agent, int64_t now_ms, char *id_out, struct err *err);
/* Updates status, run, restarts, memory and progress.  *news (NULL: nobody asks) becomes true
 * when status, run or progress differ from the heartbeat before.  Within a transaction.  Returns
 * FOUND, NOT_FOUND when the agent has not registered, or FOUND_ERROR with err. */
enum found dash_store_heartbeat(struct dash_store *s, const char *host,
	const struct body_agent_heartbeat *agent, int64_t now_ms, bool *news, struct err *err);
/* Sets *agent to the agent as the API has it, a new reference.  Returns FOUND, NOT_FOUND, or
 * FOUND_ERROR with err. */
enum found dash_store_get_agent(
	struct dash_store *s, const char *host, const char *name, json_t **agent, struct err *err);
/* Sets *list to an array of all agents, ordered by host, slot and name, a new reference.
 * Returns 0, or -1 with err. */
int dash_store_list_agents(struct dash_store *s, json_t **list, struct err *err);

#endif
