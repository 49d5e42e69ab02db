/* SPDX-License-Identifier: MIT */
/*
 * Reloads: the clients that asked for a reload, and the difference that a new configuration
 * makes.  The keeper reads and checks the file; the parts of the supervisor take the difference
 * in main.c.
 */
#ifndef K6FLEET_RELOAD_H
#define K6FLEET_RELOAD_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/msg.h"
#include "supervisor/control.h"
#include "supervisor/keeper_link.h"

struct reload;

/* old is freed after the call, conf is the next one's old. */
typedef void reload_apply(void *arg, const struct conf *old, const struct conf *conf);

/* Never NULL.  conf: the active configuration, taken over.  keeper must outlive the result. */
struct reload *reload_new(
	struct keeper_link *keeper, struct conf *conf, reload_apply *apply, void *arg);
/* Frees the configuration in force, too.  NULL is allowed. */
void reload_free(struct reload *r);
/* Asks the keeper for a reload; the ticket gets its response with reload_done() or
 * reload_handed_over().  binary: also hands over to the programs on disk. */
void reload_ask(struct reload *r, struct control_ticket ticket, bool binary);
/* KEEPER_RELOADED: reads the configuration that has been handed over, calls apply and responds. */
void reload_done(struct reload *r, const struct msg_keeper_reloaded *m);
/* The programs on disk take over: responds to all who wait. */
void reload_handed_over(struct reload *r);

#endif
