/* SPDX-License-Identifier: MIT */
/* The dashboard's commands to this host: run, cancel, pause, resume.  Each is carried out once,
 * even if it is sent twice or a process dies in between. */
#ifndef K6FLEET_COMMANDS_H
#define K6FLEET_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>

#include "supervisor/agents.h"
#include "supervisor/desired.h"
#include "supervisor/kept.h"
#include "supervisor/orders.h"
#include "supervisor/targets.h"

struct commands;

/* Borrowed; all must outlive it. */
struct commands_parts {
	struct kept *kept;
	const struct targets *targets;
	struct agents *agents;
	struct desired *desired;
	struct orders_parts orders;
};

/* Never NULL. */
struct commands *commands_new(const struct commands_parts *parts);
/* NULL is allowed. */
void commands_free(struct commands *c);
/* Carries out the new commands in list, the "commands" of a poll's response (borrowed).  Returns
 * whether something is to be acknowledged soon. */
bool commands_take(struct commands *c, const json_t *list);
/* Retries the commands that could not be carried out yet; returns as commands_take(). */
bool commands_retry(struct commands *c);
/* Ids to be acknowledged, an array; new reference. */
json_t *commands_done(const struct commands *c);
/* The dashboard has been told of these ids. */
void commands_acknowledged(struct commands *c, const json_t *ids);

#endif
