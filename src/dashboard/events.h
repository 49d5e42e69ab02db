/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).  All
 * readers share one ring of the last events and have a place in it, so a reader costs a few
 * bytes.  A reader that falls behind the ring is disconnected.
 */
#ifndef K6FLEET_DASHBOARD_EVENTS_H
#define K6FLEET_DASHBOARD_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct events;
struct stream;

/* started_ms, the wall time of the start, makes the ids differ from ids of earlier processes. */
struct events *events_new(int64_t started_ms);
/* All readers must have been closed.  NULL is allowed. */
void events_free(struct events *e);
/* Adds an event to the ring and wakes the readers, which read it later.  name is "agent", "run",
 * "target" or "config"; takes the reference over. */
void events_publish(struct events *e, const char *name, json_t *data);
/* The same with JSON as text, which is copied. */
void events_publish_text(struct events *e, const char *name, const char *text);
/* An event cannot be made, because its object could not be read (why).  Tells the readers to read
 * everything again ("reset"), except for damage: reading it again would fail for each of them,
 * and once more with each heartbeat.  They get 503 when they ask for the object. */
void events_lost(struct events *e, const struct err *why);
/* Returns the stream of a new reader; its close() frees it.  The stream begins behind the event
 * last_id, or with the next event when last_id is NULL; when last_id is not in the ring, it
 * begins with the event "reset". */
struct stream *events_open(struct events *e, const char *last_id);
/* Sends a comment to all readers, so that both sides notice a connection that has broken.
 * Called every 15 s. */
void events_beat(struct events *e);
/* Returns whether there is a reader, or was one within the last ten minutes, who may come back.
 * If not, the ring is empty, and publishing costs nothing. */
bool events_wanted(const struct events *e);
/* Returns the number of readers. */
unsigned int events_readers(const struct events *e);

#endif
