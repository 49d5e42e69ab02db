/* SPDX-License-Identifier: MIT */
/* The keeper's end of the supervisor's socket: what the keeper sends through it, and how it
 * closes it. */
#ifndef K6FLEET_KEEPER_SUPERVISOR_LINK_H
#define K6FLEET_KEEPER_SUPERVISOR_LINK_H

#include <stdbool.h>

#include "common/msg.h"
#include "keeper/keeper.h"

/* Sends a message to the supervisor, or queues it while the socket is full; drops it where there
 * is no supervisor.  Frees the message; fd (-1: none) stays the caller's.  A supervisor whose
 * queue is full is killed, here and now. */
void supervisor_link_tell(struct keeper *k, struct msg_writer *m, int fd);
/* Sends KEEPER_WORKER for a used slot.  fresh: forked just now, on an order. */
void supervisor_link_tell_worker(struct keeper *k, unsigned int slot, bool fresh);
/* Sends KEEPER_SIGNAL. */
void supervisor_link_tell_signal(struct keeper *k, enum msg_signal what);
/* Closes the socket and drops what waits to be sent. */
void supervisor_link_drop(struct keeper *k);
/* Logs why, sends KILL and drops the link.  The rest happens when the process is reaped. */
void supervisor_link_kill(struct keeper *k, const char *why);
/* Stops the fleet as TERM does: the first call drains, the second ends all runs at once. */
void supervisor_link_stop(struct keeper *k);

#endif
