/* SPDX-License-Identifier: MIT */
/* All SQL of the dashboard.  Values enter by bound parameters only; the one text that is put
 * together, the order of the runs list, comes from a table of this file. */
#include "dashboard/store_priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/result.h"
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
static int check_integrity(struct store *s, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s, "PRAGMA quick_check(1)", err);
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

struct store *store_open(const char *path, struct err *err)
{
	struct store *s = x_calloc(1, sizeof(*s));
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
	sqlite3_wal_autocheckpoint(s->db, STORE_LOG_PAGES);
	s->counts = counts_new();
	if ((left_open && check_integrity(s, err) < 0) || store_count_all(s, err) < 0) {
		store_close(s);
		return NULL;
	}
	return s;
}

void store_close(struct store *s)
{
	sqlite3_stmt *st;

	if (!s)
		return;
	store_rollup_free(s);
	store_forget_names(s);
	while ((st = sqlite3_next_stmt(s->db, NULL)) != NULL)
		sqlite3_finalize(st);
	sqlite3_close(s->db);
	counts_free(s->counts);
	free(s);
}

sqlite3_stmt *store_stmt(struct store *s, const char *sql, struct err *err)
{
	sqlite3_stmt *st = NULL;

	struct stmt_slot *slot = &s->stmts[((uintptr_t)sql >> 3) % STORE_STMTS_KEPT];

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

/* Agents that have been away for so long that they are forgotten. */
#define GONE_AGENTS \
	"(SELECT no FROM k6_names n JOIN k6_agents a ON n.kind = 1 AND n.host = a.host AND n.name = a.name" \
	" WHERE a.status = 'offline' AND a.last_seen_at < ?1)"

static int fail(struct store *s, struct err *err)
{
	return err_set(err, "%s", sqlite3_errmsg(s->db));
}

int store_backup(struct store *s, const char *path, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s, "VACUUM INTO ?1", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, path);
	return db_run(st, err);
}

int64_t store_version(struct store *s)
{
	/* Both only grow, and neither by as much as that. */
	return sqlite3_total_changes64(s->db) + (store_get_int(s, "PRAGMA data_version", 0) << 40);
}

int store_begin(struct store *s, struct err *err)
{
	s->mark_count = 0;
	return db_exec(s->db, "BEGIN IMMEDIATE", err);
}

int store_commit(struct store *s, struct err *err)
{
	s->mark_count = 0;
	if (db_exec(s->db, "COMMIT", err) == 0) {
		counts_commit(s->counts);
		return 0;
	}
	store_rollback(s);
	return -1;
}

void store_rollback(struct store *s)
{
	s->mark_count = 0;
	counts_rollback(s->counts);
	store_forget_names(s);
	if (!sqlite3_get_autocommit(s->db))
		db_exec(s->db, "ROLLBACK", NULL);
}

