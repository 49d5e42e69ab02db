/* SPDX-License-Identifier: MIT */
/*
 * Transactions of the dashboard's database, and whether it can be read and written.  The
 * store_*.h beside this file have the tables, one subject each.  Every read returns an enum
 * found, or 0 and -1, and fills its output parameters only when it succeeds; err has a code
 * (common/db.h).  Nothing here is thread-safe: the dashboard has one thread.
 */
#ifndef K6FLEET_DASHBOARD_STORE_BASE_H
#define K6FLEET_DASHBOARD_STORE_BASE_H

#include <stdint.h>

#include "common/err.h"
#include "common/found.h"

struct dash_store;

/* Begins a transaction, which takes the write lock.  Returns 0, or -1 with err and no
 * transaction. */
int dash_store_begin(struct dash_store *s, struct err *err);
/* Returns 0 when all writes since dash_store_begin() are on disk; returns -1 with err when none
 * of them happened.  The transaction is over in both cases. */
int dash_store_commit(struct dash_store *s, struct err *err);
/* Undoes all writes since dash_store_begin(); does nothing outside of a transaction. */
void dash_store_rollback(struct dash_store *s);
/* Sets *version to a number that differs whenever this process or another one may have written
 * in between.  Returns 0, or -1 with err. */
int dash_store_version(struct dash_store *s, int64_t *version, struct err *err);

/* Called when a statement, or the reading of a row, has failed with ERR_CORRUPT or ERR_IO (why
 * says how), and with NULL when the database can be read and written again.  Called once a
 * change, synchronously, from within any function of the store; must not call the store. */
typedef void dash_store_changed_fn(void *arg, const struct err *why);
/* Sets the function to call; calls it before it returns when the database has failed already. */
void dash_store_watch(struct dash_store *s, dash_store_changed_fn *changed, void *arg);

#endif
