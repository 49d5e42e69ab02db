/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's memory: every run, the outbox of what the dashboard has not acknowledged,
 * the desired count, known targets and the origins of their phases.  SQLite on a thread of its
 * own; many small writes share one commit.  Callbacks come on the event loop's thread.
 */
#ifndef K6FLEET_FLEET_STORE_H
#define K6FLEET_FLEET_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "supervisor/runs.h"

struct fleet_store;
struct ev_loop;

/* err is NULL on success. */
typedef void fleet_store_done(void *arg, const struct err *err);
/* result is borrowed; NULL with err set when the read failed. */
typedef void fleet_store_result(void *arg, json_t *result, const struct err *err);

/* dir is /proc/self/fd/N or a path.  without_outbox: no dashboard is configured, so every
 * record counts as acknowledged. */
struct fleet_store *fleet_store_open(
	struct ev_loop *loop, const char *dir, bool without_outbox, struct err *err);
/* A dashboard has been configured: from now on records wait for its acknowledgement. */
void fleet_store_use_outbox(struct fleet_store *s);
/* Ends the thread after what is queued is committed. */
void fleet_store_close(struct fleet_store *s);

/* --- before the loop runs: synchronous -------------------------------------- */
/* The caller frees; NULL when never set. */
char *fleet_store_meta_get(struct fleet_store *s, const char *key);
/* Fills out with the runs that are still `running`; run_list_clear() frees it.  Returns 0, or -1 with err. */
int fleet_store_running(struct fleet_store *s, struct run_list *out, struct err *err);
/* Object target id -> wall ms of its phase origin; new reference, NULL on error. */
json_t *fleet_store_origins(struct fleet_store *s, struct err *err);
/* Starts the thread. */
int fleet_store_start(struct fleet_store *s, struct err *err);

/* --- queued ------------------------------------------------------------------ */
void fleet_store_meta_set(struct fleet_store *s, const char *key, const char *value);
void fleet_store_origin_set(struct fleet_store *s, const char *target_id, int64_t wall_ms);
/* Inserts or replaces the record of a run.  A NULL done is allowed. */
void fleet_store_put_run(
	struct fleet_store *s, const struct run *run, fleet_store_done *done, void *arg);
/* Oldest unacknowledged runs: array of {"rev": n, "run": {...}}. */
void fleet_store_fetch_outbox(
	struct fleet_store *s, int limit, fleet_store_result *done, void *arg);
/* acks: array of [id, rev].  A run that has changed since stays in the outbox. */
void fleet_store_ack(struct fleet_store *s, json_t *acks, fleet_store_done *done, void *arg);
/* Newest first; empty filters match all.  failed_only: neither running nor success. */
void fleet_store_list_runs(struct fleet_store *s, int limit, const char *target, const char *agent,
	bool failed_only, fleet_store_result *done, void *arg);
/* One run with its log, or JSON null. */
void fleet_store_get_run(
	struct fleet_store *s, const char *id, fleet_store_result *done, void *arg);
/* What the newest few thousand runs tell: {"agents": {agent: status of its last run}, "targets":
 * {target id: most memory that a run has used, in bytes}}. */
void fleet_store_last_results(struct fleet_store *s, fleet_store_result *done, void *arg);
/* Deletes acknowledged runs that are older than before_wall_ms, then the oldest while what is stored
 * is more than max_bytes; a few hundred at a time, so that no record waits for it.  done: when there
 * is nothing left to delete. */
void fleet_store_prune(struct fleet_store *s, int64_t before_wall_ms, int64_t max_bytes);

/* Whether records can be written.  While they cannot, no run may be started: its record would be
 * lost.  fleet_store_probe() tries again, with more than one record needs. */
enum fleet_store_state { FLEET_STORE_OK, FLEET_STORE_FULL, FLEET_STORE_FAILING };
enum fleet_store_state fleet_store_state(const struct fleet_store *s);
const char *fleet_store_state_name(enum fleet_store_state state);
/* What went wrong, "" while nothing does. */
const char *fleet_store_error(const struct fleet_store *s);
void fleet_store_probe(struct fleet_store *s);

/* Records not yet acknowledged, as of the last commit. */
int64_t fleet_store_outbox_count(const struct fleet_store *s);

#endif
