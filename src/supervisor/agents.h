/* SPDX-License-Identifier: MIT */
/* The supervisor's side of each worker: its socket, its heartbeat page, the run in its hands. */
#ifndef K6FLEET_AGENTS_H
#define K6FLEET_AGENTS_H

#include <jansson.h>
#include <stdint.h>

#include "common/err.h"
#include "common/msg.h"
#include "common/uuid.h"
#include "supervisor/runs.h"
#include "supervisor/supervisor.h"

/* Why a worker was started again, as the metric's label says it. */
#define AGENTS_RESTARTS(X) \
	X(EXIT, "exit") \
	X(SIGNAL, "signal") \
	X(KILLED, "killed") \
	X(REQUESTED, "requested")

enum agents_restart {
#define X(id, name) AGENTS_RESTART_##id,
	AGENTS_RESTARTS(X)
#undef X
		AGENTS_RESTART_COUNT
};

struct agents *agents_new(
	struct supervisor *sup, int hb_fd, struct run_list *running, struct err *err);
/* More slots, after max_workers was raised. */
void agents_grow(struct agents *a, unsigned int count);
void agents_free(struct agents *a);

/* From the keeper.  fd is taken over. */
void agents_on_worker(struct agents *a, const struct msg_keeper_worker *w, int fd);
void agents_on_exited(struct agents *a, const struct msg_keeper_exited *e);
void agents_on_spawn_failed(struct agents *a, uint32_t slot, uint64_t generation, const char *why);
/* All workers that there were have been handed over: what else is `running` is lost. */
void agents_on_handed_over(struct agents *a);

/* Cancels every run that is going on, and those that were about to begin. */
void agents_cancel_all(struct agents *a);
/* ... or that of one agent, whose partial result is kept. */
void agents_cancel(struct agents *a, unsigned int slot);
/* Id of the run in its hands; "" without one. */
const char *agents_run_id(const struct agents *a, unsigned int slot);
/* The slot that has the run of this id, or of this end of one, in its hands, or -1. */
int agents_find_run(const struct agents *a, const char *run_id);

/* Runs that somebody has asked for, of one target and with what was said for these alone. */
struct order {
	unsigned int refs; /* by agents that run it, and whoever hands it out */
	struct target *target;
	int64_t start_wall_ms;    /* that all wait for, 0: at once */
	int64_t vus, duration_ms; /* for a script, instead of its own; 0: its own */
};

/* Asks the worker for its k6's output, which comes by logs_take(); false: there is no worker. */
bool agents_ask_log(struct agents *a, unsigned int slot, enum msg_log what);
bool agents_is_idle(const struct agents *a, unsigned int slot);
/* Gives the idle agent a run of the order; id gets the run's. */
void agents_begin_order(
	struct agents *a, unsigned int slot, struct order *order, char id[UUID_MAX]);
void agents_order_unref(struct order *order);
/* NULL, or why the target may not be aimed at. */
const char *agents_forbidden(const struct agents *a, const struct target *t);
/* Does what the fleet wants and starts what the schedule says. */
void agents_pump(struct agents *a, int64_t now_mono_ms);
/* Reads all heartbeat pages; silent workers are reported to the fleet. */
void agents_check_heartbeats(struct agents *a, int64_t now_mono_ms);

/* Workers that a configuration or a binary has outdated are replaced as they fall idle: all, or
 * only those that the keeper handed over as such. */
void agents_renew(struct agents *a, bool only_stale);
/* The slot of an agent of that name, or -1. */
int agents_find(const struct agents *a, const char *name);
/* Name of a slot's agent. */
const char *agents_name(const struct agents *a, unsigned int slot);
/* Since this supervisor started. */
uint64_t agents_restart_count(const struct agents *a, enum agents_restart why);
extern const char *const agents_restart_names[AGENTS_RESTART_COUNT];
/* For status and for the dashboard; new references. */
/* Of those of these runs that go on: array of {"id","agent","elapsedMs","durationMs","vus",
 * "iterations"}. */
json_t *agents_progress(const struct agents *a, const json_t *ids);
json_t *agents_status(const struct agents *a);
json_t *agents_heartbeats(struct agents *a);
json_t *agents_registrations(const struct agents *a);

#endif
