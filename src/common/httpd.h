/* SPDX-License-Identifier: MIT */
/* A libmicrohttpd daemon on libev: no thread, no polling.  What it answers is its owner's. */
#ifndef K6FLEET_HTTPD_H
#define K6FLEET_HTTPD_H

#include <stdarg.h>

#include "common/err.h"

struct ev_loop;
struct MHD_Daemon;
struct httpd;

/* daemon: started with MHD_USE_EPOLL and without threads.  NULL with err. */
struct httpd *httpd_attach(struct ev_loop *loop, struct MHD_Daemon *daemon, struct err *err);
/* The daemon stays its owner's. */
void httpd_detach(struct httpd *h);
/* For MHD_OPTION_EXTERNAL_LOGGER: what clients do wrong, at level debug. */
void httpd_log(void *arg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#endif
