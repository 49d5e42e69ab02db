/* SPDX-License-Identifier: MIT */
/* Responses that are streamed, on libmicrohttpd: a connection without anything to send sleeps. */
#ifndef K6FLEET_DASHBOARD_HTTP_STREAM_H
#define K6FLEET_DASHBOARD_HTTP_STREAM_H

#include <stdbool.h>

struct MHD_Connection;
struct MHD_Response;
struct http_stream;
struct stream;

/* Returns a response for the connection that reads the stream, and closes it in the end; NULL
 * when memory is short.  *place is the http_stream until then, and NULL afterwards. */
struct MHD_Response *http_stream_response(
	struct MHD_Connection *c, struct stream *stream, struct http_stream **place);
/* Returns whether the connection sleeps: the library does not look at it. */
bool http_stream_sleeps(const struct http_stream *s);
/* Ends a stream whose connection sleeps: the client is gone, or the server stops. */
void http_stream_end(struct http_stream *s);

#endif
