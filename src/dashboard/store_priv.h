/* SPDX-License-Identifier: MIT */
/* What the files of the store share. */
#ifndef K6FLEET_DASHBOARD_STORE_PRIV_H
#define K6FLEET_DASHBOARD_STORE_PRIV_H

#include "common/db.h"
#include "dashboard/store.h"

struct store {
	sqlite3 *db;
};

/* Statements are prepared once each and found again by their text, which is a literal.  NULL and err. */
sqlite3_stmt *store_stmt(struct store *s, const char *sql, struct err *err);

#endif
