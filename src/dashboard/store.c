/* SPDX-License-Identifier: MIT */
/* The database itself: its schema, statements, transactions.  All SQL of the dashboard is in store*.c.  Values enter
 * by bound parameters only; the one text that is put together, the order of the runs list, comes from a table
 * (store_runs.c). */
#include "dashboard/store_priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run.h"
#include "common/units.h"
#include "common/uuid.h"
#include "dashboard/counts.h"

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
	/* Runs in a table by number, in which a row of 1.5 KiB does not take a page of its own.  What lists are filtered
	 * by has numbers and stands in the index whole; what charts need has columns. */
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
	/* pause_seq: which pause or resume a host has carried out, and which one a command is. */
	"ALTER TABLE hosts ADD COLUMN pause_seq INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE k6_commands ADD COLUMN at_once INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE k6_commands ADD COLUMN pause_seq INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE k6_audit (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, address TEXT NOT NULL,"
	" action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT);"
	"INSERT INTO k6_rollup_dirty SELECT DISTINCT started_at / 3600000, coalesce(target_id, '') FROM k6_runs"
	" WHERE status <> 'running';",
};
/* clang-format on */

/* The last one has not closed it: killed, or the power went. */
static bool was_left_open(const char *path)
{
	_cleanup_free_ char *wal = x_asprintf("%s-wal", path);
	struct stat st;

	return stat(wal, &st) == 0 && st.st_size > 0;
}

/* https://www.sqlite.org/pragma.html#pragma_quick_check: pages and rows, not indices against tables. */
static int check_integrity(struct dash_store *s, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, "PRAGMA quick_check(1)", err);
	int rc;

	if (!st)
		return -1;
	rc = sqlite3_step(st);
	if (rc != SQLITE_ROW)
		err_set(err, "it cannot be checked: %s", sqlite3_errmsg(s->db));
	else if (strcmp(db_column_text(st, 0), "ok") != 0)
		err_set(err,
			"the database is damaged (%.100s): put a backup in its place, or what "
			"`sqlite3 FILE .recover` saves of it",
			db_column_text(st, 0));
	else
		rc = SQLITE_OK;
	sqlite3_reset(st);
	return rc == SQLITE_OK ? 0 : -1;
}

struct dash_store *dash_store_open(const char *path, struct err *err)
{
	struct dash_store *s = x_calloc(1, sizeof(*s));
	bool left_open = was_left_open(path);

	/* Each batch of runs writes to as many pages of the indices again: so they are put in their places every
	 * 16 MiB, not every 4, and the pages that are written most stay in memory. */
	if (db_open(path, migrations, ARRAY_SIZE(migrations), &s->db, err) < 0 ||
		db_exec(s->db, "PRAGMA cache_size = -6144; PRAGMA journal_size_limit = 33554432",
			err) < 0) {
		sqlite3_close(s->db);
		free(s);
		return NULL;
	}
	sqlite3_wal_autocheckpoint(s->db, DASH_STORE_LOG_PAGES);
	s->counts = counts_new();
	if ((left_open && check_integrity(s, err) < 0) || dash_store_count_all(s, err) < 0) {
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
	dash_store_forget_names(s);
	while ((st = sqlite3_next_stmt(s->db, NULL)) != NULL)
		sqlite3_finalize(st);
	sqlite3_close(s->db);
	counts_free(s->counts);
	free(s);
}

sqlite3_stmt *dash_store_stmt(struct dash_store *s, const char *sql, struct err *err)
{
	sqlite3_stmt *st = NULL;

	struct stmt_slot *slot = &s->stmts[((uintptr_t)sql >> 3) % DASH_STORE_STMTS_KEPT];

	/* Most texts are constants: where they stand tells where to look first. */
	if (slot->sql == sql && !strcmp(sqlite3_sql(slot->st), sql) && !sqlite3_stmt_busy(slot->st))
		return slot->st;
	while ((st = sqlite3_next_stmt(s->db, st)) != NULL) {
		if (!strcmp(sqlite3_sql(st), sql) && !sqlite3_stmt_busy(st))
			break;
	}
	if (!st && db_prepare(s->db, sql, &st, err) < 0)
		return NULL;
	*slot = (struct stmt_slot){.sql = sql, .st = st};
	return st;
}

int dash_store_fail(struct dash_store *s, struct err *err)
{
	return err_set(err, "%s", sqlite3_errmsg(s->db));
}

bool dash_store_step_row(struct dash_store *s, sqlite3_stmt *st, struct err *err)
{
	int rc = sqlite3_step(st);

	err->msg[0] = '\0';
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		dash_store_fail(s, err);
	return rc == SQLITE_ROW;
}

int dash_store_backup(struct dash_store *s, const char *path, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, "VACUUM INTO ?1", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, path);
	return db_run(st, err);
}

int64_t dash_store_version(struct dash_store *s)
{
	/* Both only grow, and neither by as much as that. */
	return sqlite3_total_changes64(s->db) +
		(dash_store_get_int(s, "PRAGMA data_version", 0) << 40);
}

int dash_store_begin(struct dash_store *s, struct err *err)
{
	s->mark_count = 0;
	return db_exec(s->db, "BEGIN IMMEDIATE", err);
}

int dash_store_commit(struct dash_store *s, struct err *err)
{
	s->mark_count = 0;
	if (db_exec(s->db, "COMMIT", err) == 0) {
		counts_commit(s->counts);
		return 0;
	}
	dash_store_rollback(s);
	return -1;
}

void dash_store_rollback(struct dash_store *s)
{
	s->mark_count = 0;
	counts_rollback(s->counts);
	dash_store_forget_names(s);
	if (!sqlite3_get_autocommit(s->db))
		db_exec(s->db, "ROLLBACK", NULL);
}

int64_t dash_store_get_int(struct dash_store *s, const char *sql, int64_t fallback)
{
	sqlite3_stmt *st = dash_store_stmt(s, sql, NULL);
	int64_t n = fallback;

	if (st && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
		n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

int dash_store_set_meta(struct dash_store *s, const char *key, int64_t value, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, key);
	sqlite3_bind_int64(st, 2, value);
	return db_run(st, err);
}

json_t *dash_store_text_column(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL
		? json_null()
		: json_text(db_column_text(st, column));
}

json_t *dash_store_int_column(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL
		? json_null()
		: json_integer(sqlite3_column_int64(st, column));
}

json_t *dash_store_json_column(sqlite3_stmt *st, int column)
{
	json_t *v = sqlite3_column_type(st, column) == SQLITE_NULL
		? NULL
		: json_loads(db_column_text(st, column), JSON_DECODE_ANY, NULL);

	return v ? v : json_null();
}
