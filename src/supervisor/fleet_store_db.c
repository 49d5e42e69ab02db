/* SPDX-License-Identifier: MIT */
/* Each statement is prepared once, when the database is opened. */
#include "supervisor/fleet_store_db.h"

#include <stdatomic.h>
#include <string.h>

#include "common/db.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/run_json.h"
#include "common/uuid.h"

/* How many of the newest runs last_results reads. */
#define LAST_RESULTS_LOOK 3000
/* The dashboard accepts bodies of 4 MiB; JSON escapes can make a log twice as long as it is
 * here. */
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
	ST_META_GET,
	ST_RUNNING,
	ST_ORIGINS,
	ST_PAGE_COUNT,
	ST_FREELIST_COUNT,
	ST_PAGE_SIZE,
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
	/* By the primary key the search would pass over all runs that are acknowledged. */
	[ST_OUTBOX] = ("SELECT json, id, log, rev, seq FROM runs INDEXED BY runs_outbox"
		       " WHERE acked_rev < rev AND seq > ?1 ORDER BY seq LIMIT ?2"),
	[ST_ACK] = "UPDATE runs SET acked_rev = ?2 WHERE id = ?1 AND acked_rev < ?2",
	[ST_LIST] = ("SELECT json, id FROM runs WHERE (?2 = '' OR target_id = ?2 OR target_label = ?2) AND"
		     " (?3 = '' OR agent = ?3) AND (?4 = 0 OR status NOT IN ('running', 'success'))"
		     " ORDER BY seq DESC LIMIT ?1"),
	[ST_GET] = "SELECT json, id, log FROM runs WHERE id = ?1",
	[ST_GET_BY_END] = "SELECT json, id, log FROM runs WHERE id LIKE '%-' || ?1 ORDER BY seq DESC LIMIT 1",
	[ST_COUNT_OUTBOX] = "SELECT count(*) FROM runs WHERE acked_rev < rev",
	/* ?2 and ?3 are the paths of two fields in the JSON; json_extract() of a damaged record is an error. */
	[ST_LAST_RESULTS] = ("SELECT agent, status, target_id, CASE WHEN json_valid(json)"
			     " THEN json_extract(json, ?2) + json_extract(json, ?3) END FROM runs"
			     " WHERE seq > (SELECT max(seq) FROM runs) - ?1 AND status <> 'running' ORDER BY seq"),
	[ST_PROBE] = "INSERT INTO meta VALUES ('probe', zeroblob(?1)) ON CONFLICT (key) DO UPDATE SET value = zeroblob(?1)",
	[ST_PRUNE_AGE] = ("DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE at_ms < ?1 AND acked_rev >= rev AND"
			  " status <> 'running' ORDER BY at_ms LIMIT 500)"),
	[ST_PRUNE_OLDEST] = ("DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE acked_rev >= rev AND"
			     " status <> 'running' ORDER BY seq LIMIT 500)"),
	[ST_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[ST_RUNNING] = ("SELECT json, id, agent, target_id, target_label, at_ms FROM runs WHERE status = 'running'"
			" ORDER BY seq"),
	[ST_ORIGINS] = "SELECT target_id, wall_ms FROM origins",
	[ST_PAGE_COUNT] = "PRAGMA page_count",
	[ST_FREELIST_COUNT] = "PRAGMA freelist_count",
	[ST_PAGE_SIZE] = "PRAGMA page_size",
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

void fleet_store_db_rollback(struct fleet_store_db *db)
{
	if (!sqlite3_get_autocommit(db->db))
		db_exec(db->db, "ROLLBACK", NULL);
}

/* Reads the number that the statement always returns. */
static int read_number(struct fleet_store_db *db, enum statement st, int64_t *out, struct err *err)
{
	enum found found = db_one_int(db->st[st], out, err);

	return found == NOT_FOUND ? err_set(err, "no result of: %s", sql[st])
		: found == FOUND  ? 0
				  : -1;
}

int fleet_store_db_count_outbox(struct fleet_store_db *db, int64_t *out, struct err *err)
{
	return read_number(db, ST_COUNT_OUTBOX, out, err);
}

static int copy_text(sqlite3_stmt *st, void *arg, struct err *err)
{
	const char *text = db_column_text(st, 0);

	/* No text that is written has a zero byte: one must not hide the rest. */
	if (strlen(text) != (size_t)sqlite3_column_bytes(st, 0))
		return err_code_set(err, ERR_CORRUPT, "the stored text is damaged");
	*(char **)arg = x_strdup(text);
	return 0;
}

enum found fleet_store_db_meta_get(
	struct fleet_store_db *db, const char *key, char **value, struct err *err)
{
	db_bind_text(db->st[ST_META_GET], 1, key);
	return db_one(db->st[ST_META_GET], copy_text, value, err);
}

/* Columns 0 and 1: JSON and id of a record.  Returns a new reference; NULL with err when it
 * cannot be parsed or is not that of the run.  That is not ERR_CORRUPT, by which the whole store
 * fails: a member of the read group could stop the fleet by a list of its runs. */
static json_t *load_record(sqlite3_stmt *st, struct err *err)
{
	const char *id = db_column_text(st, 1);
	json_t *record = json_loads(db_column_text(st, 0), 0, NULL);

	if (!strcmp(json_get_text(record, RUN_NAME(id), ""), id))
		return record;
	json_decref(record);
	err_code_set(err, ERR_MALFORMED, "the record of run %s is damaged", id);
	return NULL;
}

/* Columns: json, id, agent, target_id, target_label, at_ms.  A run whose JSON cannot be parsed
 * was started all the same and needs a terminal record, which is made from the columns. */
static int take_running(sqlite3_stmt *st, void *arg, struct err *err)
{
	_cleanup_json_ json_t *record = load_record(st, NULL);
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
	return db_each(db->st[ST_RUNNING], take_running, out, err) < 0
		? err_prefix(err, "cannot read the runs")
		: 0;
}

static int take_origin(sqlite3_stmt *st, void *arg, struct err *err)
{
	(void)err;
	json_object_set_new(arg, db_column_text(st, 0), json_integer(sqlite3_column_int64(st, 1)));
	return 0;
}

int fleet_store_db_origins(struct fleet_store_db *db, json_t **out, struct err *err)
{
	*out = json_object();
	if (db_each(db->st[ST_ORIGINS], take_origin, *out, err) == 0)
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_prefix(err, "cannot read the targets' origins");
}

/* --- tasks --------------------------------------------------------------------------- */

static int meta_set(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	db_bind_text(db->st[ST_META_SET], 1, t->meta_set.key);
	db_bind_text(db->st[ST_META_SET], 2, t->meta_set.value);
	return db_run(db->st[ST_META_SET], err);
}

static int origin_set(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	db_bind_text(db->st[ST_ORIGIN_SET], 1, t->origin_set.target_id);
	sqlite3_bind_int64(db->st[ST_ORIGIN_SET], 2, t->origin_set.wall_ms);
	return db_run(db->st[ST_ORIGIN_SET], err);
}

static int put_run(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_stmt *st = db->st[ST_PUT_RUN];

	db_bind_text(st, 1, t->put_run.id);
	sqlite3_bind_int(st, 2, db->without_outbox ? 1 : 0);
	db_bind_text(st, 3, run_status_names[t->put_run.status]);
	db_bind_text(st, 4, t->put_run.agent);
	db_bind_text(st, 5, t->put_run.target_id);
	db_bind_text(st, 6, t->put_run.target_label);
	sqlite3_bind_int64(st, 7, t->put_run.scheduled_ms);
	db_bind_text(st, 8, t->put_run.json);
	db_bind_text(st, 9, t->put_run.log);
	return db_run(st, err);
}

struct batch {
	json_t *list;
	char *damaged;
	int64_t bytes, last_seq;
	int rows; /* of the last part that was read, with the damaged ones */
	size_t limit;
	bool is_full;
};

/* Columns: json, id, log, rev, seq.  A damaged record stays in the outbox and is counted
 * there. */
static int take_unsent(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct batch *b = arg;
	int bytes = sqlite3_column_bytes(st, 0) + sqlite3_column_bytes(st, 2);
	json_t *run;

	(void)err;
	b->rows++;
	b->last_seq = sqlite3_column_int64(st, 4);
	b->is_full = b->is_full || json_array_size(b->list) == b->limit ||
		(json_array_size(b->list) && b->bytes + bytes > OUTBOX_MAX_BYTES);
	if (b->is_full)
		return 0; /* goes with the next batch */
	run = load_record(st, NULL);
	if (!run) {
		free(b->damaged);
		b->damaged = x_strdup(db_column_text(st, 1));
		return 0;
	}
	b->bytes += bytes;
	if (sqlite3_column_type(st, 2) != SQLITE_NULL)
		json_object_set_new(run, RUN_NAME(log), json_text(db_column_text(st, 2)));
	json_array_append_new(b->list,
		json_pack(
			"{s:I, s:o}", "rev", (json_int_t)sqlite3_column_int64(st, 3), "run", run));
	return 0;
}

/* Reads in parts of so many rows as are wanted, until so many sound ones were found: damaged
 * records, however many, keep none behind them waiting. */
static int fetch_outbox(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	struct batch b = {.list = json_array(), .limit = (size_t)t->fetch_outbox.limit};
	int rc = 0;

	t->result = b.list;
	do {
		b.rows = 0;
		sqlite3_bind_int64(db->st[ST_OUTBOX], 1, b.last_seq);
		sqlite3_bind_int64(db->st[ST_OUTBOX], 2, t->fetch_outbox.limit);
		rc = db_each(db->st[ST_OUTBOX], take_unsent, &b, err);
	} while (rc == 0 && !b.is_full && b.rows && b.rows == t->fetch_outbox.limit &&
		json_array_size(b.list) < b.limit);
	free(t->fetch_outbox.damaged);
	t->fetch_outbox.damaged = b.damaged;
	return rc;
}

static int ack(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	json_t *pair;
	size_t i;

	json_array_foreach (t->ack.acks, i, pair) {
		db_bind_text(db->st[ST_ACK], 1, json_string_value(json_array_get(pair, 0)));
		sqlite3_bind_int64(db->st[ST_ACK], 2, json_integer_value(json_array_get(pair, 1)));
		if (db_run(db->st[ST_ACK], err) < 0)
			return -1;
	}
	return 0;
}

static int take_listed(sqlite3_stmt *st, void *arg, struct err *err)
{
	json_t *run = load_record(st, err);

	json_object_del(run, RUN_NAME(quantiles));
	return run ? json_array_append_new(arg, run) : -1;
}

static int list_runs(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_stmt *st = db->st[ST_LIST];

	t->result = json_array();
	sqlite3_bind_int64(st, 1, t->list_runs.limit);
	db_bind_text(st, 2, t->list_runs.target);
	db_bind_text(st, 3, t->list_runs.agent);
	sqlite3_bind_int64(st, 4, t->list_runs.failed_only);
	return db_each(st, take_listed, t->result, err);
}

static int take_one(sqlite3_stmt *st, void *arg, struct err *err)
{
	json_t *run = load_record(st, err);

	*(json_t **)arg = run;
	return run ? json_object_set_new(run, RUN_NAME(log), json_text(db_column_text(st, 2))) : -1;
}

static int get_run(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_stmt *st = db->st[uuid_is_end(t->get_run.id) ? ST_GET_BY_END : ST_GET];
	enum found found;

	db_bind_text(st, 1, t->get_run.id);
	found = db_one(st, take_one, &t->result, err);
	if (found == NOT_FOUND)
		t->result = json_null();
	return found == FOUND_ERROR ? -1 : 0;
}

static int take_last_result(sqlite3_stmt *st, void *arg, struct err *err)
{
	json_t *agents = json_object_get(arg, "agents"), *targets = json_object_get(arg, "targets");
	const char *target = db_column_text(st, 2);
	int64_t used = sqlite3_column_int64(st, 3);

	(void)err;
	json_object_set_new(agents, db_column_text(st, 0), json_text(db_column_text(st, 1)));
	if (used > json_get_int(targets, target, 0))
		json_object_set_new(targets, target, json_integer(used));
	return 0;
}

static int last_results(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	_cleanup_free_ char *rss =
		x_asprintf("$.%s.%s", run_group_names[RUN_RESOURCES], RUN_NAME(max_rss_bytes));
	_cleanup_free_ char *tmp =
		x_asprintf("$.%s.%s", run_group_names[RUN_RESOURCES], RUN_NAME(tmp_bytes));
	sqlite3_stmt *st = db->st[ST_LAST_RESULTS];

	t->result = json_pack("{s:{}, s:{}}", "agents", "targets");
	sqlite3_bind_int64(st, 1, LAST_RESULTS_LOOK);
	db_bind_text(st, 2, rss);
	db_bind_text(st, 3, tmp);
	return db_each(st, take_last_result, t->result, err);
}

static int prune(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	int64_t pages, free_pages, page_bytes;

	t->prune.deleted = 0;
	sqlite3_bind_int64(db->st[ST_PRUNE_AGE], 1, t->prune.before_wall_ms);
	if (db_run(db->st[ST_PRUNE_AGE], err) < 0)
		return -1;
	t->prune.deleted = sqlite3_changes(db->db);
	if (read_number(db, ST_PAGE_COUNT, &pages, err) < 0 ||
		read_number(db, ST_FREELIST_COUNT, &free_pages, err) < 0 ||
		read_number(db, ST_PAGE_SIZE, &page_bytes, err) < 0)
		return -1;
	if ((pages - free_pages) * page_bytes <= t->prune.max_bytes)
		return 0;
	if (db_run(db->st[ST_PRUNE_OLDEST], err) < 0)
		return -1;
	t->prune.deleted += sqlite3_changes(db->db);
	return 0;
}

static int probe(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err)
{
	sqlite3_bind_int64(db->st[ST_PROBE], 1, t->probe.bytes);
	return db_run(db->st[ST_PROBE], err);
}

static const struct {
	int (*work)(struct fleet_store_db *db, struct fleet_store_task *t, struct err *err);
	bool writes;
} tasks[FLEET_STORE_TASK_COUNT] = {
#define X(NAME, name, writes_it) [FLEET_STORE_##NAME] = {name, writes_it},
	FLEET_STORE_TASKS(X)
#undef X
};

bool fleet_store_task_writes(enum fleet_store_task_type type)
{
	return tasks[type].writes;
}

int fleet_store_db_do(struct fleet_store_db *db, struct fleet_store_task *task, struct err *err)
{
	json_decref(task->result);
	task->result = NULL;
	return tasks[task->type].work(db, task, err);
}

void fleet_store_task_clear(struct fleet_store_task *t)
{
	switch (t->type) {
	case FLEET_STORE_META_SET:
		free(t->meta_set.key);
		free(t->meta_set.value);
		break;
	case FLEET_STORE_ORIGIN_SET: free(t->origin_set.target_id); break;
	case FLEET_STORE_PUT_RUN:
		free(t->put_run.id);
		free(t->put_run.agent);
		free(t->put_run.target_id);
		free(t->put_run.target_label);
		free(t->put_run.json);
		free(t->put_run.log);
		break;
	case FLEET_STORE_FETCH_OUTBOX: free(t->fetch_outbox.damaged); break;
	case FLEET_STORE_ACK: json_decref(t->ack.acks); break;
	case FLEET_STORE_LIST_RUNS:
		free(t->list_runs.target);
		free(t->list_runs.agent);
		break;
	case FLEET_STORE_GET_RUN: free(t->get_run.id); break;
	default: break;
	}
	json_decref(t->result);
	*t = (struct fleet_store_task){.type = t->type};
}
