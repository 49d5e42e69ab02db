/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's database, statement by statement; the only file of the supervisor that knows SQLite.  One thread at
 * a time uses it.  What and when is store.c's to say.
 */
#ifndef K6FLEET_STORE_DB_H
#define K6FLEET_STORE_DB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "supervisor/runs.h"

struct store_db;

/* What a statement takes, and what comes of it.  Each function says what is where. */
struct store_task {
	char *text[7];
	int64_t number[3];
	json_t *result;
};

typedef int store_db_work(struct store_db *db, struct store_task *t, struct err *err);

/* Opens or makes it, with the schema of this version. */
struct store_db *store_db_open(const char *path, struct err *err);
void store_db_close(struct store_db *db);
/* Whether runs that are put from now on wait to be acknowledged. */
void store_db_use_outbox(struct store_db *db, bool use);
int store_db_begin(struct store_db *db, struct err *err);
int store_db_commit(struct store_db *db, struct err *err);
/* After an error: true, it was for want of space. */
bool store_db_rollback(struct store_db *db);
/* Records that are not acknowledged; fallback when that cannot be told. */
int64_t store_db_count_outbox(struct store_db *db, int64_t fallback);

/* text: key, value. */
store_db_work store_db_meta_set;
/* text: target's id; number: wall ms. */
store_db_work store_db_origin_set;
/* text: id, status, agent, target's id and label, record, log or NULL; number: when, wall ms. */
store_db_work store_db_put_run;
/* number: how many at most; result: [{"rev", "run"}]. */
store_db_work store_db_fetch_outbox;
/* result: [[id, rev]], what was acknowledged. */
store_db_work store_db_ack;
/* number: how many, failed ones only; text: target or "", agent or ""; result: records, newest first. */
store_db_work store_db_list;
/* text: id, or its end; result: the record with its log, or null. */
store_db_work store_db_get;
/* result: {"agents": {name: status}, "targets": {id: bytes}}. */
store_db_work store_db_last_results;
/* number: older than wall ms, more than bytes; number[2] becomes how many went. */
store_db_work store_db_prune;
/* number: bytes that must find a place. */
store_db_work store_db_probe;

/* Before the thread is started.  The caller frees; NULL: there is none. */
char *store_db_meta_get(struct store_db *db, const char *key);
/* Fills out; returns 0, or -1 with err. */
int store_db_running(struct store_db *db, struct run_list *out, struct err *err);
/* New reference; NULL and err. */
json_t *store_db_origins(struct store_db *db, struct err *err);

#endif
