/* SPDX-License-Identifier: MIT */
/* A row of k6_runs as lists have it.  For store_*.c only. */
#ifndef K6FLEET_DASHBOARD_STORE_RUN_ROW_H
#define K6FLEET_DASHBOARD_STORE_RUN_ROW_H

#include "dashboard/store_priv.h"

#define DASH_STORE_RUN_COLUMNS "json, status, reason, error_message, agent"
#define DASH_STORE_RUN_COLUMN_COUNT 5

/* Makes the run of a row with these columns first (dash_store_make_fn); arg is not used. */
json_t *dash_store_run_row(sqlite3_stmt *st, void *arg, struct err *err);

#endif