int64_t store_get_int(struct store *s, const char *sql, int64_t fallback)
{
	sqlite3_stmt *st = store_stmt(s, sql, NULL);
	int64_t n = fallback;

	if (st && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
		n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

int store_set_meta(struct store *s, const char *key, int64_t value, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, key);
	sqlite3_bind_int64(st, 2, value);
	return db_run(st, err);
}

/* --- hosts and the desired count -------------------------------------------------- */

static int64_t revision(struct store *s)
{
	return store_get_int(s, "SELECT value FROM meta WHERE key = 'revision'", 0);
}

/* -1: nobody has set a total yet. */
static int64_t total(struct store *s)
{
	return store_get_int(s, "SELECT value FROM meta WHERE key = 'total'", -1);
}

static int64_t sum_of_hosts(struct store *s)
{
	return store_get_int(s, "SELECT sum(desired) FROM hosts WHERE managed", 0);
}

static int set_host_desired(
	struct store *s, const char *host, int64_t agents, int64_t rev, struct err *err)
{
	sqlite3_stmt *st =
		store_stmt(s, "UPDATE hosts SET desired = ?2, revision = ?3 WHERE host = ?1", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, agents);
	sqlite3_bind_int64(st, 3, rev);
	return db_run(st, err);
}

struct share {
	char *host;
	int64_t cap, had, gets;
};

/* Evenly, each up to its cap: one more for everybody who has room, until all is given out. */
static void divide(struct share *shares, size_t n, int64_t count)
{
	while (count > 0) {
		size_t open = 0;
		int64_t each;

		for (size_t i = 0; i < n; i++)
			open += shares[i].gets < shares[i].cap;
		if (!open)
			return;
		each = count / (int64_t)open ? count / (int64_t)open : 1;
		for (size_t i = 0; i < n && count > 0; i++) {
			int64_t room = shares[i].cap - shares[i].gets;
			int64_t gets = each < room ? each : room;

			if (gets > count)
				gets = count;
			shares[i].gets += gets;
			count -= gets;
		}
	}
}

/* Spreads the total over the online managed hosts; only hosts whose share changes get a new
 * revision, so the others need not act. */
static int spread(struct store *s, int64_t now_ms, int64_t online_ms, int64_t rev, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT host, max_agents, desired FROM hosts WHERE managed AND last_seen_at >= ?1 "
		"ORDER BY host",
		err);
	struct share *shares = NULL;
	size_t n = 0;
	int rc = 0;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, now_ms - online_ms);
	while (sqlite3_step(st) == SQLITE_ROW) {
		shares = x_realloc(shares, n + 1, sizeof(*shares));
		shares[n++] = (struct share){x_strdup(db_column_text(st, 0)),
			sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2), 0};
	}
	sqlite3_reset(st);
	divide(shares, n, total(s));
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && shares[i].gets != shares[i].had)
			rc = set_host_desired(s, shares[i].host, shares[i].gets, rev, err);
		free(shares[i].host);
	}
	free(shares);
	return rc;
}

/* 1: found. */
static int find_host(struct store *s, const char *host, struct store_desired *out, struct err *err)
{
	sqlite3_stmt *st =
		store_stmt(s, "SELECT desired, revision FROM hosts WHERE host = ?1", err);
	int rc;

	*out = (struct store_desired){0, 0};
	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = (struct store_desired){
			sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
	sqlite3_reset(st);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : fail(s, err);
}

static int put_host(struct store *s, const struct store_host *h, const struct store_desired *d,
	int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"INSERT INTO hosts (host, managed, max_agents, desired, revision, version, k6_version, sandbox,"
		" last_seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (host) DO UPDATE SET"
		" managed = ?2, max_agents = ?3, desired = ?4, revision = ?5, version = ?6, k6_version = ?7,"
		" sandbox = ?8, last_seen_at = ?9",
		err);

	if (!st)
		return -1;
	db_bind_text(st, 1, h->host);
	sqlite3_bind_int(st, 2, h->managed);
	sqlite3_bind_int64(st, 3, h->max_agents);
	sqlite3_bind_int64(st, 4, d->agents);
	sqlite3_bind_int64(st, 5, d->revision);
	db_bind_text(st, 6, h->version);
	db_bind_text(st, 7, h->k6_version);
	db_bind_text(st, 8, h->sandbox);
	sqlite3_bind_int64(st, 9, now_ms);
	return db_run(st, err);
}

int store_register_host(struct store *s, const struct store_host *h, int64_t now_ms,
	int64_t online_ms, struct store_desired *out, struct err *err)
{
	struct store_desired d;
	int64_t rev = revision(s), sum = total(s);
	int known = find_host(s, h->host, &d, err);

	if (known < 0)
		return -1;
	if (!h->managed || !h->has_desired) {
		if (put_host(s, h, &d, now_ms, err) < 0)
			return -1;
		*out = d;
		return 0;
	}
	if (known && h->desired.revision <= d.revision) {
		/* We are as new or newer: the host takes what we have. */
	} else if (known || sum < 0) {
		/* The host's own count is newer (somebody scaled it while we were away), or nobody has
		 * ever set a total: a fresh dashboard empties no fleet. */
		if (known && sum >= 0) {
			int64_t changed = sum + h->desired.agents - d.agents;

			if (store_set_meta(s, "total", changed < 0 ? 0 : changed, err) < 0)
				return -1;
		}
		d = h->desired;
		if (d.revision > rev && store_set_meta(s, "revision", d.revision, err) < 0)
			return -1;
	} else {
		/* New here, and there is a total: it gets its share, with a revision it will heed. */
		d = h->desired;
		rev = (rev > d.revision ? rev : d.revision) + 1;
		d.agents = -1; /* differs from any share, so that spread() gives it the revision */
		if (store_set_meta(s, "revision", rev, err) < 0 ||
			put_host(s, h, &d, now_ms, err) < 0 ||
			spread(s, now_ms, online_ms, rev, err) < 0 ||
			find_host(s, h->host, out, err) < 0)
			return -1;
		return 0;
	}
	*out = d;
	return put_host(s, h, &d, now_ms, err);
}

