/* SPDX-License-Identifier: MIT */
/* What the files of the store share: the struct, statements, rows and columns.  Only store*.c
 * and store*.h include this file; no other file of the dashboard uses SQLite. */
#ifndef K6FLEET_DASHBOARD_STORE_PRIV_H
#define K6FLEET_DASHBOARD_STORE_PRIV_H

#include <jansson.h>
#include <stdbool.h>

#include "common/db.h"
#include "dashboard/store_base.h"

struct counts;
struct rollup_job;

/* Prepared statements, by the address of their text; they live until the store is closed. */
#define DASH_STORE_STMTS_KEPT 256
struct stmt_slot {
	const char *sql;
	sqlite3_stmt *st;
};

/* WAL size in pages that triggers a checkpoint: large while runs come in, since a page that is
 * written often is copied once then; small while hours are rolled up in the background, so that
 * no request waits for long. */
#define DASH_STORE_WAL_PAGES 4000
#define DASH_STORE_WAL_PAGES_BACKGROUND 1000

struct dash_store {
	sqlite3 *db;
	struct stmt_slot stmts[DASH_STORE_STMTS_KEPT];
	uint64_t transactions; /* that have ended by commit or rollback, or have begun */
	uint64_t rollbacks;
	struct err trouble; /* why the database has failed; code ERR_OTHER: it has not */
	dash_store_changed_fn *changed;
	void *changed_arg;
	struct counts *counts;            /* store_counts.c */
	int64_t counts_version;           /* PRAGMA data_version of the database that was counted */
	struct dash_store_names *names;   /* store_names.c */
	struct dash_store_rollup *rollup; /* store_rollup.c */
};

/* --- statements: store_base.c ------------------------------------------------------------- */

/* Returns the prepared statement of this text; prepares it at the first call.  Returns NULL with
 * err when the text cannot be prepared; the functions below then return -1 and keep this err. */
sqlite3_stmt *dash_store_stmt(struct dash_store *s, const char *sql, struct err *err);
/* As db_each(), db_one() and db_run() in common/db.h.  An error with the code ERR_CORRUPT or
 * ERR_IO, of SQLite or of row, is noted (dash_store_watch()): damage inside a row can be found
 * only by the function that reads it. */
int dash_store_each(
	struct dash_store *s, sqlite3_stmt *st, db_row_fn *row, void *arg, struct err *err);
enum found dash_store_one(
	struct dash_store *s, sqlite3_stmt *st, db_row_fn *row, void *arg, struct err *err);
int dash_store_run(struct dash_store *s, sqlite3_stmt *st, struct err *err);
/* Runs SQL text without parameters.  Returns 0, or -1 with err. */
int dash_store_exec(struct dash_store *s, const char *sql, struct err *err);
/* Reads one integer of a query without parameters into *out; *out is fallback when there is no
 * row or the value is NULL.  Returns 0, or -1 with err. */
int dash_store_get_int(
	struct dash_store *s, const char *sql, int64_t fallback, int64_t *out, struct err *err);
/* Returns 0, or -1 with err. */
int dash_store_set_meta(struct dash_store *s, const char *key, int64_t value, struct err *err);
/* Sets err to ERR_CORRUPT and notes the damage, as the functions above do; for tables that
 * contradict each other.  Returns -1. */
int dash_store_damaged(struct dash_store *s, const char *how, struct err *err);
/* Notes that the database can be read and written again. */
void dash_store_recovered(struct dash_store *s);

/* --- objects ------------------------------------------------------------------------------ */

/* Returns the row as JSON, a new reference; returns NULL with err when a value of it makes no
 * sense. */
typedef json_t *dash_store_make_fn(sqlite3_stmt *st, void *arg, struct err *err);
/* Sets *list to an array of all rows, a new reference.  Returns 0, or -1 with err and *list
 * unchanged. */
int dash_store_list(struct dash_store *s, sqlite3_stmt *st, dash_store_make_fn *make, void *arg,
	json_t **list, struct err *err);
/* Sets *object to the first row, a new reference.  Returns FOUND, NOT_FOUND, or FOUND_ERROR with
 * err. */
enum found dash_store_object(struct dash_store *s, sqlite3_stmt *st, dash_store_make_fn *make,
	void *arg, json_t **object, struct err *err);

/* --- columns ------------------------------------------------------------------------------ */

/* Text, a 64-bit integer or a double as JSON; JSON null for NULL.  New references. */
json_t *dash_store_text_column(sqlite3_stmt *st, int column);
json_t *dash_store_int_column(sqlite3_stmt *st, int column);
json_t *dash_store_real_column(sqlite3_stmt *st, int column);
/* JSON that was stored as text; JSON null for NULL.  Returns a new reference, or NULL with err
 * when it does not parse. */
json_t *dash_store_json_column(sqlite3_stmt *st, int column, struct err *err);
/* Returns a double, NAN for NULL. */
double dash_store_double_column(sqlite3_stmt *st, int column);

#endif
