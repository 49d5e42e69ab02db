/* SPDX-License-Identifier: MIT */
/* Lists of runs. */
#ifndef K6FLEET_DASHBOARD_STORE_LISTS_H
#define K6FLEET_DASHBOARD_STORE_LISTS_H

#include <jansson.h>
#include <stdint.h>

#include "dashboard/store_base.h"

/* clang-format off */
/* X(name in the API, index that has the order, ORDER BY of SQL).  The first row is the default.  NULL: any index whose leading columns the filter uses. */
#define DASH_STORE_RUN_ORDERS(X) \
	X("-startedAt", NULL, "started_at DESC, seq DESC") \
	X("startedAt", NULL, "started_at, seq") \
	X("-p95_ms", "k6_runs_p95", "p95_ms DESC, seq DESC") \
	X("-error_rate", "k6_runs_errors", "error_rate DESC, seq DESC") \
	X("-lagMs", "k6_runs_lag", "lag_ms DESC, seq DESC")
/* clang-format on */

/* Texts are borrowed; NULL: any. */
struct dash_store_run_filter {
	const char *target_id, *agent, *host, *status;
	const char *sort;        /* a name of DASH_STORE_RUN_ORDERS; NULL: the first one */
	int64_t from_ms, to_ms;  /* wall time of the start, to_ms excluded; 0: open */
	int64_t page, page_size; /* page counts from 1 */
	int64_t before_seq;      /* dash_store_next_runs(): where it goes on; 0: at the beginning */
};

/* Sets *list to {"items","page","pageSize","total"}, a new reference.  Returns 0, or -1 with
 * err. */
int dash_store_list_runs(struct dash_store *s, const struct dash_store_run_filter *filter,
	json_t **list, struct err *err);
/* Sets *items to an array of the filter's first `limit` runs, newest first, a new reference, and
 * moves the filter behind them (to_ms, before_seq).  Fewer than `limit` are the last ones.
 * Returns 0, or -1 with err. */
int dash_store_next_runs(struct dash_store *s, struct dash_store_run_filter *filter, int limit,
	json_t **items, struct err *err);

#endif