int store_touch_host(struct store *s, const char *host, int64_t now_ms, struct store_desired *out,
	struct err *err)
{
	sqlite3_stmt *st = store_stmt(s, "UPDATE hosts SET last_seen_at = ?2 WHERE host = ?1", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	sqlite3_bind_int64(st, 2, now_ms);
	if (db_run(st, err) < 0)
		return -1;
	return find_host(s, host, out, err) < 0 ? -1 : 0;
}

int store_scale_host(struct store *s, const char *host, int64_t agents, struct store_desired *out,
	struct err *err)
{
	struct store_desired d;
	int64_t sum = total(s), rev = revision(s) + 1;
	int known = find_host(s, host, &d, err);

	if (known <= 0)
		return known;
	if (sum >= 0) {
		int64_t changed = sum + agents - d.agents;

		if (store_set_meta(s, "total", changed < 0 ? 0 : changed, err) < 0)
			return -1;
	}
	*out = (struct store_desired){agents, rev};
	if (store_set_meta(s, "revision", rev, err) < 0 ||
		set_host_desired(s, host, agents, rev, err) < 0)
		return -1;
	return 1;
}

int store_set_total(
	struct store *s, int64_t count, int64_t now_ms, int64_t online_ms, struct err *err)
{
	int64_t rev = revision(s) + 1;

	if (store_set_meta(s, "total", count, err) < 0 ||
		store_set_meta(s, "revision", rev, err) < 0)
		return -1;
	return spread(s, now_ms, online_ms, rev, err);
}

int store_reconcile(struct store *s, int64_t now_ms, int64_t online_ms, struct err *err)
{
	int64_t rev = revision(s) + 1;

	/* Nobody has set a total yet: what the hosts have is right. */
	if (total(s) < 0)
		return 0;
	if (store_set_meta(s, "revision", rev, err) < 0)
		return -1;
	return spread(s, now_ms, online_ms, rev, err);
}

int store_get_total(struct store *s, struct store_desired *out, struct err *err)
{
	int64_t sum = total(s);

	(void)err;
	*out = (struct store_desired){sum >= 0 ? sum : sum_of_hosts(s), revision(s)};
	return 0;
}

json_t *store_text_column(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL
		? json_null()
		: json_text(db_column_text(st, column));
}

json_t *store_int_column(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL
		? json_null()
		: json_integer(sqlite3_column_int64(st, column));
}

json_t *store_json_column(sqlite3_stmt *st, int column)
{
	json_t *v = sqlite3_column_type(st, column) == SQLITE_NULL
		? NULL
		: json_loads(db_column_text(st, column), JSON_DECODE_ANY, NULL);

	return v ? v : json_null();
}

json_t *store_list_hosts(struct store *s, int64_t now_ms, int64_t online_ms, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT host, managed, max_agents, desired, revision, version, k6_version, sandbox, last_seen_at,"
		" (SELECT count(*) FROM k6_agents a WHERE a.host = hosts.host AND a.status <> 'offline')"
		" FROM hosts ORDER BY host",
		err);
	json_t *list = json_array();

	while (st && sqlite3_step(st) == SQLITE_ROW) {
		json_array_append_new(list,
			json_pack("{s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "host",
				store_text_column(st, 0), "managed", sqlite3_column_int(st, 1),
				"online", sqlite3_column_int64(st, 8) >= now_ms - online_ms,
				"desired", store_int_column(st, 3), "revision",
				store_int_column(st, 4), "agents", store_int_column(st, 9),
				"maxAgents", store_int_column(st, 2), "lastSeenAt",
				json_time(sqlite3_column_int64(st, 8)), "version",
				store_text_column(st, 5), "k6Version", store_text_column(st, 6),
				"sandbox", store_text_column(st, 7)));
	}
	sqlite3_reset(st);
	return list;
}

/* --- agents ------------------------------------------------------------------------ */

