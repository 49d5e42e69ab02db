/* SPDX-License-Identifier: MIT */
/* The schema and the database as a whole.  All SQL of the dashboard is in store*.c; values enter
 * it by bound parameters only.  Two texts are put together: the order and the index of a list of
 * runs, which come from tables (store_lists.c), and the names of tables and indices here, which
 * come from the schema. */
#include "dashboard/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "common/units.h"
#include "dashboard/counts.h"
#include "dashboard/store_counts.h"
#include "dashboard/store_names.h"
#include "dashboard/store_priv.h"
#include "dashboard/store_rollup.h"

/* clang-format off */
static const char *const migrations[] = {
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('revision', 0);"
	"CREATE TABLE hosts (host TEXT PRIMARY KEY, managed INTEGER NOT NULL, max_agents INTEGER NOT NULL,"
	" desired INTEGER NOT NULL, revision INTEGER NOT NULL, version TEXT, k6_version TEXT, sandbox TEXT,"
	" last_seen_at INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE k6_agents (id TEXT PRIMARY KEY, host TEXT NOT NULL, name TEXT NOT NULL, slot INTEGER,"
	" status TEXT NOT NULL, current_run_id TEXT, last_seen_at INTEGER NOT NULL,"
	" registered_at INTEGER NOT NULL, version TEXT, k6_version TEXT, restarts INTEGER, rss_bytes INTEGER,"
	" progress TEXT, UNIQUE (host, name)) WITHOUT ROWID;"
	"CREATE TABLE k6_targets (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL,"
	" json TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);"
	"CREATE TABLE k6_runs (id TEXT PRIMARY KEY, agent TEXT, host TEXT NOT NULL, target_id TEXT,"
	" status TEXT NOT NULL, reason TEXT, started_at INTEGER NOT NULL, planned_ms INTEGER NOT NULL,"
	" p95_ms REAL, error_rate REAL, lag_ms INTEGER, error_message TEXT, json TEXT NOT NULL,"
	" quantiles TEXT, log TEXT) WITHOUT ROWID;"
	"CREATE INDEX k6_runs_started ON k6_runs (started_at);"
	"CREATE INDEX k6_runs_target ON k6_runs (target_id, started_at);"
	"CREATE INDEX k6_runs_agent ON k6_runs (host, agent, started_at);"
	"CREATE INDEX k6_runs_running ON k6_runs (started_at) WHERE status = 'running';",
	"CREATE TABLE k6_commands (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, host TEXT NOT NULL,"
	" type TEXT NOT NULL, target_id TEXT, run_id TEXT, agents INTEGER NOT NULL, sync INTEGER NOT NULL,"
	" created_at INTEGER NOT NULL);"
	"CREATE INDEX k6_commands_host ON k6_commands (host, seq);",
	/* Runs move into a table with integer keys, where a row of 1.5 KiB does not take a page of its own.  Each index
	 * holds all columns that lists are filtered by, with numbers for names; figures for charts have columns. */
	"CREATE TABLE k6_names (no INTEGER PRIMARY KEY, kind INTEGER NOT NULL, host TEXT NOT NULL, name TEXT NOT NULL,"
	" UNIQUE (kind, host, name));"
	"CREATE TABLE runs_new (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agent TEXT, host TEXT NOT NULL,"
	" target_id TEXT, status TEXT NOT NULL, reason TEXT, started_at INTEGER NOT NULL, planned_ms INTEGER NOT NULL,"
	" p95_ms REAL, error_rate REAL, lag_ms INTEGER, error_message TEXT, json TEXT NOT NULL, quantiles BLOB, log TEXT,"
	" http_reqs REAL, answered REAL, rps REAL, target_no INTEGER NOT NULL, agent_no INTEGER NOT NULL);"
	"INSERT INTO k6_names (kind, host, name) SELECT DISTINCT 0, '', coalesce(target_id, '') FROM k6_runs;"
	"INSERT INTO k6_names (kind, host, name) SELECT DISTINCT 1, host, coalesce(agent, '') FROM k6_runs;"
	"INSERT INTO runs_new SELECT NULL, id, agent, r.host, target_id, status, reason, started_at, planned_ms, p95_ms,"
	" error_rate, lag_ms, error_message, json, quantiles, log, json_extract(json, '$.metrics.http_reqs'),"
	" json_extract(json, '$.metrics.http_reqs_answered'), json_extract(json, '$.metrics.rps'), t.no, a.no"
	" FROM k6_runs r JOIN k6_names t ON t.kind = 0 AND t.host = '' AND t.name = coalesce(target_id, '')"
	" JOIN k6_names a ON a.kind = 1 AND a.host = r.host AND a.name = coalesce(agent, '') ORDER BY started_at;"
	"DROP TABLE k6_runs;"
	"ALTER TABLE runs_new RENAME TO k6_runs;"
	"CREATE INDEX k6_runs_time ON k6_runs (started_at, seq, target_no, agent_no, status);"
	"CREATE INDEX k6_runs_target ON k6_runs (target_no, started_at, seq, agent_no, status);"
	"CREATE INDEX k6_runs_agent ON k6_runs (agent_no, started_at, seq, target_no, status);"
	"CREATE INDEX k6_runs_p95 ON k6_runs (p95_ms, seq, target_no, agent_no, status, started_at);"
	"CREATE INDEX k6_runs_errors ON k6_runs (error_rate, seq, target_no, agent_no, status, started_at);"
	"CREATE INDEX k6_runs_lag ON k6_runs (lag_ms, seq, target_no, agent_no, status, started_at);"
	"CREATE INDEX k6_runs_status ON k6_runs (status, started_at, seq, target_no, agent_no);"
	"CREATE TABLE k6_rollups (target_id TEXT NOT NULL, hour INTEGER NOT NULL, runs INTEGER NOT NULL,"
	" success INTEGER NOT NULL, failed INTEGER NOT NULL, error INTEGER NOT NULL, http_reqs REAL NOT NULL,"
	" failed_reqs REAL NOT NULL, known_reqs REAL NOT NULL, timed_reqs REAL NOT NULL, run_s REAL NOT NULL,"
	" worst_p95 REAL, digest BLOB, frozen INTEGER NOT NULL, PRIMARY KEY (target_id, hour)) WITHOUT ROWID;"
	"CREATE TABLE k6_rollup_dirty (hour INTEGER NOT NULL, target_id TEXT NOT NULL,"
	" PRIMARY KEY (hour, target_id)) WITHOUT ROWID;"
	/* pause_seq: the number of the last pause or resume that a host has carried out, and the number of a command. */
	"ALTER TABLE hosts ADD COLUMN pause_seq INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE k6_commands ADD COLUMN at_once INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE k6_commands ADD COLUMN pause_seq INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE k6_audit (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, address TEXT NOT NULL,"
	" action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT);"
	"INSERT INTO k6_rollup_dirty SELECT DISTINCT started_at / 3600000, coalesce(target_id, '') FROM k6_runs"
	" WHERE status <> 'running';",
};
/* clang-format on */

