/* SPDX-License-Identifier: MIT */
/*
 * HTTP requests to one server on the event loop, by libcurl's multi interface.  No request blocks
 * the loop, not even a name look-up that hangs.
 */
#ifndef K6FLEET_HTTP_CLIENT_H
#define K6FLEET_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct ev_loop;
struct http_client;

struct http_client_config {
	const char *base_url;                           /* without a trailing slash */
	const char *bearer;                             /* copied; the caller wipes its own */
	const char *ca_file, *client_cert, *client_key; /* "" for none */
	const char *user_agent;
	int64_t timeout_ms;
};

struct http_reply {
	int status;       /* 0: no response, see error */
	const char *body; /* NUL-terminated, never NULL */
	size_t body_len;
	const char *etag;       /* "" when there was none */
	int64_t retry_after_ms; /* 0: not asked for */
	const char *error;      /* why there is no response */
};

typedef void http_done(void *arg, const struct http_reply *reply);

struct http_client *http_client_new(
	struct ev_loop *loop, const struct http_client_config *config, struct err *err);
/* Cancels requests under way; their callbacks are not called.  NULL is allowed. */
void http_client_free(struct http_client *c);
/* Sends a GET if body is NULL, else a POST.  path, body and etag are copied.  done is called
 * exactly once, never from inside this call; its reply is valid during the call. */
void http_client_send(struct http_client *c, const char *path, const char *body, const char *etag,
	http_done *done, void *arg);

#endif
