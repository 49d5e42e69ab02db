/* SPDX-License-Identifier: MIT */
/* Reading the configuration again in a running keeper. */
#ifndef K6FLEET_KEEPER_RELOAD_H
#define K6FLEET_KEEPER_RELOAD_H

#include <stdint.h>

#include "keeper/keeper.h"

/* asker: the supervisor's name for who waits for the answer, 0: a signal.  -1: refused and said. */
int keeper_reload(struct keeper *k, uint64_t asker);
/* Answers somebody who waits that it will not be. */
void keeper_reload_refuse(struct keeper *k, uint64_t asker, const char *why);

#endif
