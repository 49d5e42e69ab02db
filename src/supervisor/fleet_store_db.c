/* SPDX-License-Identifier: MIT */
/* Statements are prepared once, when it is opened. */
#include "supervisor/fleet_store_db.h"

#include <stdatomic.h>
#include <string.h>

#include "common/db.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/run_json.h"
#include "common/uuid.h"

/* How many runs back the last results of agents are looked for. */
#define LAST_RESULTS_LOOK 3000
/* The dashboard takes bodies of 4 MiB; escaping may make a log longer than it is here. */
#define OUTBOX_MAX_BYTES (2 * 1024 * 1024)

/* clang-format off */
static const char *const migrations[] = {
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE origins (target_id TEXT PRIMARY KEY, wall_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE runs (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, rev INTEGER NOT NULL,"
	" acked_rev INTEGER NOT NULL, status TEXT NOT NULL, agent TEXT NOT NULL, target_id TEXT NOT NULL,"
	" target_label TEXT NOT NULL, at_ms INTEGER NOT NULL, json TEXT NOT NULL, log TEXT);"
	"CREATE INDEX runs_outbox ON runs (seq) WHERE acked_rev < rev;"
	"CREATE INDEX runs_running ON runs (seq) WHERE status = 'running';"
	"CREATE INDEX runs_at ON runs (at_ms);",
};

enum statement {
	ST_META_SET,
	ST_ORIGIN_SET,
	ST_PUT_RUN,
	ST_OUTBOX,
	ST_ACK,
	ST_LIST,
	ST_GET,
	ST_GET_BY_END,
	ST_COUNT_OUTBOX,
	ST_LAST_RESULTS,
	ST_PROBE,
	ST_PRUNE_AGE,
	ST_PRUNE_OLDEST,
	STATEMENTS
};

static const char *const sql[STATEMENTS] = {
	[ST_META_SET] = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
	[ST_ORIGIN_SET] = "INSERT INTO origins VALUES (?1, ?2) ON CONFLICT (target_id) DO UPDATE SET wall_ms = ?2",
	[ST_PUT_RUN] =
		("INSERT INTO runs (id, rev, acked_rev, status, agent, target_id, target_label, at_ms, json, log)"
		 " VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE"
		 " SET rev = rev + 1, acked_rev = CASE ?2 WHEN 0 THEN acked_rev ELSE rev + 1 END,"
		 " status = ?3, json = ?8, log = ?9"),
	[ST_OUTBOX] = "SELECT rev, json, log FROM runs WHERE acked_rev < rev ORDER BY seq LIMIT ?1",
	[ST_ACK] = "UPDATE runs SET acked_rev = ?2 WHERE id = ?1 AND acked_rev < ?2",
	[ST_LIST] = ("SELECT json FROM runs WHERE (?2 = '' OR target_id = ?2 OR target_label = ?2) AND"
		     " (?3 = '' OR agent = ?3) AND (?4 = 0 OR status NOT IN ('running', 'success'))"
		     " ORDER BY seq DESC LIMIT ?1"),
	[ST_GET] = "SELECT json, log FROM runs WHERE id = ?1",
	[ST_GET_BY_END] = "SELECT json, log FROM runs WHERE id LIKE '%-' || ?1 ORDER BY seq DESC LIMIT 1",
	[ST_COUNT_OUTBOX] = "SELECT count(*) FROM runs WHERE acked_rev < rev",
	[ST_LAST_RESULTS] = ("SELECT agent, status, target_id, json_extract(json, '$.resources.maxRssBytes') +"
			     " json_extract(json, '$.resources.tmpBytes') FROM runs"
			     " WHERE seq > (SELECT max(seq) FROM runs) - ?1 AND status <> 'running' ORDER BY seq"),
	[ST_PROBE] = "INSERT INTO meta VALUES ('probe', zeroblob(?1)) ON CONFLICT (key) DO UPDATE SET value = zeroblob(?1)",
	[ST_PRUNE_AGE] = ("DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE at_ms < ?1 AND acked_rev >= rev AND"
			  " status <> 'running' ORDER BY at_ms LIMIT 500)"),
	[ST_PRUNE_OLDEST] = ("DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE acked_rev >= rev AND"
			     " status <> 'running' ORDER BY seq LIMIT 500)"),
};
/* clang-format on */

struct fleet_store_db {
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENTS];
	_Atomic bool without_outbox; /* the loop's side sets it */
};

struct fleet_store_db *fleet_store_db_open(const char *path, struct err *err)
{
	struct fleet_store_db *db = x_calloc(1, sizeof(*db));

	if (db_open(path, migrations, ARRAY_SIZE(migrations), &db->db, err) < 0) {
		free(db);
		return NULL;
	}
	for (int i = 0; i < STATEMENTS; i++) {
		if (db_prepare(db->db, sql[i], &db->st[i], err) < 0) {
			fleet_store_db_close(db);
			return NULL;
		}
	}
	return db;
}

void fleet_store_db_close(struct fleet_store_db *db)
{
	if (!db)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(db->st[i]);
	sqlite3_close(db->db);
	free(db);
}

void fleet_store_db_use_outbox(struct fleet_store_db *db, bool use)
{
	atomic_store(&db->without_outbox, !use);
}

int fleet_store_db_begin(struct fleet_store_db *db, struct err *err)
{
	return db_exec(db->db, "BEGIN IMMEDIATE", err);
}

int fleet_store_db_commit(struct fleet_store_db *db, struct err *err)
{
	return db_exec(db->db, "COMMIT", err);
}

bool fleet_store_db_rollback(struct fleet_store_db *db)
{
	bool is_full = (sqlite3_errcode(db->db) & 0xff) == SQLITE_FULL;

	if (!sqlite3_get_autocommit(db->db))
		db_exec(db->db, "ROLLBACK", NULL);
	return is_full;
}

int64_t fleet_store_db_count_outbox(struct fleet_store_db *db, int64_t fallback)
{
	int64_t n = fallback;

	if (sqlite3_step(db->st[ST_COUNT_OUTBOX]) == SQLITE_ROW)
		n = sqlite3_column_int64(db->st[ST_COUNT_OUTBOX], 0);
	sqlite3_reset(db->st[ST_COUNT_OUTBOX]);
	return n;
}

int fleet_store_db_meta_set(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	db_bind_text(db->st[ST_META_SET], 1, t->text[0]);
	db_bind_text(db->st[ST_META_SET], 2, t->text[1]);
	return db_run(db->st[ST_META_SET], err);
}

int fleet_store_db_origin_set(
	struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	db_bind_text(db->st[ST_ORIGIN_SET], 1, t->text[0]);
	sqlite3_bind_int64(db->st[ST_ORIGIN_SET], 2, t->number[0]);
	return db_run(db->st[ST_ORIGIN_SET], err);
}

int fleet_store_db_put_run(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_stmt *st = db->st[ST_PUT_RUN];

	db_bind_text(st, 1, t->text[0]);
	sqlite3_bind_int(st, 2, db->without_outbox ? 1 : 0);
	for (int i = 1; i <= 4; i++)
		db_bind_text(st, i + 2, t->text[i]);
	sqlite3_bind_int64(st, 7, t->number[0]);
	db_bind_text(st, 8, t->text[5]);
	db_bind_text(st, 9, t->text[6]);
	return db_run(st, err);
}

/* Loads a stored object; what cannot be parsed was never written by us and is left out. */
static json_t *load_object(const char *text)
{
	return json_loads(text, 0, NULL);
}

int fleet_store_db_fetch_outbox(
	struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_stmt *st = db->st[ST_OUTBOX];
	int64_t bytes = 0;
	int rc;

	t->result = json_array();
	sqlite3_bind_int64(st, 1, t->number[0]);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *run = load_object(db_column_text(st, 1));

		bytes += sqlite3_column_bytes(st, 1) + sqlite3_column_bytes(st, 2);
		if (json_array_size(t->result) && bytes > OUTBOX_MAX_BYTES) {
			json_decref(run);
			rc = SQLITE_DONE; /* the rest goes with the next batch */
			break;
		}
		if (sqlite3_column_type(st, 2) != SQLITE_NULL)
			json_object_set_new(run, "log", json_text(db_column_text(st, 2)));
		if (run)
			json_array_append_new(t->result,
				json_pack("{s:I, s:o}", "rev",
					(json_int_t)sqlite3_column_int64(st, 0), "run", run));
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : err_set(err, "%s", sqlite3_errmsg(db->db));
}

int fleet_store_db_ack(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	json_t *pair;
	size_t i;

	json_array_foreach (t->result, i, pair) {
		db_bind_text(db->st[ST_ACK], 1, json_string_value(json_array_get(pair, 0)));
		sqlite3_bind_int64(db->st[ST_ACK], 2, json_integer_value(json_array_get(pair, 1)));
		if (db_run(db->st[ST_ACK], err) < 0)
			return -1;
	}
	return 0;
}

int fleet_store_db_list(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_stmt *st = db->st[ST_LIST];
	int rc;

	t->result = json_array();
	sqlite3_bind_int64(st, 1, t->number[0]);
	db_bind_text(st, 2, t->text[0]);
	db_bind_text(st, 3, t->text[1]);
	sqlite3_bind_int64(st, 4, t->number[1]);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *run = load_object(db_column_text(st, 0));

		json_object_del(run, "latencyQuantiles");
		if (run)
			json_array_append_new(t->result, run);
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : err_set(err, "%s", sqlite3_errmsg(db->db));
}

int fleet_store_db_get(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_stmt *st = db->st[uuid_is_end(t->text[0]) ? ST_GET_BY_END : ST_GET];
	int rc;

	db_bind_text(st, 1, t->text[0]);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		t->result = load_object(db_column_text(st, 0));
		json_object_set_new(t->result, "log", json_text(db_column_text(st, 1)));
	}
	sqlite3_reset(st);
	if (!t->result)
		t->result = json_null();
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0
						     : err_set(err, "%s", sqlite3_errmsg(db->db));
}

