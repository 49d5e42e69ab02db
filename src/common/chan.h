/* SPDX-License-Identifier: MIT */
/*
 * Sends and receives messages of msg.h over a SOCK_SEQPACKET socket, each with one descriptor at
 * most.  Never blocks: the sockets are non-blocking.
 */
#ifndef K6FLEET_CHAN_H
#define K6FLEET_CHAN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/msg.h"

/* CHAN_AGAIN: the socket is full (sending) or empty (receiving).  CHAN_EOF: the peer has closed
 * its end.  CHAN_ERROR sets err, which may be NULL everywhere. */
enum chan_result { CHAN_OK, CHAN_AGAIN, CHAN_EOF, CHAN_ERROR };

/* Makes two connected sockets, close-on-exec, which the caller closes.  Returns 0, or -1 and
 * err. */
int chan_pair(int fds[2], struct err *err);
/* Sends the message; it and fd stay the caller's.  fd -1: no descriptor is sent. */
enum chan_result chan_send(int chan, const struct msg_writer *msg, int fd, struct err *err);
/* Receives one message into buf, which has MSG_MAX_BYTES, and its size into *len.  *fd gets its
 * descriptor, which the caller closes, or -1.  With peek the message and its descriptor stay in
 * the socket, and *fd is -1. */
enum chan_result chan_recv(int chan, void *buf, size_t *len, int *fd, bool peek, struct err *err);

/* Messages that wait because the socket is full, in their order, CHAN_QUEUE_MAX at most. */
struct chan_queue {
	struct chan_item *head, **tail;
	size_t count;
};

#define CHAN_QUEUE_MAX 32768

void chan_queue_init(struct chan_queue *q);
/* Drops all messages and closes their descriptors. */
void chan_queue_clear(struct chan_queue *q);
/* Sends the message if none waits; keeps a copy of it and a duplicate of fd if it must wait.
 * Message and fd stay the caller's.  CHAN_AGAIN: it waits; the caller calls chan_queue_flush()
 * when the socket is writable.  CHAN_ERROR also if the queue is full. */
enum chan_result chan_queue_send(
	struct chan_queue *q, int chan, const struct msg_writer *msg, int fd, struct err *err);
/* Sends waiting messages until the socket is full.  CHAN_OK: none waits any more. */
enum chan_result chan_queue_flush(struct chan_queue *q, int chan, struct err *err);

#endif
