/* SPDX-License-Identifier: MIT */
/* Joins a struct stream and a connection of libmicrohttpd, which reads it as its client takes
 * the bytes. */
#include "dashboard/http_stream.h"

#include <microhttpd.h>
#include <stdlib.h>

#include "common/mem.h"
#include "dashboard/stream.h"

#define BLOCK_BYTES (4 * 1024)

struct http_stream {
	struct stream *stream;
	struct MHD_Connection *connection;
	struct http_stream **place;
	bool sleeps;
	bool gone; /* nobody reads any more */
};

/* MHD_ContentReaderCallback: a stream without anything to send suspends its connection.  After
 * an error the library closes the connection without the last, empty chunk (RFC 9112 7.1). */
static ssize_t read_stream(void *arg, uint64_t position, char *buf, size_t size)
{
	struct http_stream *s = arg;
	ssize_t n = s->gone ? STREAM_END : s->stream->read(s->stream->state, buf, size);

	(void)position;
	if (n == STREAM_CUT)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0 && s->stream->waits) {
		s->sleeps = true;
		MHD_suspend_connection(s->connection);
	}
	return n;
}

/* MHD_ContentReaderFreeCallback */
static void free_stream(void *arg)
{
	struct http_stream *s = arg;

	s->stream->close(s->stream->state);
	*s->place = NULL;
	free(s);
}

static void resume(struct http_stream *s)
{
	if (!s->sleeps)
		return;
	s->sleeps = false;
	MHD_resume_connection(s->connection);
}

static void wake(struct stream *stream)
{
	resume(stream->reader);
}

struct MHD_Response *http_stream_response(
	struct MHD_Connection *c, struct stream *stream, struct http_stream **place)
{
	struct http_stream *s = x_calloc(1, sizeof(*s));

	*s = (struct http_stream){.stream = stream, .connection = c, .place = place};
	*place = s;
	stream->wake = wake;
	stream->reader = s;
	return MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, s, free_stream);
}

bool http_stream_sleeps(const struct http_stream *s)
{
	return s->sleeps;
}

void http_stream_end(struct http_stream *s)
{
	if (!s->sleeps)
		return;
	s->gone = true;
	resume(s);
}
