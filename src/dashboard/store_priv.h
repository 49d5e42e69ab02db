/* SPDX-License-Identifier: MIT */
/* What the files of the store share. */
#ifndef K6FLEET_DASHBOARD_STORE_PRIV_H
#define K6FLEET_DASHBOARD_STORE_PRIV_H

#include "common/db.h"
#include "dashboard/counts.h"
#include "dashboard/store.h"

/* Numbers of names that were asked for lately; names are never deleted. */
#define DASH_STORE_NAMES_KEPT 1024
struct name_slot {
	char *host, *name; /* NULL: empty */
	int kind;
	int64_t no;
};

/* Prepared statements by where their text stands; they live until the store is closed. */
#define DASH_STORE_STMTS_KEPT 256
struct stmt_slot {
	const char *sql;
	sqlite3_stmt *st;
};

/* Hours that this transaction has marked to be rolled up. */
#define DASH_STORE_MARKS_KEPT 32
struct mark {
	int64_t hour;
	char target_id[256];
};

/* Pages of the log after which they are put in their places: few while hours are rolled up in the background, whom
 * nobody shall wait for, many while runs come in. */
#define DASH_STORE_LOG_PAGES 4000
#define DASH_STORE_LOG_PAGES_BACKGROUND 1000

struct dash_store {
	sqlite3 *db;
	struct rollup_job *job; /* an hour that is being rolled up, NULL: none */
	struct counts *counts;
	int64_t data_version; /* of the database, when the counts were right */
	struct name_slot names[DASH_STORE_NAMES_KEPT];
	struct stmt_slot stmts[DASH_STORE_STMTS_KEPT];
	struct mark marks[DASH_STORE_MARKS_KEPT];
	size_t mark_count; /* of all, the last ones are in marks; 0 outside of a transaction */
};

/* Statements are prepared once each and found again by their text, which is a literal.  NULL and err. */
sqlite3_stmt *dash_store_stmt(struct dash_store *s, const char *sql, struct err *err);

/* -1, with what SQLite says of the last call. */
int dash_store_fail(struct dash_store *s, struct err *err);
/* The number of a name, an agent's with its host; 0: there is none and none was to be added, -1 and err. */
enum dash_store_name { DASH_STORE_NAME_TARGET, DASH_STORE_NAME_AGENT };
int64_t dash_store_name_no(struct dash_store *s, enum dash_store_name kind, const char *host,
	const char *name, bool add, struct err *err);
/* Days of the counts: from 1 on; and when one begins, in ms. */
#define DASH_STORE_LAST_DAY 65535
uint16_t dash_store_day_of(int64_t ms);
int64_t dash_store_day_start(uint16_t day);
/* Columns target_no, agent_no, started_at, status, from `column` on. */
struct counts_key dash_store_count_key(sqlite3_stmt *st, int column);
/* Counts anew what another process may have changed. */
int dash_store_check_counts(struct dash_store *s, struct err *err);
/* Columns json, status, reason, error_message, agent of a run; new reference. */
json_t *dash_store_run_row(sqlite3_stmt *st);
/* Steps to a row.  False: there is none, with an empty err, or SQLite failed. */
bool dash_store_step_row(struct dash_store *s, sqlite3_stmt *st, struct err *err);
/* Counts all runs anew. */
int dash_store_count_all(struct dash_store *s, struct err *err);
/* Runs a statement with one parameter that answers target_no, agent_no, started_at, status of runs that come (sign 1)
 * or go (-1), and counts them. */
int dash_store_count_rows(struct dash_store *s, const char *sql, int64_t parameter, int sign,
	int64_t *n, struct err *err);
/* Columns target_no, agent_no, started_at of a run that was running and is given up. */
void dash_store_count_reaped(struct dash_store *s, sqlite3_stmt *st, int column);
json_t *dash_store_text_column(sqlite3_stmt *st, int column);
json_t *dash_store_int_column(sqlite3_stmt *st, int column);
/* JSON kept as text; null for NULL. */
json_t *dash_store_json_column(sqlite3_stmt *st, int column);
/* One integer of a query without parameters; fallback when there is no row. */
int64_t dash_store_get_int(struct dash_store *s, const char *sql, int64_t fallback);
int dash_store_set_meta(struct dash_store *s, const char *key, int64_t value, struct err *err);

/* A run has ended, or was corrected: its hour is to be rolled up.  Within the run's transaction. */
int dash_store_rollup_touch(
	struct dash_store *s, const struct dash_store_run *run, bool corrected, struct err *err);
/* The runs that the query names ("SELECT target_id, started_at FROM k6_runs …", one parameter) are about to be
 * deleted: what they have measured stays in the rollups. */
int dash_store_rollup_freeze(
	struct dash_store *s, const char *sql, int64_t parameter, struct err *err);
void dash_store_rollup_free(struct dash_store *s);
/* Before a rollback makes some of them wrong, and at the end. */
void dash_store_forget_names(struct dash_store *s);
/* The column as JSON: rows of earlier schemas have it as text. */
json_t *dash_store_quantiles_column(sqlite3_stmt *st, int column);
bool dash_store_quantiles_read(sqlite3_stmt *st, int column, double *out);

#endif