static void bind_known(sqlite3_stmt *st, int index, int64_t value)
{
	if (value < 0)
		sqlite3_bind_null(st, index);
	else
		sqlite3_bind_int64(st, index, value);
}

int store_register_agent(struct store *s, const char *host, const struct store_agent *a,
	int64_t now_ms, char *id_out, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"INSERT INTO k6_agents (id, host, name, slot, status, last_seen_at, registered_at, version,"
		" k6_version) VALUES (?1, ?2, ?3, ?4, 'idle', ?5, ?5, ?6, ?7) ON CONFLICT (host, name) DO UPDATE SET"
		" slot = ?4, last_seen_at = ?5, version = ?6, k6_version = ?7,"
		" status = CASE status WHEN 'offline' THEN 'idle' ELSE status END RETURNING id",
		err);
	char id[UUID_MAX];
	int rc;

	if (!st)
		return -1;
	uuid_make_v7(now_ms, id);
	db_bind_text(st, 1, id);
	db_bind_text(st, 2, host);
	db_bind_text(st, 3, a->name);
	bind_known(st, 4, a->slot);
	sqlite3_bind_int64(st, 5, now_ms);
	db_bind_text(st, 6, a->version);
	db_bind_text(st, 7, a->k6_version);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		snprintf(id_out, UUID_MAX, "%s", db_column_text(st, 0));
	if (rc == SQLITE_ROW)
		rc = sqlite3_step(st);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : fail(s, err);
}

/* 1: the agent is known. */
static int is_news(struct store *s, const char *host, const struct store_agent *a,
	const char *progress, bool *news, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT status = ?3 AND current_run_id IS ?4 AND progress IS ?5 FROM k6_agents WHERE host = ?1 AND name = ?2",
		err);
	bool known;

	if (!st)
		return -1;
	db_bind_text(st, 1, host);
	db_bind_text(st, 2, a->name);
	db_bind_text(st, 3, a->status);
	db_bind_text(st, 4, a->current_run_id);
	db_bind_text(st, 5, progress);
	known = sqlite3_step(st) == SQLITE_ROW;
	*news = known && !sqlite3_column_int(st, 0);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return known;
}

int store_heartbeat(struct store *s, const char *host, const struct store_agent *a, int64_t now_ms,
	bool *news, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"UPDATE k6_agents SET status = ?3, current_run_id = ?4, last_seen_at = ?5,"
		" restarts = coalesce(?6, restarts), rss_bytes = ?7, progress = ?8 WHERE host = ?1 AND name = ?2",
		err);
	_cleanup_free_ char *progress = a->progress ? json_compact(a->progress) : NULL;
	int known = news ? is_news(s, host, a, progress, news, err) : 1;

	if (known <= 0 || !st)
		return known <= 0 ? known : -1;
	db_bind_text(st, 1, host);
	db_bind_text(st, 2, a->name);
	db_bind_text(st, 3, a->status);
	db_bind_text(st, 4, a->current_run_id);
	sqlite3_bind_int64(st, 5, now_ms);
	bind_known(st, 6, a->restarts);
	bind_known(st, 7, a->rss_bytes);
	db_bind_text(st, 8, progress);
	if (db_run(st, err) < 0)
		return -1;
	return sqlite3_changes(s->db) > 0;
}

#define AGENT_COLUMNS \
	"id, name, host, slot, status, current_run_id, last_seen_at, registered_at, version," \
	" k6_version, restarts, rss_bytes, progress"

static json_t *agent_row(sqlite3_stmt *st)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
		store_text_column(st, 0), "name", store_text_column(st, 1), "host",
		store_text_column(st, 2), "slot", store_int_column(st, 3), "status",
		store_text_column(st, 4), "currentRunId", store_text_column(st, 5), "lastSeenAt",
		json_time(sqlite3_column_int64(st, 6)), "registeredAt",
		json_time(sqlite3_column_int64(st, 7)), "version", store_text_column(st, 8),
		"k6Version", store_text_column(st, 9), "restarts", store_int_column(st, 10),
		"rssBytes", store_int_column(st, 11), "progress", store_json_column(st, 12));
}

