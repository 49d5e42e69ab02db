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

/* https://www.sqlite.org/rescode.html: the low byte of an extended result code is the primary
 * one. */
static enum err_code code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return ERR_CORRUPT;
	case SQLITE_IOERR: return ERR_IO;
	case SQLITE_FULL: return ERR_NO_SPACE;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return ERR_BUSY;
	case SQLITE_READONLY: return ERR_READ_ONLY;
	case SQLITE_PERM:
	case SQLITE_AUTH: return ERR_ACCESS;
	default: return ERR_OTHER;
	}
}

int db_fail(sqlite3 *db, struct err *err)
{
	return err_code_set(err, code_of(sqlite3_extended_errcode(db)), "%s", sqlite3_errmsg(db));
}

/* cell_size_check looks at a page only when it is read from the file: a damaged page must not
 * stay in the cache, where the next look-up would take it for sound. */
static void drop_damaged(sqlite3 *db)
{
	if (code_of(sqlite3_extended_errcode(db)) == ERR_CORRUPT)
		sqlite3_db_release_memory(db);
}

int db_exec(sqlite3 *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	db_fail(db, err);
	drop_damaged(db);
	return -1;
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
		return err_code_set(err, code_of(sqlite3_extended_errcode(db)), "%s in: %.200s",
			sqlite3_errmsg(db), sql);
	return 0;
}

/* Returns rc for a row or the end, -1 with err for everything else. */
static int step(sqlite3_stmt *stmt, struct err *err)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return rc;
	return db_fail(sqlite3_db_handle(stmt), err);
}

static void end(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	drop_damaged(sqlite3_db_handle(stmt));
}

int db_each(sqlite3_stmt *stmt, db_row_fn *row, void *arg, struct err *err)
{
	int rc;

	if (!stmt)
		return -1;
	while ((rc = step(stmt, err)) == SQLITE_ROW) {
		if (row(stmt, arg, err) < 0) {
			rc = -1;
			break;
		}
	}
	end(stmt);
	return rc == SQLITE_DONE ? 0 : -1;
}

enum found db_one(sqlite3_stmt *stmt, db_row_fn *row, void *arg, struct err *err)
{
	enum found found = NOT_FOUND;
	int rc;

	if (!stmt)
		return FOUND_ERROR;
	rc = step(stmt, err);
	if (rc == SQLITE_ROW) {
		found = row && row(stmt, arg, err) < 0 ? FOUND_ERROR : FOUND;
		/* The first step has made all changes of a statement with RETURNING; stepping to
		 * the end finishes it (https://www.sqlite.org/lang_returning.html). */
		while (rc == SQLITE_ROW && !sqlite3_stmt_readonly(stmt))
			rc = step(stmt, found == FOUND ? err : NULL);
	}
	end(stmt);
	return rc < 0 ? FOUND_ERROR : found;
}

static int read_int(sqlite3_stmt *stmt, void *arg, struct err *err)
{
	int64_t **out = arg;

	(void)err;
	if (sqlite3_column_type(stmt, 0) == SQLITE_NULL)
		*out = NULL;
	else
		**out = sqlite3_column_int64(stmt, 0);
	return 0;
}

enum found db_one_int(sqlite3_stmt *stmt, int64_t *out, struct err *err)
{
	enum found found = db_one(stmt, read_int, &out, err);

	return found == FOUND && !out ? NOT_FOUND : found;
}

int db_run(sqlite3_stmt *stmt, struct err *err)
{
	return db_one(stmt, NULL, NULL, err) == FOUND_ERROR ? -1 : 0;
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
	enum found found;
	int64_t version;

	if (db_prepare(db, "PRAGMA user_version", &stmt, err) < 0)
		return -1;
	found = db_one_int(stmt, &version, err);
	sqlite3_finalize(stmt);
	if (found != FOUND)
		return found < 0 ? -1 : err_set(err, "it has no schema version");
	if (version > count)
		return err_code_set(err, ERR_NEWER,
			"was written by a newer version (schema %d, this one knows %d)",
			(int)version, count);
	for (; version < count; version++) {
		char set[64];

		snprintf(set, sizeof(set), "PRAGMA user_version = %d; COMMIT", (int)version + 1);
		if (db_exec(db, "BEGIN IMMEDIATE", err) < 0 ||
			db_exec(db, migrations[version], err) < 0 || db_exec(db, set, err) < 0)
			return err_prefix(err, "schema %d", (int)version + 1);
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
		err_code_set(err, code_of(rc), "cannot open the database %s: %s", basename(path),
			db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
		sqlite3_close(db);
		return -1;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, 5000);
	/* https://www.sqlite.org/pragma.html#pragma_cell_size_check: without it a look-up in a
	 * damaged page may find nothing, without an error. */
	if (db_exec(db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
		    "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048;"
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
