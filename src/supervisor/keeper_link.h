/* SPDX-License-Identifier: MIT */
/*
 * The connection to the keeper: receives its messages on the loop, sends ours, queues what does
 * not fit into the socket at once.  What the messages mean is not its business.
 */
#ifndef K6FLEET_KEEPER_LINK_H
#define K6FLEET_KEEPER_LINK_H

#include <stddef.h>

#include "common/err.h"
#include "common/msg.h"

struct ev_loop;
struct keeper_link;

struct keeper_link_events {
	void *arg;
	/* One message, unchecked, valid during the call.  fd came along and belongs to the
	 * callback; -1: none did. */
	void (*message)(void *arg, const void *data, size_t len, int fd);
	/* The keeper has ended (err NULL) or the socket fails.  Nothing is received or sent any
	 * more; may be called from inside keeper_link_send() and need not return. */
	void (*lost)(void *arg, const struct err *err);
};

/* fd stays the caller's.  Never NULL; receives as soon as the loop runs. */
struct keeper_link *keeper_link_new(
	struct ev_loop *loop, int fd, const struct keeper_link_events *events);
/* Drops queued messages.  NULL is allowed. */
void keeper_link_free(struct keeper_link *k);
/* Sends the message or queues it, and frees it. */
void keeper_link_send(struct keeper_link *k, struct msg_writer *m);
/* A message without fields. */
void keeper_link_send_simple(struct keeper_link *k, enum msg_type type);
/* Blocks until all queued messages have been sent, timeout_ms for each attempt at most: for the
 * end, when no loop runs any more.  Without its last message the keeper would take this process
 * for one that has died. */
void keeper_link_flush(struct keeper_link *k, int timeout_ms);

#endif