json_t *store_get_agent(struct store *s, const char *host, const char *name, struct err *err)
{
	sqlite3_stmt *st = store_stmt(
		s, "SELECT " AGENT_COLUMNS " FROM k6_agents WHERE host = ?1 AND name = ?2", err);
	json_t *agent = NULL;

	if (!st)
		return NULL;
	db_bind_text(st, 1, host);
	db_bind_text(st, 2, name);
	if (sqlite3_step(st) == SQLITE_ROW)
		agent = agent_row(st);
	sqlite3_reset(st);
	return agent;
}

json_t *store_list_agents(struct store *s, struct err *err)
{
	sqlite3_stmt *st = store_stmt(
		s, "SELECT " AGENT_COLUMNS " FROM k6_agents ORDER BY host, slot, name", err);
	json_t *list = json_array();

	while (st && sqlite3_step(st) == SQLITE_ROW)
		json_array_append_new(list, agent_row(st));
	sqlite3_reset(st);
	return list;
}

/* --- targets -------------------------------------------------------------------------- */

int store_insert_target(struct store *s, struct target *t, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"INSERT INTO k6_targets (id, enabled, json, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)",
		err);
	_cleanup_json_ json_t *json = NULL;
	_cleanup_free_ char *text = NULL;
	char id[UUID_MAX];

	if (!st)
		return -1;
	uuid_make_v7(now_ms, id);
	free(t->id);
	t->id = x_strdup(id);
	json = target_to_json(t, false);
	text = json_compact(json);
	db_bind_text(st, 1, t->id);
	sqlite3_bind_int(st, 2, t->enabled);
	db_bind_text(st, 3, text);
	sqlite3_bind_int64(st, 4, now_ms);
	return db_run(st, err);
}

/* Columns: json, created_at, updated_at. */
static json_t *target_row(sqlite3_stmt *st, bool mask, struct target **out)
{
	_cleanup_json_ json_t *stored = json_loads(db_column_text(st, 0), 0, NULL);
	struct target *t = target_new();
	struct target_error terr;
	json_t *json;

	if (target_apply_json(t, stored, false, &terr) < 0) {
		target_free(t);
		return NULL;
	}
	free(t->id);
	t->id = x_strdup(json_get_text(stored, "id", ""));
	json = target_to_json(t, mask);
	json_object_set_new(json, "createdAt", json_time(sqlite3_column_int64(st, 1)));
	json_object_set_new(json, "updatedAt", json_time(sqlite3_column_int64(st, 2)));
	if (out)
		*out = t;
	else
		target_free(t);
	return json;
}

json_t *store_get_target(
	struct store *s, const char *id, bool mask, struct target **t, struct err *err)
{
	sqlite3_stmt *st = store_stmt(
		s, "SELECT json, created_at, updated_at FROM k6_targets WHERE id = ?1", err);
	json_t *json = NULL;
	int rc;

	err->msg[0] = '\0';
	if (!st)
		return NULL;
	db_bind_text(st, 1, id);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		json = target_row(st, mask, t);
	else if (rc != SQLITE_DONE)
		fail(s, err);
	sqlite3_reset(st);
	return json;
}

int store_update_target(struct store *s, const struct target *t, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"UPDATE k6_targets SET json = ?2, enabled = ?3, updated_at = ?4 WHERE id = ?1",
		err);
	_cleanup_json_ json_t *json = target_to_json(t, false);
	_cleanup_free_ char *text = json_compact(json);

	if (!st)
		return -1;
	db_bind_text(st, 1, t->id);
	db_bind_text(st, 2, text);
	sqlite3_bind_int(st, 3, t->enabled);
	sqlite3_bind_int64(st, 4, now_ms);
	return db_run(st, err) < 0 ? -1 : sqlite3_changes(s->db) > 0;
}

int store_find_target(struct store *s, const char *label, char *id, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT id FROM k6_targets WHERE json_extract(json, '$.label') = ?1 LIMIT 2", err);
	int n = 0;

	if (!st)
		return -1;
	db_bind_text(st, 1, label);
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (!n++)
			snprintf(id, UUID_MAX, "%s", db_column_text(st, 0));
	}
	sqlite3_reset(st);
	return n;
}

