/* SPDX-License-Identifier: MIT */
/* Runs a libmicrohttpd daemon in a libev loop, without threads and without polling.  Its owner
 * starts and stops the daemon and handles the requests. */
#ifndef K6FLEET_HTTPD_H
#define K6FLEET_HTTPD_H

#include <stdarg.h>

#include "common/err.h"

struct ev_loop;
struct MHD_Daemon;
struct httpd;

/* Attaches a daemon that was started with MHD_USE_EPOLL and without threads.  Returns NULL and
 * err if daemon is NULL or has no epoll descriptor. */
struct httpd *httpd_attach(struct ev_loop *loop, struct MHD_Daemon *daemon, struct err *err);
/* Detaches and frees h (NULL is allowed); the daemon goes on to belong to its owner. */
void httpd_detach(struct httpd *h);
/* For MHD_OPTION_EXTERNAL_LOGGER: logs mistakes of clients at level debug, at a limited rate. */
void httpd_log(void *arg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#endif
