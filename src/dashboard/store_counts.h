/* SPDX-License-Identifier: MIT */
/* How the counts of runs (counts.h) follow the rows: with each transaction, and from scratch when
 * another process has written to the database.  For store*.c only. */
#ifndef K6FLEET_DASHBOARD_STORE_COUNTS_H
#define K6FLEET_DASHBOARD_STORE_COUNTS_H

#include "dashboard/counts.h"
#include "dashboard/store_priv.h"

/* Days of the counts begin with 1; a run before 1970 counts as of day 1, one far in the future
 * as of the last day. */
#define DASH_STORE_LAST_DAY 65535
/* Returns the day of a wall time in ms, and the wall time in ms at which a day begins. */
uint16_t dash_store_day_of(int64_t ms);
int64_t dash_store_day_start(uint16_t day);
/* Returns the key of a row with the columns target_no, agent_no, started_at, status from
 * `column` on. */
struct counts_key dash_store_count_key(sqlite3_stmt *st, int column);
/* Counts all runs.  Returns 0, or -1 with err and counts that are not complete. */
int dash_store_count_all(struct dash_store *s, struct err *err);
/* Counts all runs again when another process has written to the database.  Returns 0, or -1 with
 * err. */
int dash_store_count_check(struct dash_store *s, struct err *err);
/* Runs a statement with one parameter whose rows are runs that come (sign 1) or go (-1), with
 * the columns of dash_store_count_key(), and counts them; adds the number of rows to *n (NULL:
 * nobody asks).  Returns 0, or -1 with err, and then the transaction must be rolled back. */
int dash_store_count_rows(struct dash_store *s, const char *sql, int64_t parameter, int sign,
	int64_t *n, struct err *err);
/* Counts a run that was running as an error.  Columns: target_no, agent_no, started_at from
 * `column` on. */
void dash_store_count_reaped(struct dash_store *s, sqlite3_stmt *st, int column);

#endif
