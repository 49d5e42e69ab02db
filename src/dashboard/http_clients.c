/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd closes a connection that is silent.  A client that sends a byte now and then is
 * closed here, and so is a client that has left while its connection slept.  Only the socket is
 * shut down: the library finds that and closes it.
 */
#include "dashboard/http_clients.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/mem.h"
#include "common/units.h"
#include "dashboard/http_stream.h"

/* From the connection, or the end of the response before, until a request is complete. */
#define REQUEST_MAX_MS 60000
#define SWEEP_S 5.
/* With three quarters of the places taken, a client has less time. */
#define CROWD (HTTP_CLIENTS_MAX / 4 * 3)
#define CROWD_REQUEST_MAX_MS 2000
#define CROWD_SWEEP_S 0.5

struct http_client {
	LIST_ENTRY(http_client) entry;
	int fd;
	int64_t since_ms;           /* the connection, or the end of the response before */
	bool waiting;               /* for a response, or reads it */
	struct http_stream *stream; /* NULL: its response is not streamed */
};

struct http_clients {
	LIST_HEAD(client_list, http_client) list;
	unsigned int count;
	struct ev_loop *loop;
	ev_timer sweep;
};

static bool is_crowded(const struct http_clients *all)
{
	return all->count > CROWD;
}

/* Runs the timer while there is a client, and faster in a crowd. */
static void watch(struct http_clients *all)
{
	double pause_s = is_crowded(all) ? CROWD_SWEEP_S : SWEEP_S;

	if (ev_is_active(&all->sweep) && all->sweep.repeat <= pause_s)
		return;
	all->sweep.repeat = pause_s;
	ev_timer_again(all->loop, &all->sweep);
}

/* The library does not look at a connection that sleeps. */
static void end_if_gone(struct http_client *c)
{
	char byte;
	ssize_t n;

	if (!c->stream || !http_stream_sleeps(c->stream) || c->fd < 0)
		return;
	n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	http_stream_end(c->stream);
}

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct http_clients *all = timer->data;
	int64_t limit =
		units_now_mono_ms() - (is_crowded(all) ? CROWD_REQUEST_MAX_MS : REQUEST_MAX_MS);
	struct http_client *c;

	(void)revents;
	LIST_FOREACH (c, &all->list, entry) {
		if (!c->waiting && c->since_ms < limit && c->fd >= 0)
			shutdown(c->fd, SHUT_RDWR);
		end_if_gone(c);
	}
	timer->repeat = is_crowded(all) ? CROWD_SWEEP_S : SWEEP_S;
	if (LIST_EMPTY(&all->list))
		ev_timer_stop(loop, timer);
}

struct http_clients *http_clients_new(struct ev_loop *loop)
{
	struct http_clients *all = x_calloc(1, sizeof(*all));

	all->loop = loop;
	ev_init(&all->sweep, on_sweep);
	all->sweep.repeat = SWEEP_S;
	all->sweep.data = all;
	return all;
}

void http_clients_free(struct http_clients *all)
{
	ev_timer_stop(all->loop, &all->sweep);
	free(all);
}

struct http_client *http_clients_add(struct http_clients *all, int fd)
{
	struct http_client *c = x_calloc(1, sizeof(*c));

	c->fd = fd;
	c->since_ms = units_now_mono_ms();
	LIST_INSERT_HEAD(&all->list, c, entry);
	all->count++;
	watch(all);
	return c;
}

void http_clients_remove(struct http_clients *all, struct http_client *c)
{
	all->count--;
	LIST_REMOVE(c, entry);
	free(c);
}

void http_clients_set_waiting(struct http_client *c, bool waiting)
{
	if (!c)
		return;
	c->waiting = waiting;
	c->since_ms = units_now_mono_ms();
}

struct http_stream **http_clients_stream(struct http_client *c)
{
	return &c->stream;
}

void http_clients_end_streams(struct http_clients *all)
{
	struct http_client *c;

	LIST_FOREACH (c, &all->list, entry) {
		if (c->stream)
			http_stream_end(c->stream);
	}
}
