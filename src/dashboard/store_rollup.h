/* SPDX-License-Identifier: MIT */
/* Hourly rollups of each target. */
#ifndef K6FLEET_DASHBOARD_STORE_ROLLUP_H
#define K6FLEET_DASHBOARD_STORE_ROLLUP_H

#include <stdbool.h>
#include <stdint.h>

#include "dashboard/sample.h"
#include "dashboard/store_base.h"

/* Rolls up hours that are over at now_ms and have changed, at most 1000 runs of them, in one
 * transaction.  Returns 1 when there may be more to do, 0 when there is nothing to do, or -1
 * with err. */
int dash_store_rollup_step(struct dash_store *s, int64_t now_ms, struct err *err);
/* Deletes up to 2000 rollups of hours before before_ms.  Returns 0, or -1 with err. */
int dash_store_expire_rollups(struct dash_store *s, int64_t before_ms, struct err *err);

/* --- for store_*.c -------------------------------------------------------------------- */

/* A run has ended, or was corrected: marks its hour as changed.  Belongs into the run's
 * transaction.  Returns 0, or
 * -1 with err. */
int dash_store_rollup_touch(
	struct dash_store *s, const struct sample *run, bool corrected, struct err *err);
/* The runs that the query names ("SELECT target_id, hour …", one parameter) are about to be
 * deleted: rolls up their hours and freezes the rollups.  Belongs into the transaction that
 * deletes them.  Returns 0, or -1 with err. */
int dash_store_rollup_freeze(
	struct dash_store *s, const char *sql, int64_t parameter, struct err *err);
/* Frees the hour that is being rolled up. */
void dash_store_rollup_free(struct dash_store *s);

#endif
