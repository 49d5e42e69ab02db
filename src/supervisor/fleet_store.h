/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's memory: every run, the outbox of the runs that the dashboard has not
 * acknowledged, the desired count, known targets and the origins of their phases.  SQLite on a
 * thread of its own; many small writes share one commit.
 *
 * Callbacks run on the event loop's thread, after the function that took them has returned.  One
 * exception: while the queue is full (the disk hangs) a queued function calls its callback with
 * an error before it returns.
 */
#ifndef K6FLEET_FLEET_STORE_H
#define K6FLEET_FLEET_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/found.h"
#include "supervisor/runs.h"

struct fleet_store;
struct ev_loop;

/* err is NULL on success. */
typedef void fleet_store_done(void *arg, const struct err *err);
/* result is borrowed; NULL with err set when the read failed. */
typedef void fleet_store_result(void *arg, json_t *result, const struct err *err);

/* Opens the database in dir, which is a path or /proc/self/fd/N.  without_outbox: no dashboard
 * is configured, so every record counts as acknowledged.  Returns NULL with err;
 * fleet_store_close() frees. */
struct fleet_store *fleet_store_open(
	struct ev_loop *loop, const char *dir, bool without_outbox, struct err *err);
/* A dashboard has been configured: from now on records wait for its acknowledgement. */
void fleet_store_use_outbox(struct fleet_store *s);
/* Blocks until the thread has committed all queued tasks, and ends it.  No callback is called. */
void fleet_store_close(struct fleet_store *s);

/* --- before fleet_store_start(), which is asserted: synchronous --------------- */
/* FOUND: *value is the caller's to free.  FOUND_ERROR: nobody knows whether the key was set. */
enum found fleet_store_meta_get(
	struct fleet_store *s, const char *key, char **value, struct err *err);
/* Appends the runs that are `running` to out, oldest first.  Returns 0, or -1 with err. */
int fleet_store_running(struct fleet_store *s, struct run_list *out, struct err *err);
/* Sets *out to an object target id -> wall ms of its phase origin, a new reference.  Returns 0,
 * or -1 with err. */
int fleet_store_origins(struct fleet_store *s, json_t **out, struct err *err);
/* Starts the thread.  Returns 0, or -1 with err. */
int fleet_store_start(struct fleet_store *s, struct err *err);

/* --- queued ------------------------------------------------------------------ */
void fleet_store_meta_set(struct fleet_store *s, const char *key, const char *value);
void fleet_store_origin_set(struct fleet_store *s, const char *target_id, int64_t wall_ms);
/* Inserts the record of a run, or replaces it.  The run may change as soon as the function has
 * returned.  A NULL done is allowed. */
void fleet_store_put_run(
	struct fleet_store *s, const struct run *run, fleet_store_done *done, void *arg);
/* Oldest unacknowledged runs: array of {"rev": n, "run": {...}}. */
void fleet_store_fetch_outbox(
	struct fleet_store *s, int limit, fleet_store_result *done, void *arg);
/* acks: array of [id, rev].  A run that has changed since stays in the outbox. */
void fleet_store_ack(struct fleet_store *s, json_t *acks, fleet_store_done *done, void *arg);
/* Passes an array of records to done, newest first.  An empty filter matches all runs.
 * failed_only: only runs that have ended without success. */
void fleet_store_list_runs(struct fleet_store *s, int limit, const char *target, const char *agent,
	bool failed_only, fleet_store_result *done, void *arg);
/* One record with its log by its id or the end of its id, or JSON null when there is none. */
void fleet_store_get_run(
	struct fleet_store *s, const char *id, fleet_store_result *done, void *arg);
/* What the newest few thousand runs tell: {"agents": {agent: status of its last run}, "targets":
 * {target id: most memory that a run has used, in bytes}}. */
void fleet_store_last_results(struct fleet_store *s, fleet_store_result *done, void *arg);
/* Deletes acknowledged runs that are older than before_wall_ms, then the oldest while the
 * database has more than max_bytes; a few hundred at a time, so that no record waits for it. */
void fleet_store_prune(struct fleet_store *s, int64_t before_wall_ms, int64_t max_bytes);

/* --- whether it works --------------------------------------------------------- */
/* While the state is not FLEET_STORE_OK no run may be started: its record could be lost.  A
 * write that fails makes it FULL or FAILING until fleet_store_probe() succeeds, and so does a
 * device that fails to read.  Damaged data make it FAILING until the supervisor restarts. */
enum fleet_store_state { FLEET_STORE_OK, FLEET_STORE_FULL, FLEET_STORE_FAILING };
enum fleet_store_state fleet_store_state(const struct fleet_store *s);
const char *fleet_store_state_name(enum fleet_store_state state);
/* The error behind the state and what can be done about it, "" while the state is
 * FLEET_STORE_OK. */
const char *fleet_store_error(const struct fleet_store *s);
/* Makes the state FAILING until the supervisor restarts, and logs err with what can be
 * done about it. */
void fleet_store_fail(struct fleet_store *s, const struct err *err);
/* Queues a write that is larger than one record; FLEET_STORE_OK is back when it succeeds. */
void fleet_store_probe(struct fleet_store *s);

/* Records not yet acknowledged, as of the last commit. */
int64_t fleet_store_outbox_count(const struct fleet_store *s);

#endif
