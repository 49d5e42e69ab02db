/* SPDX-License-Identifier: MIT */
/* The dashboard's database as a whole: open, close, copy, check.  SQLite in WAL mode; a commit
 * that has returned survives a power cut. */
#ifndef K6FLEET_DASHBOARD_STORE_H
#define K6FLEET_DASHBOARD_STORE_H

#include "common/err.h"

struct dash_store;

/*
 * Opens or creates the database and migrates it to the present schema.  After an unclean end all
 * pages are checked, and a damaged database is refused; else the first page of each table and
 * index is read, and damage there is noted (dash_store_watch()): what can be read is still
 * served.  Counts all runs, which takes about 0.2 s a million. Returns NULL with err when the
 * database cannot be used; dash_store_close() frees the store.
 */
struct dash_store *dash_store_open(const char *path, struct err *err);
/* Closes the database; a transaction that has not been committed is undone.  NULL is allowed. */
void dash_store_close(struct dash_store *s);
/* Writes a copy, complete in itself, to a file that must not exist.  Works while another process
 * uses the database; blocks until it is written.  Returns 0, or -1 with err. */
int dash_store_backup(struct dash_store *s, const char *path, struct err *err);
/*
 * Returns 0 when the database can be written now and has not failed; returns -1 with err
 * otherwise.  A damaged database stays failed.  After an error of the device a row is written
 * and the first page of each table and index read: when both succeed, the database has
 * recovered.
 */
int dash_store_check(struct dash_store *s, struct err *err);

#endif
