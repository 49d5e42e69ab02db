/* SPDX-License-Identifier: MIT */
/* Opening, migrating and stepping SQLite databases: https://www.sqlite.org/c3ref/intro.html */
#include "common/db.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"

/* SQLite wants the full path of a file and resolves links to get it.  A database below a
 * directory that only root may pass is opened through a descriptor, /proc/self/fd/N/name, and
 * resolving that would lead back to the name that cannot be reached: take it as it is. */
static int keep_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	(void)vfs;
	if (snprintf(out, (size_t)size, "%s", name) >= size)
		return SQLITE_CANTOPEN;
	return SQLITE_OK;
}

static const char *vfs_for(const char *path)
{
	static sqlite3_vfs vfs;

	if (strncmp(path, "/proc/self/fd/", 14) != 0)
		return NULL;
	if (!vfs.zName) {
		vfs = *sqlite3_vfs_find(NULL);
		vfs.zName = "k6fleet-fd";
		vfs.xFullPathname = keep_pathname;
		sqlite3_vfs_register(&vfs, 0);
	}
	return vfs.zName;
}

int db_exec(sqlite3 *db, const char *sql, struct err *err)
{
	char *msg = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK) {
		err_set(err, "%s", msg ? msg : sqlite3_errmsg(db));
		sqlite3_free(msg);
		return -1;
	}
	return 0;
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
		return err_set(err, "%s in: %.200s", sqlite3_errmsg(db), sql);
	return 0;
}

int db_run(sqlite3_stmt *stmt, struct err *err)
{
	int rc = sqlite3_step(stmt);

	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		err_set(err, "%s", sqlite3_errmsg(sqlite3_db_handle(stmt)));
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -1;
}

void db_bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
	if (text)
		sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(stmt, index);
}

const char *db_column_text(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return text ? text : "";
}

static int migrate(sqlite3 *db, const char *const migrations[], int count, struct err *err)
{
	sqlite3_stmt *stmt;
	int version;

	if (db_prepare(db, "PRAGMA user_version", &stmt, err) < 0)
		return -1;
	version = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : -1;
	sqlite3_finalize(stmt);
	if (version < 0)
		return err_set(err, "%s", sqlite3_errmsg(db));
	if (version > count)
		return err_set(err, "was written by a newer version (schema %d, this one knows %d)",
			version, count);
	for (; version < count; version++) {
		char set[64];

		snprintf(set, sizeof(set), "PRAGMA user_version = %d; COMMIT", version + 1);
		if (db_exec(db, "BEGIN IMMEDIATE", err) < 0 ||
			db_exec(db, migrations[version], err) < 0 || db_exec(db, set, err) < 0)
			return err_prefix(err, "schema %d", version + 1);
	}
	return 0;
}

int db_open(
	const char *path, const char *const migrations[], int count, sqlite3 **out, struct err *err)
{
	sqlite3 *db = NULL;
	mode_t old = umask(0077);
	int rc = sqlite3_open_v2(path, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs_for(path));

	umask(old);
	if (rc != SQLITE_OK) {
		err_set(err, "cannot open the database %s: %s", basename(path),
			db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
		sqlite3_close(db);
		return -1;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, 5000);
	if (db_exec(db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
		    "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048;"
		    "PRAGMA journal_size_limit = 8388608; BEGIN IMMEDIATE; COMMIT",
		    err) < 0 ||
		migrate(db, migrations, count, err) < 0) {
		err_prefix(err, "the database %s", basename(path));
		sqlite3_close(db);
		return -1;
	}
	*out = db;
	return 0;
}
