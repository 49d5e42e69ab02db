/* SPDX-License-Identifier: MIT */
/* The text of an event is made once, for all readers.  The id of an event is the start of the
 * process and a number, so a reader that comes back after a restart, or too late, is told to
 * read everything again. */
#include "dashboard/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/stream.h"

#define RING 4096
#define COMES_BACK_MS 600000
/* Limits the memory of large events: 4096 of them could have many megabytes. */
#define RING_BYTES (4 * 1024 * 1024)

static const char hello[] = "retry: 2000\n: connected\n\n";
static const char reset[] = "event: reset\ndata: {}\n\n";
static const char beat[] = ": still here\n\n";

struct event {
	char *text;
	size_t len;
};

struct reader {
	struct stream stream;
	struct events *all;
	LIST_ENTRY(reader) entry;
	uint64_t place;    /* number of the next event */
	size_t offset;     /* bytes of it that have been sent */
	const char *first; /* sent before any event; NULL: nothing */
	size_t first_offset;
	bool beat;
};

struct events {
	int64_t started_ms;
	struct event ring[RING];
	uint64_t oldest, next; /* numbers, from 1 */
	size_t bytes;
	LIST_HEAD(readers, reader) readers;
	unsigned int count;
	int64_t left_mono_ms; /* monotonic time when the last reader left; 0: there was none yet */
};

struct events *events_new(int64_t started_ms)
{
	struct events *e = x_calloc(1, sizeof(*e));

	e->started_ms = started_ms;
	e->oldest = e->next = 1;
	return e;
}

static void forget_oldest(struct events *e)
{
	struct event *ev = &e->ring[e->oldest++ % RING];

	e->bytes -= ev->len;
	free(ev->text);
	ev->text = NULL;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	while (e->oldest < e->next)
		forget_oldest(e);
	free(e);
}

bool events_wanted(const struct events *e)
{
	return e->count ||
		(e->left_mono_ms && units_now_mono_ms() - e->left_mono_ms < COMES_BACK_MS);
}

static void wake_all(struct events *e)
{
	struct reader *r;

	LIST_FOREACH (r, &e->readers, entry) {
		if (r->stream.wake)
			r->stream.wake(&r->stream);
	}
}

void events_publish(struct events *e, const char *name, json_t *data)
{
	_cleanup_free_ char *text = events_wanted(e) ? json_compact(data) : NULL;

	json_decref(data);
	events_publish_text(e, name, text);
}

void events_publish_text(struct events *e, const char *name, const char *text)
{
	struct event *ev;

	if (!events_wanted(e)) {
		while (e->oldest < e->next)
			forget_oldest(e);
		e->oldest = ++e->next;
		return;
	}
	if (e->next - e->oldest == RING)
		forget_oldest(e);
	ev = &e->ring[e->next % RING];
	ev->text = x_asprintf("id: %lld-%llu\nevent: %s\ndata: %s\n\n", (long long)e->started_ms,
		(unsigned long long)e->next, name, text);
	ev->len = strlen(ev->text);
	e->bytes += ev->len;
	e->next++;
	while (e->bytes > RING_BYTES && e->oldest + 1 < e->next)
		forget_oldest(e);
	wake_all(e);
}

void events_lost(struct events *e, const struct err *why)
{
	if (why->code != ERR_CORRUPT)
		events_publish_text(e, "reset", "{}");
}

/* Copies the rest of a text, from *offset on, behind the *n bytes of buf.  Returns whether all
 * of it fitted. */
static bool copy(const char *text, size_t len, size_t *offset, char *buf, size_t size, size_t *n)
{
	size_t part = len - *offset < size - *n ? len - *offset : size - *n;

	memcpy(buf + *n, text + *offset, part);
	*n += part;
	*offset += part;
	if (*offset < len)
		return false;
	*offset = 0;
	return true;
}

static ssize_t read_events(void *state, char *buf, size_t size)
{
	struct reader *r = state;
	struct events *e = r->all;
	size_t n = 0;

	if (r->first && copy(r->first, strlen(r->first), &r->first_offset, buf, size, &n))
		r->first = NULL;
	if (r->first)
		return (ssize_t)n;
	/* The next event has left the ring: the client reconnects and gets "reset". */
	if (r->place < e->oldest)
		return STREAM_END;
	while (r->place < e->next && n < size) {
		const struct event *ev = &e->ring[r->place % RING];

		if (copy(ev->text, ev->len, &r->offset, buf, size, &n))
			r->place++;
	}
	if (!n && r->beat && size >= sizeof(beat)) {
		memcpy(buf, beat, sizeof(beat) - 1);
		n = sizeof(beat) - 1;
	}
	r->beat = false;
	return (ssize_t)n;
}

static void close_reader(void *state)
{
	struct reader *r = state;

	LIST_REMOVE(r, entry);
	r->all->count--;
	r->all->left_mono_ms = units_now_mono_ms();
	free(r);
}

struct stream *events_open(struct events *e, const char *last_id)
{
	struct reader *r = x_calloc(1, sizeof(*r));
	long long started;
	unsigned long long number;

	r->all = e;
	r->stream = (struct stream){
		.read = read_events, .close = close_reader, .state = r, .waits = true};
	r->place = e->next;
	r->first = hello;
	if (last_id && *last_id) {
		if (sscanf(last_id, "%lld-%llu", &started, &number) == 2 &&
			started == e->started_ms && number + 1 >= e->oldest && number < e->next)
			r->place = number + 1;
		else
			r->first = reset;
	}
	LIST_INSERT_HEAD(&e->readers, r, entry);
	e->count++;
	return &r->stream;
}

void events_beat(struct events *e)
{
	struct reader *r;

	LIST_FOREACH (r, &e->readers, entry)
		r->beat = true;
	wake_all(e);
}

unsigned int events_readers(const struct events *e)
{
	return e->count;
}
