/* SPDX-License-Identifier: MIT */
/* The supervisor's side of each worker: its socket, its heartbeat page, the run in its hands. */
#ifndef K6FLEET_AGENTS_H
#define K6FLEET_AGENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/msg.h"
#include "common/run.h"
#include "common/target.h"
#include "common/uuid.h"
#include "supervisor/fleet.h"
#include "supervisor/host_facts.h"
#include "supervisor/keeper_link.h"
#include "supervisor/runs.h"
#include "supervisor/schedule.h"
#include "supervisor/fleet_store.h"
#include "supervisor/targets.h"

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

extern const char *const agents_restart_names[AGENTS_RESTART_COUNT];

struct agents;

/* What others want to know.  Called from inside most functions below; none may be NULL. */
struct agents_events {
	void *arg;
	/* A record is final; once for each run.  run is borrowed. */
	void (*run_ended)(void *arg, const struct run *run);
	/* An agent has no run in its hands any more: its record is final and stored, or was
	 * never written. */
	void (*run_left)(void *arg);
	/* What a finished run has used. */
	void (*run_cost)(void *arg, int64_t cpu_ms, int64_t max_rss_bytes, int64_t tmp_bytes);
	/* A new worker has reported. */
	void (*worker_came)(void *arg, unsigned int slot);
	/* Output of a k6; first: it is from before agents_ask_log(). */
	void (*worker_log)(void *arg, unsigned int slot, const char *run_id, bool first,
		const char *text, size_t len);
	/* Most workers have died within a second. */
	void (*storm)(void *arg);
};

/* Borrowed; all must outlive it. */
struct agents_parts {
	struct ev_loop *loop;
	const struct conf *conf; /* until agents_reconfigure() */
	const struct host_facts *host;
	struct fleet *fleet;
	struct schedule *schedule;
	struct fleet_store *store;
	struct targets *targets;
	struct keeper_link *keeper;
	struct agents_events events;
};

/* hb_fd: the heartbeat pages, mapped; stays the caller's.  running: the runs that the store has
 * as running.  Each moves to the slot of its agent; a run without a slot, or whose slot has a
 * newer run, is stored as lost at once.  Returns NULL and err if the pages cannot be mapped. */
struct agents *agents_new(
	const struct agents_parts *parts, int hb_fd, struct run_list *running, struct err *err);
/* Takes more slots if max_workers was raised; conf replaces the one that was given before. */
void agents_reconfigure(struct agents *a, const struct conf *conf);
/* Closes the sockets, records nothing.  NULL is allowed. */
void agents_free(struct agents *a);

/* --- messages of the keeper ------------------------------------------------------- */
/* fd, the worker's socket, is taken over. */
void agents_on_worker(struct agents *a, const struct msg_keeper_worker *w, int fd);
void agents_on_exited(struct agents *a, const struct msg_keeper_exited *m);
void agents_on_spawn_failed(struct agents *a, const struct msg_keeper_spawn_failed *m);
/* All workers that there were have been handed over: what else is `running` is recorded as lost. */
void agents_on_handed_over(struct agents *a);

/* --- runs -------------------------------------------------------------------------- */
/* Cancels every run that goes on; one that has not begun ends unsent. */
void agents_cancel_all(struct agents *a);
/* The same for one agent, whose partial result is kept.  Does nothing if it has no run. */
void agents_cancel(struct agents *a, unsigned int slot);
/* Returns the id of the run in the agent's hands, "" without one; valid until the run ends. */
const char *agents_run_id(const struct agents *a, unsigned int slot);
/* Returns the slot that has the run of this id, or of this end of an id, in its hands, or -1. */
int agents_find_run(const struct agents *a, const char *run_id);

/* Runs that somebody has asked for, of one target and with what was said for these alone. */
struct order {
	unsigned int refs; /* by agents that run it, and whoever hands it out */
	struct target *target;
	int64_t start_wall_ms;    /* that all wait for, 0: at once */
	int64_t vus, duration_ms; /* for a script, instead of its own; 0: its own */
};

bool agents_is_idle(const struct agents *a, unsigned int slot);
/* Gives the idle agent a run of the order, takes a reference to the order, and writes the run's
 * id to `id`. The worker gets the run after its row is on disk. */
void agents_begin_order(
	struct agents *a, unsigned int slot, struct order *order, char id[UUID_MAX]);
/* Drops a reference; the last one frees the order.  NULL is allowed. */
void agents_order_unref(struct order *order);
/* Returns NULL, or why allowed_hosts forbids the target.  Static. */
const char *agents_forbidden(const struct agents *a, const struct target *t);
/* Asks the worker for its k6's output, which comes by events.worker_log(); false: there is no
 * worker. */
bool agents_ask_log(struct agents *a, unsigned int slot, enum msg_log what);

/* --- on and on ----------------------------------------------------------------------- */
/* Called once per turn of the loop: carries out the actions of the fleet and, with begin_runs,
 * starts the due runs. */
void agents_pump(struct agents *a, int64_t now_mono_ms, bool begin_runs);
/* Once a second: reads all heartbeat pages, tells the fleet which workers are silent. */
void agents_check_heartbeats(struct agents *a, int64_t now_mono_ms);
/* Replaces each worker when it becomes idle; with only_stale only the stale workers, which are
 * of an older epoch. */
void agents_renew(struct agents *a, bool only_stale);

/* --- names, for status and for the dashboard ------------------------------------------- */
/* Returns the slot of the agent of that name, or -1. */
int agents_find(const struct agents *a, const char *name);
/* Returns the name of a slot's agent; valid as long as a. */
const char *agents_name(const struct agents *a, unsigned int slot);
/* Since this supervisor started. */
uint64_t agents_restart_count(const struct agents *a, enum agents_restart why);
/* The functions below return new references. */
/* For the runs among ids (array of strings) that go on: array of
 * {"id","agent","elapsedMs","durationMs","vus", "iterations"}. */
json_t *agents_progress(const struct agents *a, const json_t *ids);
/* "agents" of the verb status. */
json_t *agents_status(const struct agents *a);
/* "agents" of the heartbeat to the dashboard.  Agents that have gone are in one more heartbeat,
 * as stopped. */
json_t *agents_heartbeats(struct agents *a);
/* "agents" of the registration. */
json_t *agents_registrations(const struct agents *a);

#endif
