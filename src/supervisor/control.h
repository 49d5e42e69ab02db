/* SPDX-License-Identifier: MIT */
/*
 * The control socket: one JSON object a line.  The server greets with its version; each request
 * {"verb": ...} gets one line {"ok":true,"data":...} or {"ok":false,"code":...,"error":...}, with
 * {"progress":...} lines before it where it takes long.  Junk closes that client and no other.
 */
#ifndef K6FLEET_CONTROL_H
#define K6FLEET_CONTROL_H

#include <jansson.h>
#include <sys/types.h>

#include "common/err.h"
#include "supervisor/supervisor.h"

#define CONTROL_PROTOCOL 1

struct control;
struct control_client;

struct control *control_new(struct supervisor *sup, int listen_fd);
/* control_group and control_read_group; -1: none. */
void control_set_groups(struct control *c, gid_t control, gid_t read);
/* Takes clients in: not before the workers have been handed over, or an order would be given to a
 * fleet that looks empty.  Until then they wait in the socket. */
void control_start(struct control *c);
void control_free(struct control *c);
/* Sends what is ready, as far as each client takes it at once. */
void control_flush(struct control *c);
/* The fleet has changed: whoever waits for a count is told. */
void control_fleet_changed(struct control *c);

/* For verbs.c.  A client that asked may be gone before its answer is ready: answers go by a
 * ticket.  data is taken over. */
struct control_ticket {
	struct control *control;
	uint64_t client;
};

struct control_ticket control_ticket(struct control_client *client);
void control_answer(struct control_ticket ticket, json_t *data);
void control_refuse(struct control_ticket ticket, const char *code, const char *fmt, ...)
	_printf_(3, 4);
/* Holds the answer back until the fleet has what it wants; with renewals also until no worker
 * waits to be replaced. */
void control_wait_for_fleet(struct control_ticket ticket, bool renewals);
/* {"progress": ...} before the answer; data is taken over. */
void control_progress(struct control_ticket ticket, json_t *data);
/* Whether the client is still there. */
bool control_is_open(struct control_ticket ticket);
/* ... but reads more slowly than it is told. */
bool control_is_behind(struct control_ticket ticket);
/* Whether it is more than one of control_read_group. */
bool control_may_change(struct control_ticket ticket);
const char *control_peer(struct control_ticket ticket);

#endif
