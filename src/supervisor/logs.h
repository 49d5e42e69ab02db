/* SPDX-License-Identifier: MIT */
/* Clients that read what agents' k6 have written: once, or as it comes. */
#ifndef K6FLEET_LOGS_H
#define K6FLEET_LOGS_H

#include <stdbool.h>
#include <stddef.h>

#include "supervisor/control.h"

struct logs;

struct logs *logs_new(struct supervisor *sup);
void logs_free(struct logs *l);
/* slots: which agents.  Without follow the answer is {"logs":[{"agent","run","text"}]}; with it each
 * piece comes as progress of that form until the client goes. */
void logs_watch(struct logs *l, struct control_ticket ticket, const unsigned int *slots,
	size_t count, bool follow);
/* From a worker. */
void logs_take(struct logs *l, unsigned int slot, const char *run_id, bool first, const char *text,
	size_t len);
/* A new worker knows of nobody who follows. */
void logs_worker_came(struct logs *l, unsigned int slot);
/* Once a second: clients that have gone, workers that do not answer. */
void logs_tick(struct logs *l);

#endif