int fleet_store_db_last_results(
	struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_stmt *st = db->st[ST_LAST_RESULTS];
	json_t *agents = json_object(), *targets = json_object();
	int rc;

	t->result = json_pack("{s:o, s:o}", "agents", agents, "targets", targets);
	sqlite3_bind_int64(st, 1, LAST_RESULTS_LOOK);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *target = db_column_text(st, 2);
		int64_t used = sqlite3_column_int64(st, 3);

		json_object_set_new(
			agents, db_column_text(st, 0), json_text(db_column_text(st, 1)));
		if (used > json_get_int(targets, target, 0))
			json_object_set_new(targets, target, json_integer(used));
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : err_set(err, "%s", sqlite3_errmsg(db->db));
}

static int64_t pragma(struct fleet_store_db *db, const char *text)
{
	sqlite3_stmt *st;
	int64_t n = 0;

	if (db_prepare(db->db, text, &st, NULL) < 0)
		return 0;
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

int fleet_store_db_prune(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	int64_t used;

	sqlite3_bind_int64(db->st[ST_PRUNE_AGE], 1, t->number[0]);
	if (db_run(db->st[ST_PRUNE_AGE], err) < 0)
		return -1;
	t->number[2] = sqlite3_changes(db->db);
	used = (pragma(db, "PRAGMA page_count") - pragma(db, "PRAGMA freelist_count")) *
		pragma(db, "PRAGMA page_size");
	if (used <= t->number[1])
		return 0;
	if (db_run(db->st[ST_PRUNE_OLDEST], err) < 0)
		return -1;
	t->number[2] += sqlite3_changes(db->db);
	return 0;
}

int fleet_store_db_probe(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_bind_int64(db->st[ST_PROBE], 1, t->number[0]);
	return db_run(db->st[ST_PROBE], err);
}

char *fleet_store_db_meta_get(struct fleet_store_db *db, const char *key)
{
	sqlite3_stmt *st;
	char *value = NULL;

	if (db_prepare(db->db, "SELECT value FROM meta WHERE key = ?1", &st, NULL) < 0)
		return NULL;
	db_bind_text(st, 1, key);
	if (sqlite3_step(st) == SQLITE_ROW)
		value = x_strdup(db_column_text(st, 0));
	sqlite3_finalize(st);
	return value;
}

/* Columns: json, id, agent, target_id, target_label, at_ms.  A run whose JSON is unreadable was begun all the same and
 * has to be ended: the columns know enough of it. */
static int take_running(sqlite3_stmt *st, void *arg, struct err *err)
{
	_cleanup_json_ json_t *record = load_object(db_column_text(st, 0));
	struct run run;

	(void)err;
	if (run_from_json(record, NULL, NULL, &run, NULL) < 0) {
		run_init(&run);
		run.id = x_strdup(db_column_text(st, 1));
		run.scheduled_ms = run.started_ms = sqlite3_column_int64(st, 5);
	}
	if (!run.agent)
		run.agent = x_strdup(db_column_text(st, 2));
	if (!run.target_id)
		run.target_id = x_strdup(db_column_text(st, 3));
	if (!run.target_label)
		run.target_label = x_strdup(db_column_text(st, 4));
	run_list_add(arg, &run);
	return 0;
}

int fleet_store_db_running(struct fleet_store_db *db, struct run_list *out, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	if (db_prepare(db->db,
		    "SELECT json, id, agent, target_id, target_label, at_ms FROM runs WHERE status = 'running' ORDER BY seq",
		    &st, err) < 0)
		return -1;
	rc = db_each(st, take_running, out, err);
	sqlite3_finalize(st);
	return rc < 0 ? err_prefix(err, "cannot read the runs") : 0;
}

json_t *fleet_store_db_origins(struct fleet_store_db *db, struct err *err)
{
	json_t *map = json_object();
	sqlite3_stmt *st;
	int rc;

	if (db_prepare(db->db, "SELECT target_id, wall_ms FROM origins", &st, err) < 0)
		goto failed;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		json_object_set_new(
			map, db_column_text(st, 0), json_integer(sqlite3_column_int64(st, 1)));
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		return map;
	err_set(err, "cannot read the targets' origins: %s", sqlite3_errmsg(db->db));
failed:
	json_decref(map);
	return NULL;
}
