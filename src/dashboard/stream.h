/* SPDX-License-Identifier: MIT */
/* A response that is streamed: its length is not known when it starts.  Made by a handler, read
 * by the HTTP server. */
#ifndef K6FLEET_DASHBOARD_STREAM_H
#define K6FLEET_DASHBOARD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define STREAM_END (-1)
#define STREAM_CUT (-2)

struct stream {
	/* Writes up to size bytes to buf and returns their number.  Returns 0, only when `waits`
	 * is set, if there are none at the moment.  Returns STREAM_END after the last byte.
	 * Returns STREAM_CUT when the rest cannot be read: the connection is closed in the
	 * middle of the response, so that the client does not take it for whole. */
	ssize_t (*read)(void *state, char *buf, size_t size);
	/* Frees the state, and the stream with it. */
	void (*close)(void *state);
	void *state;
	bool waits; /* the stream may have nothing to read for a while */
	/* Set by the HTTP server: the maker of a stream that waits calls it when there is
	 * something to read.  It does not call read(); NULL until the server has taken the
	 * stream. */
	void (*wake)(struct stream *stream);
	void *reader; /* the HTTP server's */
};

#endif
