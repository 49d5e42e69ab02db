/* SPDX-License-Identifier: MIT */
/*
 * The control socket: one JSON object a line.  The server greets with its version; each request
 * {"verb": ...} gets one line {"ok":true,"data":...} or {"ok":false,"code":...,"error":...}, with
 * {"progress":...} lines before it where it takes long.  Junk closes that client and no other.
 * Here are connections, lines and limits; what a request means is the handler's business.
 */
#ifndef K6FLEET_CONTROL_H
#define K6FLEET_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define CONTROL_PROTOCOL 1

struct ev_loop;
struct control;

/* Names the client of a request.  If the client is gone when its response is ready, the response
 * is dropped. */
struct control_ticket {
	struct control *control;
	uint64_t client;
};

/* One request, a JSON object, borrowed.  The handler calls control_respond() or control_refuse()
 * once, at once or later; the client's next request waits for that. */
typedef void control_handler(void *arg, struct control_ticket ticket, const json_t *request);

/* Never NULL; listen_fd stays the caller's.  Accepts nobody before control_start(). */
struct control *control_new(
	struct ev_loop *loop, int listen_fd, control_handler *handler, void *arg);
/* Closes all connections.  NULL is allowed. */
void control_free(struct control *c);
/* control_group and control_read_group; -1: none. */
void control_set_groups(struct control *c, gid_t control, gid_t read);
/* Accepts clients from now on: not before the workers have been handed over, or a request would
 * meet a fleet that looks empty.  Until then clients wait in the socket. */
void control_start(struct control *c);
/* Sends queued output to each client as far as its socket accepts it without blocking. */
void control_flush(struct control *c);

/* Sends the response {"ok":true,"data":data}.  Takes over data, also if the client is gone. */
void control_respond(struct control_ticket ticket, json_t *data);
/* The response, {"ok":false,...}: code is usage, refused or denied; the text is for people. */
void control_refuse(struct control_ticket ticket, const char *code, const char *fmt, ...)
	_printf_(3, 4);
/* {"progress": data} before the response; data is taken over. */
void control_progress(struct control_ticket ticket, json_t *data);
/* Whether the client is still connected. */
bool control_is_open(struct control_ticket ticket);
/* Whether the client is gone or reads so slowly that more progress should not be queued for it. */
bool control_is_behind(struct control_ticket ticket);
/* Whether something is still queued for the client. */
bool control_has_unsent(struct control_ticket ticket);
/* Whether the client may change things; false for one that is only in control_read_group, or
 * gone. */
bool control_may_change(struct control_ticket ticket);
/* Returns "uid=N pid=N" for the log, "somebody" for a client that is gone; valid until the
 * client is closed. */
const char *control_peer(struct control_ticket ticket);

#endif