int store_knows_target(struct store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT EXISTS (SELECT 1 FROM k6_targets WHERE id = ?1) OR EXISTS (SELECT 1 FROM k6_rollups WHERE"
		" target_id = ?1) OR EXISTS (SELECT 1 FROM k6_names WHERE kind = 0 AND name = ?1)",
		err);
	int known = 0;

	if (!st)
		return -1;
	db_bind_text(st, 1, id);
	if (sqlite3_step(st) == SQLITE_ROW)
		known = sqlite3_column_int(st, 0);
	sqlite3_reset(st);
	return known;
}

int store_delete_target(struct store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s, "DELETE FROM k6_targets WHERE id = ?1", err);

	if (!st)
		return -1;
	db_bind_text(st, 1, id);
	return db_run(st, err) < 0 ? -1 : sqlite3_changes(s->db) > 0;
}

json_t *store_list_targets_for(struct store *s, const char *host, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT json, created_at, updated_at FROM k6_targets t WHERE enabled OR EXISTS (SELECT 1 FROM"
		" k6_commands c WHERE c.host = ?1 AND c.created_at > ?2 AND c.target_id = t.id) ORDER BY seq",
		err);
	json_t *list = json_array();

	if (st) {
		db_bind_text(st, 1, host);
		sqlite3_bind_int64(st, 2, now_ms - STORE_COMMAND_LIFE_MS);
	}
	while (st && sqlite3_step(st) == SQLITE_ROW) {
		json_t *json = target_row(st, false, NULL);

		if (json)
			json_array_append_new(list, json);
	}
	sqlite3_reset(st);
	return list;
}

json_t *store_list_targets(struct store *s, bool mask, struct err *err)
{
	sqlite3_stmt *st = store_stmt(
		s, "SELECT json, created_at, updated_at FROM k6_targets ORDER BY seq", err);
	json_t *list = json_array();

	while (st && sqlite3_step(st) == SQLITE_ROW) {
		json_t *json = target_row(st, mask, NULL);

		if (json)
			json_array_append_new(list, json);
	}
	sqlite3_reset(st);
	return list;
}

/* --- the reaper ---------------------------------------------------------------------------- */

static int reap_step(
	struct store *s, const char *sql, int64_t limit, int64_t *changed, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s, sql, err);

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, limit);
	if (db_run(st, err) < 0)
		return -1;
	if (changed)
		*changed = sqlite3_changes(s->db);
	return 0;
}

/* As reap_step(), of a statement that returns two texts a row: [what, first, second] each into the list.  Behind
 * those of a run stands what it is counted by. */
static int reap_rows(struct store *s, const char *sql, int64_t limit, int64_t *changed,
	json_t *list, const char *what, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s, sql, err);
	int rc;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, limit);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_array_append_new(list,
			json_pack("[s, o, o]", what, json_text(db_column_text(st, 0)),
				json_text(db_column_text(st, 1))));
		if (sqlite3_column_count(st) > 2)
			store_count_reaped(s, st, 2);
		++*changed;
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : fail(s, err);
}

/* Runs of agents that are forgotten: they go as well, or stay without their agent. */
static int let_runs_go(struct store *s, bool keep, int64_t limit, struct err *err)
{
	static const char orphans[] = "DELETE FROM k6_runs WHERE agent_no IN " GONE_AGENTS
				      " RETURNING target_no, agent_no, started_at, status";
	static const char detached[] =
		"INSERT OR IGNORE INTO k6_names (kind, host, name) SELECT DISTINCT 1, host, '' FROM k6_agents WHERE"
		" status = 'offline' AND last_seen_at < ?1";
	static const char detach[] =
		"UPDATE k6_runs SET agent = NULL, agent_no = (SELECT no FROM k6_names n WHERE n.kind = 1 AND"
		" n.host = k6_runs.host AND n.name = '') WHERE agent_no IN " GONE_AGENTS
		" RETURNING target_no, agent_no, started_at, status";
	static const char detached_before[] =
		"SELECT target_no, agent_no, started_at, status FROM k6_runs WHERE agent_no IN " GONE_AGENTS;

	if (!keep)
		return store_count_rows(s, orphans, limit, -1, NULL, err);
	if (reap_step(s, detached, limit, NULL, err) < 0 ||
		store_count_rows(s, detached_before, limit, -1, NULL, err) < 0)
		return -1;
	return store_count_rows(s, detach, limit, 1, NULL, err);
}