/* Returns whether the last process was killed, or the power failed. */
static bool was_left_open(const char *path)
{
	_cleanup_free_ char *wal = x_asprintf("%s-wal", path);
	struct stat st;

	return stat(wal, &st) == 0 && st.st_size > 0;
}

static int read_verdict(sqlite3_stmt *st, void *arg, struct err *err)
{
	const char *verdict = db_column_text(st, 0);

	(void)arg;
	if (!strcmp(verdict, "ok"))
		return 0;
	return err_code_set(err, ERR_CORRUPT,
		"the database is damaged (%.100s): put a backup in its place, or what "
		"`sqlite3 FILE .recover` saves of it",
		verdict);
}

/* Checks pages and rows, but not indices against tables:
 * https://www.sqlite.org/pragma.html#pragma_quick_check */
static int check_integrity(struct dash_store *s, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, "PRAGMA quick_check(1)", err);

	return dash_store_each(s, st, read_verdict, NULL, err);
}

/* --- the first page of each table and index ---------------------------------------------- */

static int read_first_row(struct dash_store *s, const char *sql, struct err *err)
{
	sqlite3_stmt *st;
	enum found found;

	if (db_prepare(s->db, sql, &st, err) < 0)
		return -1;
	found = dash_store_one(s, st, NULL, NULL, err);
	sqlite3_finalize(st);
	return found == FOUND_ERROR ? -1 : 0;
}

