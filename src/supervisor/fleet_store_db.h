/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's database, statement by statement; the only file of the supervisor that knows SQLite.  One thread at
 * a time uses it.  What and when is store.c's to say.
 */
#ifndef K6FLEET_FLEET_STORE_DB_H
#define K6FLEET_FLEET_STORE_DB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "supervisor/runs.h"

struct fleet_store_db;

/* What a statement takes, and what comes of it.  Each function says what is where. */
struct fleet_store_task {
	char *text[7];
	int64_t number[3];
	json_t *result;
};

typedef int fleet_store_db_work(
	struct fleet_store_db *db, struct fleet_store_task *t, struct err *err);

/* Opens or makes it, with the schema of this version. */
struct fleet_store_db *fleet_store_db_open(const char *path, struct err *err);
void fleet_store_db_close(struct fleet_store_db *db);
/* Whether runs that are put from now on wait to be acknowledged. */
void fleet_store_db_use_outbox(struct fleet_store_db *db, bool use);
int fleet_store_db_begin(struct fleet_store_db *db, struct err *err);
int fleet_store_db_commit(struct fleet_store_db *db, struct err *err);
/* After an error: true, it was for want of space. */
bool fleet_store_db_rollback(struct fleet_store_db *db);
/* Records that are not acknowledged; fallback when that cannot be told. */
int64_t fleet_store_db_count_outbox(struct fleet_store_db *db, int64_t fallback);

/* text: key, value. */
fleet_store_db_work fleet_store_db_meta_set;
/* text: target's id; number: wall ms. */
fleet_store_db_work fleet_store_db_origin_set;
/* text: id, status, agent, target's id and label, record, log or NULL; number: when, wall ms. */
fleet_store_db_work fleet_store_db_put_run;
/* number: how many at most; result: [{"rev", "run"}]. */
fleet_store_db_work fleet_store_db_fetch_outbox;
/* result: [[id, rev]], what was acknowledged. */
fleet_store_db_work fleet_store_db_ack;
/* number: how many, failed ones only; text: target or "", agent or ""; result: records, newest first. */
fleet_store_db_work fleet_store_db_list;
/* text: id, or its end; result: the record with its log, or null. */
fleet_store_db_work fleet_store_db_get;
/* result: {"agents": {name: status}, "targets": {id: bytes}}. */
fleet_store_db_work fleet_store_db_last_results;
/* number: older than wall ms, more than bytes; number[2] becomes how many went. */
fleet_store_db_work fleet_store_db_prune;
/* number: bytes that must find a place. */
fleet_store_db_work fleet_store_db_probe;

/* Before the thread is started.  The caller frees; NULL: there is none. */
char *fleet_store_db_meta_get(struct fleet_store_db *db, const char *key);
/* Fills out; returns 0, or -1 with err. */
int fleet_store_db_running(struct fleet_store_db *db, struct run_list *out, struct err *err);
/* New reference; NULL and err. */
json_t *fleet_store_db_origins(struct fleet_store_db *db, struct err *err);

#endif
