/* SPDX-License-Identifier: MIT */
/* SQLite for the supervisor's store and the dashboard's: opening a database, running statements,
 * reading rows. */
#ifndef K6FLEET_DB_H
#define K6FLEET_DB_H

#include <sqlite3.h>
#include <stdint.h>

#include "common/err.h"
#include "common/found.h"

/* Opens or creates the database (mode 0600), checks that it can be written, sets WAL and
 * synchronous=FULL (a commit survives a power cut), and runs the migrations that its
 * user_version has not had.  migrations[i] leads from version i to i+1.  A path below
 * /proc/self/fd/N works although its real directory cannot be reached by name.  Returns 0, and
 * *out is closed by sqlite3_close(); returns -1 with err, and nothing is open. */
int db_open(const char *path, const char *const migrations[], int count, sqlite3 **out,
	struct err *err);
/* Runs SQL text without parameters and drops its rows.  Returns 0, or -1 with err. */
int db_exec(sqlite3 *db, const char *sql, struct err *err);
/* Prepares a statement that lives until sqlite3_finalize().  Returns 0, or -1 with err and *out
 * NULL. */
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err);
/* Sets err to the message and code of the last call that failed: ERR_CORRUPT, ERR_IO,
 * ERR_NO_SPACE, ERR_BUSY, ERR_READ_ONLY, ERR_ACCESS or ERR_OTHER.  All functions here set their
 * err in this way.  Returns -1. */
int db_fail(sqlite3 *db, struct err *err);

/*
 * The four functions below are the only ones in k6fleet that step a statement (tests/lint.sh
 * checks it).  Each one resets the statement and clears its parameters before it returns.  With
 * stmt NULL each one returns -1 and leaves err as it is: db_prepare() has set it.
 */

/* Called with stmt on a row, whose columns are valid until the function returns.  It may run
 * other statements, but not this one.  Returns 0, or -1 with err, which ends the reading. */
typedef int db_row_fn(sqlite3_stmt *stmt, void *arg, struct err *err);
/* Calls row once for each row.  Returns 0 after the last one; returns -1 with err when SQLite or
 * row fails, possibly after some rows were handed over. */
int db_each(sqlite3_stmt *stmt, db_row_fn *row, void *arg, struct err *err);
/* Calls row (NULL: nothing) with the first row.  A statement that writes is run to its end.
 * Returns FOUND, NOT_FOUND when there is no row, or FOUND_ERROR with err when SQLite or row
 * fails. */
enum found db_one(sqlite3_stmt *stmt, db_row_fn *row, void *arg, struct err *err);
/* Reads the first column of the first row into *out.  Returns FOUND, NOT_FOUND when there is no
 * row or the column is NULL (*out stays as it is), or FOUND_ERROR with err. */
enum found db_one_int(sqlite3_stmt *stmt, int64_t *out, struct err *err);
/* Runs a statement whose rows, if any, nobody wants.  Returns 0, or -1 with err. */
int db_run(sqlite3_stmt *stmt, struct err *err);

/* Binds text, or NULL for a NULL pointer; the bytes must live until the statement is reset. */
void db_bind_text(sqlite3_stmt *stmt, int index, const char *text);
/* Returns the column as text, "" for NULL; valid until the next step. */
const char *db_column_text(sqlite3_stmt *stmt, int column);

#endif
