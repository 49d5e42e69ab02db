/* SPDX-License-Identifier: MIT */
/* The dashboard's orders to this host: run, cancel, pause, resume.  Each is carried out once, whatever is
 * asked twice or dies in between. */
#ifndef K6FLEET_COMMANDS_H
#define K6FLEET_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>

#include "supervisor/supervisor.h"

struct commands;

struct commands *commands_new(struct supervisor *sup);
void commands_free(struct commands *c);
/* The "commands" of a poll's answer: what is new is carried out.  True: something is to be acknowledged
 * soon. */
bool commands_take(struct commands *c, const json_t *list);
/* Tries again what could not be done yet; true as above. */
bool commands_retry(struct commands *c);
/* Ids to be acknowledged; new reference. */
json_t *commands_done(const struct commands *c);
/* The dashboard has heard of these. */
void commands_acknowledged(struct commands *c, const json_t *ids);

#endif