int store_reap(struct store *s, int64_t now_ms, int64_t run_timeout_ms, int64_t offline_ms,
	int64_t delete_ms, bool keep_runs, struct store_reaped *out, json_t *changed,
	struct err *err)
{
	static const char runs[] =
		"UPDATE k6_runs SET status = 'error', reason = 'reaped', error_message ="
		" 'no result came within the time that the run had; its agent may have been lost'"
		" WHERE status = 'running' AND started_at + planned_ms < ?1 RETURNING id, '', target_no, agent_no, started_at";
	/* An hour whose runs are partly gone cannot be read again: it gets them added. */
	static const char frozen[] =
		"UPDATE k6_rollups SET runs = runs + n, error = error + n FROM (SELECT coalesce(target_id, '') AS t,"
		" started_at / 3600000 AS h, count(*) AS n FROM k6_runs WHERE status = 'running' AND"
		" started_at + planned_ms < ?1 GROUP BY 1, 2) WHERE target_id = t AND hour = h AND frozen";
	static const char pointers[] =
		"UPDATE k6_agents SET current_run_id = NULL, progress = NULL WHERE current_run_id IS NOT NULL AND ?1"
		" AND NOT EXISTS (SELECT 1 FROM k6_runs r WHERE r.id = current_run_id AND r.status = 'running')";
	static const char offline[] =
		"UPDATE k6_agents SET status = 'offline' WHERE last_seen_at < ?1 AND status <> 'offline' RETURNING host, name";
	static const char agents[] =
		"DELETE FROM k6_agents WHERE status = 'offline' AND last_seen_at < ?1 RETURNING host, name";
	static const char hours[] =
		"SELECT DISTINCT coalesce(target_id, ''), started_at / 3600000 FROM k6_runs WHERE agent_no IN " GONE_AGENTS;
	static const char dirty[] =
		"INSERT OR IGNORE INTO k6_rollup_dirty SELECT DISTINCT started_at / 3600000, coalesce(target_id, '')"
		" FROM k6_runs WHERE status = 'running' AND started_at + planned_ms < ?1 AND NOT EXISTS (SELECT 1 FROM"
		" k6_rollups f WHERE f.target_id = coalesce(k6_runs.target_id, '') AND f.hour = started_at / 3600000 AND f.frozen)";

	*out = (struct store_reaped){0};
	if (store_begin(s, err) < 0)
		return -1;
	if (reap_step(s, frozen, now_ms - run_timeout_ms, NULL, err) < 0 ||
		reap_step(s, dirty, now_ms - run_timeout_ms, NULL, err) < 0 ||
		reap_rows(s, runs, now_ms - run_timeout_ms, &out->runs_timed_out, changed, "run",
			err) < 0 ||
		reap_step(s, pointers, 1, NULL, err) < 0 ||
		reap_rows(s, offline, now_ms - offline_ms, &out->agents_offline, changed, "agent",
			err) < 0 ||
		(!keep_runs && store_rollup_freeze(s, hours, now_ms - delete_ms, err) < 0) ||
		let_runs_go(s, keep_runs, now_ms - delete_ms, err) < 0 ||
		reap_rows(s, agents, now_ms - delete_ms, &out->agents_deleted, changed, "agent",
			err) < 0 ||
		store_expire_commands(s, now_ms, err) < 0) {
		store_rollback(s);
		return -1;
	}
	return store_commit(s, err);
}

int store_expire(struct store *s, int64_t before_ms, struct err *err)
{
	static const char hours[] =
		"SELECT DISTINCT coalesce(target_id, ''), started_at / 3600000 FROM (SELECT target_id, started_at FROM"
		" k6_runs WHERE started_at < ?1 AND status <> 'running' ORDER BY started_at LIMIT 2000)";

	int64_t gone = 0;

	/* In small steps: no request waits for a year of runs to go. */
	if (store_begin(s, err) < 0)
		return -1;
	if (store_rollup_freeze(s, hours, before_ms, err) < 0 ||
		store_count_rows(s,
			"DELETE FROM k6_runs WHERE seq IN (SELECT seq FROM k6_runs WHERE started_at < ?1 AND"
			" status <> 'running' ORDER BY started_at LIMIT 2000)"
			" RETURNING target_no, agent_no, started_at, status",
			before_ms, -1, &gone, err) < 0 ||
		store_commit(s, err) < 0) {
		store_rollback(s);
		return -1;
	}
	return gone > 0;
}
