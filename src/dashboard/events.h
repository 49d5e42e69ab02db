/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).  All readers look into
 * one ring of the last events, each at a place of its own: a thousand readers cost a thousand numbers, and
 * one that falls behind the ring is cut.
 */
#ifndef K6FLEET_DASHBOARD_EVENTS_H
#define K6FLEET_DASHBOARD_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct events;
struct stream;

/* started_ms tells the events of this process from those of earlier ones. */
struct events *events_new(int64_t started_ms);
void events_free(struct events *e);
/* name: "agent", "run", "target" or "config"; data is taken over. */
void events_publish(struct events *e, const char *name, json_t *data);
/* The same with JSON as text. */
void events_publish_text(struct events *e, const char *name, const char *text);
/* A reader that goes on behind last_id, or NULL: with what comes from now on. */
struct stream *events_open(struct events *e, const char *last_id);
/* Every quarter of a minute: a line that shows both sides whether the other is there. */
void events_beat(struct events *e);
/* Whether somebody reads, or did lately and may come back: else nothing is kept, and who comes back later is told
 * to read everything anew. */
bool events_wanted(const struct events *e);
/* How many readers there are. */
unsigned int events_readers(const struct events *e);

#endif
