/* SPDX-License-Identifier: MIT */
/*
 * A SOCK_SEQPACKET end that carries messages of msg.h, one descriptor at most with each.
 * Never blocks: the descriptors are non-blocking and EAGAIN is an answer, not an error.
 */
#ifndef K6FLEET_CHAN_H
#define K6FLEET_CHAN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/msg.h"

enum chan_result { CHAN_OK, CHAN_AGAIN, CHAN_EOF, CHAN_ERROR };

int chan_pair(int fds[2], struct err *err);
/* fd -1: none goes along. */
enum chan_result chan_send(int chan, const struct msg_writer *msg, int fd, struct err *err);
/* One message into buf (MSG_MAX_BYTES); *fd gets its descriptor or -1, the caller's to close.
 * With peek it stays in the socket and carries no descriptor out. */
enum chan_result chan_recv(int chan, void *buf, size_t *len, int *fd, bool peek, struct err *err);

/* A bounded queue of messages that a full socket would not take yet. */
struct chan_queue {
	struct chan_item *head, **tail;
	size_t count;
};

#define CHAN_QUEUE_MAX 32768

void chan_queue_init(struct chan_queue *q);
void chan_queue_clear(struct chan_queue *q);
/* Sends at once when nothing waits, else keeps a copy; fd is duplicated if it must wait.
 * CHAN_AGAIN: kept, watch for writability.  CHAN_ERROR also when the queue is full. */
enum chan_result chan_queue_send(
	struct chan_queue *q, int chan, const struct msg_writer *msg, int fd, struct err *err);
/* Sends what waits, as far as the socket takes it. */
enum chan_result chan_queue_flush(struct chan_queue *q, int chan, struct err *err);

#endif
