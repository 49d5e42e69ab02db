/* SPDX-License-Identifier: MIT */
#include "dashboard/store_run_row.h"

json_t *dash_store_run_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	json_t *run = dash_store_json_column(st, 0, err);

	(void)arg;
	if (!run)
		return NULL;
	/* The reaper may have changed these columns since the object was stored. */
	json_object_set_new(run, "status", dash_store_text_column(st, 1));
	json_object_set_new(run, "reason", dash_store_text_column(st, 2));
	json_object_set_new(run, "errorMessage", dash_store_text_column(st, 3));
	json_object_set_new(run, "agent", dash_store_text_column(st, 4));
	json_object_del(run, "startedAtMs");
	return run;
}
