/* SPDX-License-Identifier: MIT */
/* The HTTP server: libmicrohttpd on the event loop.  Knows limits and headers; the calls are in
 * routes.c. */
#ifndef K6FLEET_DASHBOARD_HTTP_H
#define K6FLEET_DASHBOARD_HTTP_H

#include "common/err.h"

struct api;
struct ev_loop;
struct http;

/* Serves the calls on a listening socket, which it takes over.  cert and key are PEM texts for
 * TLS, or NULL; the caller may free them afterwards.  Returns NULL with err; http_stop() frees
 * the server. */
struct http *http_start(struct ev_loop *loop, int listen_fd, const char *cert, const char *key,
	struct api *api, struct err *err);
/* Closes all connections, streams included, and frees the server.  NULL is allowed. */
void http_stop(struct http *h);

#endif