/* Columns: table, index or NULL, the index's first column. */
static int read_first_page(sqlite3_stmt *st, void *arg, struct err *err)
{
	const char *table = db_column_text(st, 0), *index = db_column_text(st, 1);
	char *sql = *index ? sqlite3_mprintf("SELECT 1 FROM \"%w\" INDEXED BY \"%w\" ORDER BY"
					     " \"%w\" LIMIT 1",
				     table, index, db_column_text(st, 2))
			   : sqlite3_mprintf("SELECT * FROM \"%w\" NOT INDEXED LIMIT 1", table);
	int rc = sql ? read_first_row(arg, sql, err) : err_set(err, "out of memory");

	sqlite3_free(sql);
	return rc < 0 ? err_prefix(err, "%s", *index ? index : table) : 0;
}

static int read_first_pages(struct dash_store *s, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT name, NULL, NULL FROM sqlite_schema WHERE type = 'table' UNION ALL SELECT i.tbl_name,"
		" i.name, c.name FROM sqlite_schema i JOIN pragma_index_info(i.name) c WHERE i.type = 'index'"
		" AND c.seqno = 0",
		err);

	return dash_store_each(s, st, read_first_page, s, err);
}

int dash_store_check(struct dash_store *s, struct err *err)
{
	if (s->trouble.code == ERR_CORRUPT) {
		*err = s->trouble;
		return -1;
	}
	if (dash_store_begin(s, err) < 0)
		return -1;
	if (s->trouble.code &&
		(dash_store_set_meta(s, "checked_at", units_now_wall_ms(), err) < 0 ||
			read_first_pages(s, err) < 0)) {
		dash_store_rollback(s);
		return -1;
	}
	if (dash_store_commit(s, err) < 0)
		return -1;
	if (s->trouble.code)
		dash_store_recovered(s);
	return 0;
}

/* --- open, close, copy --------------------------------------------------------------------- */

struct dash_store *dash_store_open(const char *path, struct err *err)
{
	struct dash_store *s = x_calloc(1, sizeof(*s));
	bool left_open = was_left_open(path);
	struct err damage;

	/* 6 MiB of cache hold the pages of the indices that each batch of runs writes to. */
	if (db_open(path, migrations, ARRAY_SIZE(migrations), &s->db, err) < 0 ||
		db_exec(s->db, "PRAGMA cache_size = -6144; PRAGMA journal_size_limit = 33554432",
			err) < 0) {
		sqlite3_close(s->db);
		free(s);
		return NULL;
	}
	sqlite3_wal_autocheckpoint(s->db, DASH_STORE_WAL_PAGES);
	s->counts = counts_new();
	if (left_open && check_integrity(s, err) < 0) {
		dash_store_close(s);
		return NULL;
	}
	if (!left_open)
		read_first_pages(s, &damage);
	/* What can be read of a damaged database is still served; a list of runs counts them
	 * again, and fails. */
	if (dash_store_count_all(s, err) < 0 && !s->trouble.code) {
		dash_store_close(s);
		return NULL;
	}
	return s;
}

void dash_store_close(struct dash_store *s)
{
	sqlite3_stmt *st;

	if (!s)
		return;
	dash_store_rollup_free(s);
	dash_store_names_free(s);
	while ((st = sqlite3_next_stmt(s->db, NULL)) != NULL)
		sqlite3_finalize(st);
	sqlite3_close(s->db);
	counts_free(s->counts);
	free(s);
}

int dash_store_backup(struct dash_store *s, const char *path, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, "VACUUM INTO ?1", err);

	db_bind_text(st, 1, path);
	return dash_store_run(s, st, err);
}
