/* SPDX-License-Identifier: MIT */
/* Clients that read k6's output: once, or as a stream. */
#ifndef K6FLEET_LOGS_H
#define K6FLEET_LOGS_H

#include <stdbool.h>
#include <stddef.h>

#include "supervisor/agents.h"
#include "supervisor/control.h"

struct logs;

/* Never NULL.  The agents must outlive it. */
struct logs *logs_new(struct agents *agents);
/* Responds to nobody.  NULL is allowed. */
void logs_free(struct logs *l);
/* slots: the `count` agents to read from; copied.  Without follow the response is
 * {"logs":[{"agent","run","text"}]}: sent at once if no agent has a worker; else when all
 * workers have responded, or after some seconds with the pieces received so far.  With follow
 * each piece comes as progress of the form {"agent","run","text"} until the client goes; a
 * client that reads too slowly misses pieces and is told how many bytes. */
void logs_watch(struct logs *l, struct control_ticket ticket, const unsigned int *slots,
	size_t count, bool follow);
/* Output of a worker's k6; first: what there was before it was asked. */
void logs_take(struct logs *l, unsigned int slot, const char *run_id, bool first, const char *text,
	size_t len);
/* A slot has a new worker: asks it for output if a client follows the slot. */
void logs_worker_came(struct logs *l, unsigned int slot);
/* Once a second: drops clients that have gone, responds without workers that are silent. */
void logs_tick(struct logs *l);

#endif
