/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's database, statement by statement; no other file of the supervisor knows
 * SQLite.  One thread at a time uses it; fleet_store.c decides which and when.
 *
 * Functions that return int return 0, or -1 with err.  An error is never taken for "not there":
 * a damaged page, a device that fails and JSON that cannot be parsed give -1 or FOUND_ERROR; the
 * code of the last one is ERR_MALFORMED, not ERR_CORRUPT.
 */
#ifndef K6FLEET_FLEET_STORE_DB_H
#define K6FLEET_FLEET_STORE_DB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/found.h"
#include "supervisor/runs.h"

struct fleet_store_db;

/* Opens or creates the database and brings it to the schema of this version.  Returns NULL with
 * err on failure. */
struct fleet_store_db *fleet_store_db_open(const char *path, struct err *err);
void fleet_store_db_close(struct fleet_store_db *db);
/* Whether runs that are put from now on wait for the dashboard's acknowledgement.  Any thread
 * may call it. */
void fleet_store_db_use_outbox(struct fleet_store_db *db, bool use);
int fleet_store_db_begin(struct fleet_store_db *db, struct err *err);
int fleet_store_db_commit(struct fleet_store_db *db, struct err *err);
/* Undoes what has happened since fleet_store_db_begin(); without a transaction it does nothing. */
void fleet_store_db_rollback(struct fleet_store_db *db);

/* --- single reads --------------------------------------------------------------------- */
/* Counts the records that the dashboard has not acknowledged. */
int fleet_store_db_count_outbox(struct fleet_store_db *db, int64_t *out, struct err *err);
/* FOUND: *value is the caller's to free. */
enum found fleet_store_db_meta_get(
	struct fleet_store_db *db, const char *key, char **value, struct err *err);
/* Appends the runs that are `running` to out, oldest first. */
int fleet_store_db_running(struct fleet_store_db *db, struct run_list *out, struct err *err);
/* Sets *out to an object target id -> wall ms of its phase origin, a new reference. */
int fleet_store_db_origins(struct fleet_store_db *db, json_t **out, struct err *err);

/* --- tasks: what the store's thread does within a transaction ---------------------------- */

/* X(NAME, name, whether it writes) */
#define FLEET_STORE_TASKS(X) \
	X(META_SET, meta_set, true) \
	X(ORIGIN_SET, origin_set, true) \
	X(PUT_RUN, put_run, true) \
	X(FETCH_OUTBOX, fetch_outbox, false) \
	X(ACK, ack, true) \
	X(LIST_RUNS, list_runs, false) \
	X(GET_RUN, get_run, false) \
	X(LAST_RESULTS, last_results, false) \
	X(PRUNE, prune, true) \
	X(PROBE, probe, true)

enum fleet_store_task_type {
#define X(NAME, name, writes) FLEET_STORE_##NAME,
	FLEET_STORE_TASKS(X)
#undef X
		FLEET_STORE_TASK_COUNT
};

/* Texts are owned by the task. */
struct fleet_store_task {
	enum fleet_store_task_type type;
	union {
		struct {
			char *key, *value;
		} meta_set;
		struct {
			char *target_id;
			int64_t wall_ms;
		} origin_set;
		/* Inserts the record, or replaces it by its id. */
		struct {
			char *id, *agent, *target_id, *target_label, *json;
			char *log; /* NULL: none */
			enum run_status status;
			int64_t scheduled_ms;
		} put_run;
		/* result: array of {"rev": n, "run": {...}}, oldest first, at most limit, and at
		 * most 2 MiB unless one is larger. damaged: the id of a record that cannot be
		 * parsed; it is left out and does not count.  NULL: none. */
		struct {
			int limit;
			char *damaged;
		} fetch_outbox;
		/* Array of [id, rev]; a run that has changed since stays in the outbox. */
		struct {
			json_t *acks;
		} ack;
		/* result: array of records, newest first, without quantiles and logs. */
		struct {
			int limit;
			char *target, *agent; /* "": any; the target's id or label */
			bool failed_only;     /* neither running nor success */
		} list_runs;
		/* result: the record with its log, or JSON null when there is none. */
		struct {
			char *id; /* or the end of one (uuid_is_end()), for the newest such run */
		} get_run;
		/* result: {"agents": {name: status of its last run}, "targets": {id: largest
		 * memory of a run in bytes}}, of the newest few thousand runs. */
		struct {
			char none;
		} last_results;
		/* Deletes a few hundred acknowledged runs: those older than before_wall_ms, and
		 * the oldest while the database has more than max_bytes.  deleted: how many
		 * went. */
		struct {
			int64_t before_wall_ms, max_bytes, deleted;
		} prune;
		/* Replaces the content that the last probe wrote by so many bytes. */
		struct {
			int64_t bytes;
		} probe;
	};
	json_t *result; /* of a read, once it is done */
};

/* Whether tasks of the type write. */
bool fleet_store_task_writes(enum fleet_store_task_type type);
/* Does the task; between fleet_store_db_begin() and fleet_store_db_commit().  After an error it
 * may be done again. */
int fleet_store_db_do(struct fleet_store_db *db, struct fleet_store_task *task, struct err *err);
/* Frees what the task owns. */
void fleet_store_task_clear(struct fleet_store_task *task);

#endif
