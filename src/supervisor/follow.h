/* SPDX-License-Identifier: MIT */
/* Clients that want to see how certain runs go on and what becomes of them. */
#ifndef K6FLEET_FOLLOW_H
#define K6FLEET_FOLLOW_H

#include <jansson.h>

#include "supervisor/control.h"

struct follow;

struct follow *follow_new(struct supervisor *sup);
void follow_free(struct follow *f);
/* Answers with the run objects, in the order of the ids, when all have ended; before that progress once a
 * second. */
void follow_runs(struct follow *f, struct control_ticket ticket, const json_t *ids);
/* A run has ended. */
void follow_changed(struct follow *f);
/* Once a turn of the loop: answers who has nothing to wait for any more. */
void follow_settle(struct follow *f);
/* Once a second: progress. */
void follow_tick(struct follow *f);

#endif
