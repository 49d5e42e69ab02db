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

/* First of all: numbers of the hand-over that are empty are kept free for what a reload may bring. */
void reload_reserve_numbers(void);
/* Whether the keeper has handed that one over. */
bool reload_has_file(int fd);
/* What the keeper has handed over; NULL with err. */
struct conf *reload_read_config(struct err *err);
/* NULL without one; the caller wipes and frees. */
char *reload_read_secret(void);

/* Asks the keeper for it; the ticket is answered when it is done.  binary: the hand-over to the
 * programs on disk. */
void reload_ask(struct supervisor *sup, struct control_ticket ticket, bool binary);
/* KEEPER_FILE: fd takes the place of the one that was there. */
void reload_take_file(struct msg_reader *in, int fd);
/* KEEPER_RELOADED. */
void reload_done(struct supervisor *sup, struct msg_reader *in);
/* The programs on disk take over: who waits for that is told. */
void reload_handed_over(struct supervisor *sup);
void reload_free(struct supervisor *sup);

#endif
