/* SPDX-License-Identifier: MIT */
/* The loop watches the epoll descriptor of the daemon, and asks MHD_get_timeout(3) for a timeout
 * before each wait. */
#include "common/httpd.h"

#include <ev.h>
#include <microhttpd.h>
#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"

struct httpd {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	ev_io io;
	ev_prepare prepare;
	ev_timer timer;
};

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct httpd *h = io->data;

	(void)loop;
	(void)revents;
	MHD_run(h->daemon);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct httpd *h = timer->data;

	(void)loop;
	(void)revents;
	MHD_run(h->daemon);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct httpd *h = w->data;
	MHD_UNSIGNED_LONG_LONG ms;

	(void)revents;
	ev_timer_stop(loop, &h->timer);
	if (MHD_get_timeout(h->daemon, &ms) == MHD_YES) {
		ev_timer_set(&h->timer, (double)ms / 1000, 0.);
		ev_timer_start(loop, &h->timer);
	}
}

void httpd_log(void *arg, const char *fmt, va_list ap)
{
	static struct log_limit limit;
	char text[512];

	(void)arg;
	vsnprintf(text, sizeof(text), fmt, ap);
	if (log_limit_allows(&limit, 5))
		log_debug("http", "%s", text);
}

struct httpd *httpd_attach(struct ev_loop *loop, struct MHD_Daemon *daemon, struct err *err)
{
	const union MHD_DaemonInfo *info =
		daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	struct httpd *h;

	if (!info) {
		err_set(err, "cannot start the HTTP server");
		return NULL;
	}
	h = x_calloc(1, sizeof(*h));
	h->loop = loop;
	h->daemon = daemon;
	ev_io_init(&h->io, on_io, info->epoll_fd, EV_READ);
	h->io.data = h;
	ev_io_start(loop, &h->io);
	ev_init(&h->timer, on_timer);
	h->timer.data = h;
	ev_prepare_init(&h->prepare, on_prepare);
	h->prepare.data = h;
	ev_prepare_start(loop, &h->prepare);
	return h;
}

void httpd_detach(struct httpd *h)
{
	if (!h)
		return;
	ev_io_stop(h->loop, &h->io);
	ev_timer_stop(h->loop, &h->timer);
	ev_prepare_stop(h->loop, &h->prepare);
	free(h);
}
