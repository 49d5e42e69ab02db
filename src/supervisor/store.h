/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's memory: every run, the outbox of what the dashboard has not acknowledged,
 * the desired count, known targets and the origins of their phases.  SQLite on a thread of its
 * own; many small writes share one commit.  Callbacks come on the event loop's thread.
 */
#ifndef K6FLEET_STORE_H
#define K6FLEET_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "supervisor/runs.h"

struct store;
struct ev_loop;

/* err is NULL on success. */
typedef void store_done(void *arg, const struct err *err);
/* result is borrowed; NULL with err set when the read failed. */
typedef void store_result(void *arg, json_t *result, const struct err *err);

/* dir is /proc/self/fd/N or a path.  without_outbox: no dashboard is configured, so every
 * record counts as acknowledged. */
struct store *store_open(
	struct ev_loop *loop, const char *dir, bool without_outbox, struct err *err);
/* A dashboard has been configured: from now on records wait for its acknowledgement. */
void store_use_outbox(struct store *s);
/* Ends the thread after what is queued is committed. */
void store_close(struct store *s);

/* --- before the loop runs: synchronous -------------------------------------- */
/* The caller frees; NULL when never set. */
char *store_meta_get(struct store *s, const char *key);
/* Fills out with the runs that are still `running`; run_list_clear() frees it.  Returns 0, or -1 with err. */
int store_running(struct store *s, struct run_list *out, struct err *err);
/* Object target id -> wall ms of its phase origin; new reference, NULL on error. */
json_t *store_origins(struct store *s, struct err *err);
/* Starts the thread. */
int store_start(struct store *s, struct err *err);

/* --- queued ------------------------------------------------------------------ */
void store_meta_set(struct store *s, const char *key, const char *value);
void store_origin_set(struct store *s, const char *target_id, int64_t wall_ms);
/* Inserts or replaces the record of a run.  A NULL done is allowed. */
void store_put_run(struct store *s, const struct run *run, store_done *done, void *arg);
/* Oldest unacknowledged runs: array of {"rev": n, "run": {...}}. */
void store_fetch_outbox(struct store *s, int limit, store_result *done, void *arg);
/* acks: array of [id, rev].  A run that has changed since stays in the outbox. */
void store_ack(struct store *s, json_t *acks, store_done *done, void *arg);
/* Newest first; empty filters match all.  failed_only: neither running nor success. */
void store_list_runs(struct store *s, int limit, const char *target, const char *agent,
	bool failed_only, store_result *done, void *arg);
/* One run with its log, or JSON null. */
void store_get_run(struct store *s, const char *id, store_result *done, void *arg);
/* What the newest few thousand runs tell: {"agents": {agent: status of its last run}, "targets":
 * {target id: most memory that a run has used, in bytes}}. */
void store_last_results(struct store *s, store_result *done, void *arg);
/* Deletes acknowledged runs that are older than before_wall_ms, then the oldest while what is stored
 * is more than max_bytes; a few hundred at a time, so that no record waits for it.  done: when there
 * is nothing left to delete. */
void store_prune(struct store *s, int64_t before_wall_ms, int64_t max_bytes);

/* Whether records can be written.  While they cannot, no run may be started: its record would be
 * lost.  store_probe() tries again, with more than one record needs. */
enum store_state { STORE_OK, STORE_FULL, STORE_FAILING };
enum store_state store_state(const struct store *s);
const char *store_state_name(enum store_state state);
/* What went wrong, "" while nothing does. */
const char *store_error(const struct store *s);
void store_probe(struct store *s);

/* Records not yet acknowledged, as of the last commit. */
int64_t store_outbox_count(const struct store *s);

#endif
