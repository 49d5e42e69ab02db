/* SPDX-License-Identifier: MIT */
/*
 * The configuration that the keeper has read, at the start and again: the supervisor applies the
 * difference and tells whoever asked what it was.
 */
#ifndef K6FLEET_RELOAD_H
#define K6FLEET_RELOAD_H

#include <stdbool.h>

#include "common/err.h"
#include "common/msg.h"
#include "supervisor/control.h"
#include "supervisor/supervisor.h"

/* Asks the keeper for it; the ticket is answered when it is done.  binary: the hand-over to the
 * programs on disk. */
void reload_ask(struct supervisor *sup, struct control_ticket ticket, bool binary);
/* KEEPER_RELOADED. */
void reload_done(struct supervisor *sup, struct msg_reader *in);
/* The programs on disk take over: who waits for that is told. */
void reload_handed_over(struct supervisor *sup);
void reload_free(struct supervisor *sup);

#endif
