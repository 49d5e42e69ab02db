/* SPDX-License-Identifier: MIT */
/* Reads the configuration again in a running keeper. */
#ifndef K6FLEET_KEEPER_RELOAD_H
#define K6FLEET_KEEPER_RELOAD_H

#include <stdint.h>

#include "keeper/keeper.h"

/* Reads and checks everything, then changes to it.  asker: the supervisor's number for the
 * client that waits, passed back in KEEPER_RELOADED; 0: a signal asked.  Returns 0, or -1 if the
 * new configuration is refused: nothing has changed, the reason is logged and sent to the
 * supervisor. */
int keeper_reload(struct keeper *k, uint64_t asker);
/* Sends the supervisor a refusal, with the reason, for this client. */
void keeper_reload_refuse(struct keeper *k, uint64_t asker, const char *why);

#endif
