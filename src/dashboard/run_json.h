/* SPDX-License-Identifier: MIT */
/* Run objects as agents send them: checked field by field before they are stored. */
#ifndef K6FLEET_DASHBOARD_RUN_JSON_H
#define K6FLEET_DASHBOARD_RUN_JSON_H

#include <jansson.h>

#include "common/err.h"
#include "dashboard/quantile_lists.h"
#include "dashboard/store_runs.h"

/* Fills out, which run_json_clear() frees, with exactly the fields of the API; -1 with what is wrong (nothing to free
 * then).  lists: what was lifted out of the body. */
int run_json_check(const json_t *in, struct quantile_lists *lists, struct dash_store_run *out,
	struct err *err);
void run_json_clear(struct dash_store_run *run);

#endif
