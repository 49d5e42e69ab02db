/* SPDX-License-Identifier: MIT */
#include "supervisor/keeper_link.h"

#include <ev.h>
#include <poll.h>
#include <stdlib.h>

#include "common/chan.h"
#include "common/mem.h"

struct keeper_link {
	struct ev_loop *loop;
	int fd;
	struct keeper_link_events events;
	ev_io io;
	struct chan_queue out;
	bool lost;
	uint8_t buf[MSG_MAX_BYTES];
};

static void watch(struct keeper_link *k)
{
	ev_io_stop(k->loop, &k->io);
	if (k->lost)
		return;
	ev_io_set(&k->io, k->fd, EV_READ | (k->out.head ? EV_WRITE : 0));
	ev_io_start(k->loop, &k->io);
}

static void lose(struct keeper_link *k, const struct err *err)
{
	k->lost = true;
	watch(k);
	k->events.lost(k->events.arg, err);
}

void keeper_link_send(struct keeper_link *k, struct msg_writer *m)
{
	struct err err;

	switch (k->lost ? CHAN_OK : chan_queue_send(&k->out, k->fd, m, -1, &err)) {
	case CHAN_OK: break;
	case CHAN_AGAIN: watch(k); break;
	case CHAN_EOF: lose(k, NULL); break;
	case CHAN_ERROR: lose(k, &err); break;
	}
	msg_free(m);
}

void keeper_link_send_simple(struct keeper_link *k, enum msg_type type)
{
	struct msg_writer m = {0};

	msg_start(&m, type);
	keeper_link_send(k, &m);
}

void keeper_link_flush(struct keeper_link *k, int timeout_ms)
{
	struct pollfd pfd = {.fd = k->fd, .events = POLLOUT};
	enum chan_result res = CHAN_AGAIN;
	struct err err;

	while (k->out.head && res == CHAN_AGAIN && poll(&pfd, 1, timeout_ms) > 0)
		res = chan_queue_flush(&k->out, k->fd, &err);
}

static void receive(struct keeper_link *k)
{
	struct err err;
	size_t len;
	int fd;

	while (!k->lost) {
		switch (chan_recv(k->fd, k->buf, &len, &fd, false, &err)) {
		case CHAN_OK: k->events.message(k->events.arg, k->buf, len, fd); break;
		case CHAN_AGAIN: return;
		case CHAN_EOF: lose(k, NULL); break;
		case CHAN_ERROR: lose(k, &err); break;
		}
	}
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct keeper_link *k = io->data;
	struct err err;

	(void)loop;
	if (revents & EV_WRITE) {
		if (chan_queue_flush(&k->out, k->fd, &err) == CHAN_ERROR)
			lose(k, &err);
		watch(k);
	}
	if (revents & EV_READ)
		receive(k);
}

struct keeper_link *keeper_link_new(
	struct ev_loop *loop, int fd, const struct keeper_link_events *events)
{
	struct keeper_link *k = x_calloc(1, sizeof(*k));

	k->loop = loop;
	k->fd = fd;
	k->events = *events;
	chan_queue_init(&k->out);
	ev_init(&k->io, on_io);
	k->io.data = k;
	watch(k);
	return k;
}

void keeper_link_free(struct keeper_link *k)
{
	if (!k)
		return;
	ev_io_stop(k->loop, &k->io);
	chan_queue_clear(&k->out);
	free(k);
}
