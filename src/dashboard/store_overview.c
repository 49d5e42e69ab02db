/* SPDX-License-Identifier: MIT */
/* Counts rows; numbers of runs come from counts.h and live.h. */
#include "dashboard/store_overview.h"

#include "dashboard/store_priv.h"

static int set_status(sqlite3_stmt *st, void *arg, struct err *err)
{
	(void)err;
	json_object_set_new(arg, db_column_text(st, 0), json_integer(sqlite3_column_int64(st, 1)));
	return 0;
}

int dash_store_overview(struct dash_store *s, json_t **counts, struct err *err)
{
	sqlite3_stmt *st =
		dash_store_stmt(s, "SELECT status, count(*) FROM k6_agents GROUP BY status", err);
	json_t *agents = json_object();
	int64_t hosts, targets;

	if (dash_store_each(s, st, set_status, agents, err) < 0 ||
		dash_store_get_int(s, "SELECT count(*) FROM hosts", 0, &hosts, err) < 0 ||
		dash_store_get_int(s, "SELECT count(*) FROM k6_targets", 0, &targets, err) < 0) {
		json_decref(agents);
		return -1;
	}
	*counts = json_pack("{s:o, s:I, s:I}", "agents", agents, "hosts", (json_int_t)hosts,
		"targets", (json_int_t)targets);
	return 0;
}
