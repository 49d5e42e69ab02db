/* SPDX-License-Identifier: MIT */
/* SQLite conveniences that the supervisor's store and the dashboard's share. */
#ifndef K6FLEET_DB_H
#define K6FLEET_DB_H

#include <sqlite3.h>
#include <stdint.h>

#include "common/err.h"

/* Opens or makes the database (mode 0600), checks that it can be written, sets WAL and
 * synchronous=FULL (a commit survives a power cut), and runs the migrations that its
 * user_version has not had.  migrations[i] leads from version i to i+1.  A path below
 * /proc/self/fd/N works although its real directory cannot be reached by name. */
int db_open(const char *path, const char *const migrations[], int count, sqlite3 **out,
	struct err *err);
/* Runs SQL without results. */
int db_exec(sqlite3 *db, const char *sql, struct err *err);
/* Prepares a statement that lives until sqlite3_finalize(). */
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err);
/* Steps a statement that answers no row, then resets it. */
int db_run(sqlite3_stmt *stmt, struct err *err);
/* Binds text, or NULL for a NULL pointer; the bytes must live until the step. */
void db_bind_text(sqlite3_stmt *stmt, int index, const char *text);
/* Column as text, "" for NULL; valid until the next step. */
const char *db_column_text(sqlite3_stmt *stmt, int column);

#endif
