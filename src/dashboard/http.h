/* SPDX-License-Identifier: MIT */
/* The HTTP server: libmicrohttpd on the event loop.  Knows limits and headers, no routes. */
#ifndef K6FLEET_DASHBOARD_HTTP_H
#define K6FLEET_DASHBOARD_HTTP_H

#include "common/err.h"
#include "dashboard/api.h"

struct ev_loop;
struct http;

/* Serves api on the socket, which it takes over. */
/* cert and key: PEM, for TLS; NULL: without. */
struct http *http_start(struct ev_loop *loop, int listen_fd, const char *cert, const char *key,
	struct api *api, struct err *err);
void http_stop(struct http *h);

#endif
