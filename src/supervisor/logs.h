/* SPDX-License-Identifier: MIT */
/* Clients that read what agents' k6 have written: once, or as it comes. */
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
/* slots: of which agents, count of them, copied.  Without follow the response is
 * {"logs":[{"agent","run","text"}]}: at once if no agent has a worker, else when all have
 * answered, or after some seconds with what there is.  With follow each piece comes as progress
 * of the form {"agent","run","text"} until the client goes; a client that reads too slowly
 * misses pieces and is told how many bytes. */
void logs_watch(struct logs *l, struct control_ticket ticket, const unsigned int *slots,
	size_t count, bool follow);
/* Output of a worker's k6; first: what there was before it was asked. */
void logs_take(struct logs *l, unsigned int slot, const char *run_id, bool first, const char *text,
	size_t len);
/* A new worker has come, which knows of nobody who follows. */
void logs_worker_came(struct logs *l, unsigned int slot);
/* Once a second: drops clients that have gone, responds without workers that are silent. */
void logs_tick(struct logs *l);

#endif
