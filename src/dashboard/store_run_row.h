/* SPDX-License-Identifier: MIT */
/* A row of k6_runs: written from a run, and read as lists have it.  For store_*.c only. */
#ifndef K6FLEET_DASHBOARD_STORE_RUN_ROW_H
#define K6FLEET_DASHBOARD_STORE_RUN_ROW_H

#include "common/run.h"
#include "dashboard/store_priv.h"

/* The columns of a run as lists have it: its JSON, the fields whose column wins over it
 * (run.h) in the order of the table, and the id, which names a row that is damaged. */
#define DASH_STORE_RUN_COLUMNS "json, agent, status, reason, error_message, id"
#define DASH_STORE_RUN_COLUMN_COUNT 6

/* Makes the run of a row with these columns first (dash_store_make_fn); arg is not used. */
json_t *dash_store_run_row(sqlite3_stmt *st, void *arg, struct err *err);

/* The columns that have no field of a run. */
struct dash_store_row {
	int64_t started_ms, target_no, agent_no;
	const char *json;
};
/* Returns the text of a statement that adds a row; static.  replace: it takes the place of the
 * row of the same id; otherwise that one stays. */
const char *dash_store_put_sql(bool replace);
/* Binds all parameters of that statement.  Texts must live until the statement is reset. */
void dash_store_bind_run(sqlite3_stmt *st, const struct run *r, const struct dash_store_row *row);

#endif
