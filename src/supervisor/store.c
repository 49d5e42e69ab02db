/* SPDX-License-Identifier: MIT */
/* A queue of jobs, one thread, one connection.  All jobs that wait are done in one transaction:
 * either all of them are on disk when their callbacks run, or all report the error. */
#include "supervisor/store.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "common/db.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/uuid.h"

/* A supervisor has a run or two in flight per agent; more means that the disk hangs. */
#define QUEUE_MAX 65536
#define BATCH_MAX 512
/* How many runs back the last results of agents are looked for. */
#define LAST_RESULTS_LOOK 3000
/* As much as some dozen records of failed runs with their logs need. */
#define PROBE_BYTES (512 * 1024)
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

struct job {
	struct job *next;
	int (*work)(struct store *s, struct job *job, struct err *err);
	store_done *done;
	store_result *result_done;
	void *arg;
	char *text[7];
	int64_t number[3];
	bool is_write;
	bool is_full; /* why it failed */
	json_t *result;
	struct err err;
	bool failed;
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENTS];
	_Atomic bool without_outbox;
	bool started;
	struct ev_loop *loop;
	ev_async wake;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct job *todo, **todo_tail;
	struct job *finished, **finished_tail;
	size_t queued;
	bool closing;
	enum store_state state;
	struct err error;
	bool probing;
	_Atomic int64_t outbox_count;
	struct log_limit limit;
};

static void free_job(struct job *job)
{
	for (size_t i = 0; i < ARRAY_SIZE(job->text); i++)
		free(job->text[i]);
	json_decref(job->result);
	free(job);
}

static void append(struct job ***tail, struct job *job)
{
	job->next = NULL;
	**tail = job;
	*tail = &job->next;
}

/* --- work, on the store's thread -------------------------------------------- */

static int work_meta_set(struct store *s, struct job *job, struct err *err)
{
	db_bind_text(s->st[ST_META_SET], 1, job->text[0]);
	db_bind_text(s->st[ST_META_SET], 2, job->text[1]);
	return db_run(s->st[ST_META_SET], err);
}

static int work_origin_set(struct store *s, struct job *job, struct err *err)
{
	db_bind_text(s->st[ST_ORIGIN_SET], 1, job->text[0]);
	sqlite3_bind_int64(s->st[ST_ORIGIN_SET], 2, job->number[0]);
	return db_run(s->st[ST_ORIGIN_SET], err);
}

static int work_put_run(struct store *s, struct job *job, struct err *err)
{
	sqlite3_stmt *st = s->st[ST_PUT_RUN];

	db_bind_text(st, 1, job->text[0]);
	sqlite3_bind_int(st, 2, s->without_outbox ? 1 : 0);
	for (int i = 1; i <= 4; i++)
		db_bind_text(st, i + 2, job->text[i]);
	sqlite3_bind_int64(st, 7, job->number[0]);
	db_bind_text(st, 8, job->text[5]);
	db_bind_text(st, 9, job->text[6]);
	return db_run(st, err);
}

/* Loads a stored object; what cannot be parsed was never written by us and is left out. */
static json_t *load_object(const char *text)
{
	return json_loads(text, 0, NULL);
}

static int work_fetch_outbox(struct store *s, struct job *job, struct err *err)
{
	sqlite3_stmt *st = s->st[ST_OUTBOX];
	int64_t bytes = 0;
	int rc;

	job->result = json_array();
	sqlite3_bind_int64(st, 1, job->number[0]);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *run = load_object(db_column_text(st, 1));

		bytes += sqlite3_column_bytes(st, 1) + sqlite3_column_bytes(st, 2);
		if (json_array_size(job->result) && bytes > OUTBOX_MAX_BYTES) {
			json_decref(run);
			rc = SQLITE_DONE; /* the rest goes with the next batch */
			break;
		}
		if (sqlite3_column_type(st, 2) != SQLITE_NULL)
			json_object_set_new(run, "log", json_text(db_column_text(st, 2)));
		if (run)
			json_array_append_new(job->result,
				json_pack("{s:I, s:o}", "rev",
					(json_int_t)sqlite3_column_int64(st, 0), "run", run));
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : err_set(err, "%s", sqlite3_errmsg(s->db));
}

static int work_ack(struct store *s, struct job *job, struct err *err)
{
	json_t *pair;
	size_t i;

	json_array_foreach (job->result, i, pair) {
		db_bind_text(s->st[ST_ACK], 1, json_string_value(json_array_get(pair, 0)));
		sqlite3_bind_int64(s->st[ST_ACK], 2, json_integer_value(json_array_get(pair, 1)));
		if (db_run(s->st[ST_ACK], err) < 0)
			return -1;
	}
	return 0;
}

static int work_list(struct store *s, struct job *job, struct err *err)
{
	sqlite3_stmt *st = s->st[ST_LIST];
	int rc;

	job->result = json_array();
	sqlite3_bind_int64(st, 1, job->number[0]);
	db_bind_text(st, 2, job->text[0]);
	db_bind_text(st, 3, job->text[1]);
	sqlite3_bind_int64(st, 4, job->number[1]);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *run = load_object(db_column_text(st, 0));

		json_object_del(run, "latencyQuantiles");
		if (run)
			json_array_append_new(job->result, run);
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : err_set(err, "%s", sqlite3_errmsg(s->db));
}

static int work_get(struct store *s, struct job *job, struct err *err)
{
	sqlite3_stmt *st = s->st[uuid_is_end(job->text[0]) ? ST_GET_BY_END : ST_GET];
	int rc;

	db_bind_text(st, 1, job->text[0]);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		job->result = load_object(db_column_text(st, 0));
		json_object_set_new(job->result, "log", json_text(db_column_text(st, 1)));
	}
	sqlite3_reset(st);
	if (!job->result)
		job->result = json_null();
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0
						     : err_set(err, "%s", sqlite3_errmsg(s->db));
}

static int work_last_results(struct store *s, struct job *job, struct err *err)
{
	sqlite3_stmt *st = s->st[ST_LAST_RESULTS];
	json_t *agents = json_object(), *targets = json_object();
	int rc;

	job->result = json_pack("{s:o, s:o}", "agents", agents, "targets", targets);
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
	return rc == SQLITE_DONE ? 0 : err_set(err, "%s", sqlite3_errmsg(s->db));
}

static int64_t pragma(struct store *s, const char *text)
{
	sqlite3_stmt *st;
	int64_t n = 0;

	if (db_prepare(s->db, text, &st, NULL) < 0)
		return 0;
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static int work_prune(struct store *s, struct job *job, struct err *err)
{
	int64_t used;

	sqlite3_bind_int64(s->st[ST_PRUNE_AGE], 1, job->number[0]);
	if (db_run(s->st[ST_PRUNE_AGE], err) < 0)
		return -1;
	job->number[2] = sqlite3_changes(s->db);
	used = (pragma(s, "PRAGMA page_count") - pragma(s, "PRAGMA freelist_count")) *
		pragma(s, "PRAGMA page_size");
	if (used <= job->number[1])
		return 0;
	if (db_run(s->st[ST_PRUNE_OLDEST], err) < 0)
		return -1;
	job->number[2] += sqlite3_changes(s->db);
	return 0;
}

static int work_probe(struct store *s, struct job *job, struct err *err)
{
	sqlite3_bind_int64(s->st[ST_PROBE], 1, job->number[0]);
	return db_run(s->st[ST_PROBE], err);
}

static void count_outbox(struct store *s)
{
	if (sqlite3_step(s->st[ST_COUNT_OUTBOX]) == SQLITE_ROW)
		atomic_store(&s->outbox_count, sqlite3_column_int64(s->st[ST_COUNT_OUTBOX], 0));
	sqlite3_reset(s->st[ST_COUNT_OUTBOX]);
}

/* One transaction for the jobs up to, not including, end; on any error none of it has happened. */
static bool do_together(struct store *s, struct job *first, const struct job *end)
{
	struct err err = {0};
	bool ok = db_exec(s->db, "BEGIN IMMEDIATE", &err) == 0;
	int code;

	for (struct job *job = first; ok && job != end; job = job->next)
		ok = job->work(s, job, &err) == 0;
	if (ok)
		ok = db_exec(s->db, "COMMIT", &err) == 0;
	if (ok)
		return true;
	code = sqlite3_errcode(s->db) & 0xff;
	if (!sqlite3_get_autocommit(s->db))
		db_exec(s->db, "ROLLBACK", NULL);
	for (struct job *job = first; job != end; job = job->next) {
		job->failed = true;
		job->is_full = code == SQLITE_FULL;
		job->err = err;
	}
	return false;
}

/* What cannot be done together is tried one by one: reading goes on with a full disk. */
static void do_batch(struct store *s, struct job *batch)
{
	if (!do_together(s, batch, NULL) && batch->next) {
		for (struct job *job = batch; job; job = job->next) {
			if (!job->is_write) {
				/* What the first try has read; a write's is its input. */
				json_decref(job->result);
				job->result = NULL;
			}
			job->failed = job->is_full = false;
			do_together(s, job, job->next);
		}
	}
	count_outbox(s);
}

static void *store_thread(void *arg)
{
	struct store *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct job *batch, **end;

		while (!s->todo && !s->closing)
			pthread_cond_wait(&s->filled, &s->lock);
		if (!s->todo)
			break;
		batch = s->todo;
		end = &s->todo;
		for (int n = 0; *end && n < BATCH_MAX; n++)
			end = &(*end)->next;
		s->todo = *end;
		*end = NULL;
		if (!s->todo)
			s->todo_tail = &s->todo;
		pthread_mutex_unlock(&s->lock);
		do_batch(s, batch);
		pthread_mutex_lock(&s->lock);
		*s->finished_tail = batch;
		while (*s->finished_tail)
			s->finished_tail = &(*s->finished_tail)->next;
		ev_async_send(s->loop, &s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- the loop's side --------------------------------------------------------- */

static void note_state(struct store *s, const struct job *job, const struct err *err)
{
	enum store_state now = !err ? STORE_OK : job->is_full ? STORE_FULL : STORE_FAILING;

	if (job->work == work_probe)
		s->probing = false;
	/* A small record may still fit where the next would not: only the probe says that all is well. */
	if (now == STORE_OK && s->state != STORE_OK && (job->work != work_probe || !job->number[0]))
		return;
	if (now != s->state && now == STORE_OK)
		log_info("store", "can be written again: runs are started as before");
	else if (now != s->state)
		log_error("store",
			"%s: %s; no new runs are started until it can be written again, those that run "
			"go on and keep their results. Free some space in state_dir",
			store_state_name(now), err->msg);
	s->state = now;
	s->error = err ? *err : (struct err){0};
}

static void finish_jobs(struct store *s)
{
	struct job *list;

	pthread_mutex_lock(&s->lock);
	list = s->finished;
	s->finished = NULL;
	s->finished_tail = &s->finished;
	pthread_mutex_unlock(&s->lock);
	while (list) {
		struct job *job = list;
		const struct err *err = job->failed ? &job->err : NULL;

		list = job->next;
		s->queued--;
		if (job->is_write)
			note_state(s, job, err);
		else if (err && log_limit_allows(&s->limit, 3))
			log_error("store", "cannot read: %s", err->msg);
		if (job->done)
			job->done(job->arg, err);
		if (job->result_done)
			job->result_done(job->arg, err ? NULL : job->result, err);
		free_job(job);
	}
}

static void on_wake(struct ev_loop *loop, ev_async *w, int revents)
{
	(void)loop;
	(void)revents;
	finish_jobs(w->data);
}

static void queue(struct store *s, struct job *job)
{
	if (s->queued >= QUEUE_MAX) {
		/* Only a disk that hangs gets us here; its caller hears of it like of any error. */
		struct err err;

		err_set(&err, "the queue of %d writes is full", QUEUE_MAX);
		if (job->done)
			job->done(job->arg, &err);
		if (job->result_done)
			job->result_done(job->arg, NULL, &err);
		free_job(job);
		return;
	}
	s->queued++;
	pthread_mutex_lock(&s->lock);
	append(&s->todo_tail, job);
	pthread_cond_signal(&s->filled);
	pthread_mutex_unlock(&s->lock);
}

static struct job *new_job(int (*work)(struct store *, struct job *, struct err *))
{
	struct job *job = x_calloc(1, sizeof(*job));

	job->work = work;
	job->is_write = work != work_fetch_outbox && work != work_list && work != work_get &&
		work != work_last_results;
	return job;
}

struct store *store_open(
	struct ev_loop *loop, const char *dir, bool without_outbox, struct err *err)
{
	struct store *s = x_calloc(1, sizeof(*s));
	_cleanup_free_ char *path = x_asprintf("%s/supervisor.db", dir);

	s->loop = loop;
	s->without_outbox = without_outbox;
	s->todo_tail = &s->todo;
	s->finished_tail = &s->finished;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->filled, NULL);
	if (db_open(path, migrations, ARRAY_SIZE(migrations), &s->db, err) < 0) {
		free(s);
		return NULL;
	}
	for (int i = 0; i < STATEMENTS; i++) {
		if (db_prepare(s->db, sql[i], &s->st[i], err) < 0) {
			store_close(s);
			return NULL;
		}
	}
	count_outbox(s);
	ev_async_init(&s->wake, on_wake);
	s->wake.data = s;
	ev_async_start(loop, &s->wake);
	return s;
}

int store_start(struct store *s, struct err *err)
{
	sigset_t all, old;
	int rc;

	/* Signals are the loop's: the thread takes none. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&s->thread, NULL, store_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return err_sys(err, rc, "cannot start the store's thread");
	s->started = true;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->closing = true;
		pthread_cond_signal(&s->filled);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	while (s->finished) {
		struct job *job = s->finished;

		s->finished = job->next;
		free_job(job);
	}
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->st[i]);
	if (s->db)
		ev_async_stop(s->loop, &s->wake);
	sqlite3_close(s->db);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->filled);
	free(s);
}

char *store_meta_get(struct store *s, const char *key)
{
	sqlite3_stmt *st;
	char *value = NULL;

	if (db_prepare(s->db, "SELECT value FROM meta WHERE key = ?1", &st, NULL) < 0)
		return NULL;
	db_bind_text(st, 1, key);
	if (sqlite3_step(st) == SQLITE_ROW)
		value = x_strdup(db_column_text(st, 0));
	sqlite3_finalize(st);
	return value;
}

json_t *store_running(struct store *s, struct err *err)
{
	json_t *list = json_array();
	sqlite3_stmt *st;
	int rc;

	if (db_prepare(s->db, "SELECT json FROM runs WHERE status = 'running' ORDER BY seq", &st,
		    err) < 0)
		goto failed;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *run = load_object(db_column_text(st, 0));

		if (run)
			json_array_append_new(list, run);
	}
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		return list;
	err_set(err, "cannot read the runs: %s", sqlite3_errmsg(s->db));
failed:
	json_decref(list);
	return NULL;
}

json_t *store_origins(struct store *s, struct err *err)
{
	json_t *map = json_object();
	sqlite3_stmt *st;
	int rc;

	if (db_prepare(s->db, "SELECT target_id, wall_ms FROM origins", &st, err) < 0)
		goto failed;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		json_object_set_new(
			map, db_column_text(st, 0), json_integer(sqlite3_column_int64(st, 1)));
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		return map;
	err_set(err, "cannot read the targets' origins: %s", sqlite3_errmsg(s->db));
failed:
	json_decref(map);
	return NULL;
}

void store_use_outbox(struct store *s)
{
	atomic_store(&s->without_outbox, false);
}

void store_meta_set(struct store *s, const char *key, const char *value)
{
	struct job *job = new_job(work_meta_set);

	job->text[0] = x_strdup(key);
	job->text[1] = x_strdup(value);
	queue(s, job);
}

void store_origin_set(struct store *s, const char *target_id, int64_t wall_ms)
{
	struct job *job = new_job(work_origin_set);

	job->text[0] = x_strdup(target_id);
	job->number[0] = wall_ms;
	queue(s, job);
}

void store_put_run(struct store *s, const json_t *run, store_done *done, void *arg)
{
	struct job *job = new_job(work_put_run);
	_cleanup_json_ json_t *without_log = json_copy((json_t *)(uintptr_t)run);
	const char *log = json_string_value(json_object_get(run, "log"));

	json_object_del(without_log, "log");
	job->text[0] = x_strdup(json_get_text(run, "id", ""));
	job->text[1] = x_strdup(json_get_text(run, "status", ""));
	job->text[2] = x_strdup(json_get_text(run, "agent", ""));
	job->text[3] = x_strdup(json_get_text(run, "targetId", ""));
	job->text[4] = x_strdup(json_get_text(run, "targetLabel", ""));
	job->text[5] = json_compact(without_log);
	job->text[6] = log ? x_strdup(log) : NULL;
	job->number[0] = json_get_int(run, "scheduledAtMs", 0);
	job->done = done;
	job->arg = arg;
	queue(s, job);
}

void store_fetch_outbox(struct store *s, int limit, store_result *done, void *arg)
{
	struct job *job = new_job(work_fetch_outbox);

	job->number[0] = limit;
	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

void store_ack(struct store *s, json_t *acks, store_done *done, void *arg)
{
	struct job *job = new_job(work_ack);

	job->result = json_incref(acks);
	job->done = done;
	job->arg = arg;
	queue(s, job);
}

void store_list_runs(struct store *s, int limit, const char *target, const char *agent,
	bool failed_only, store_result *done, void *arg)
{
	struct job *job = new_job(work_list);

	job->number[0] = limit;
	job->number[1] = failed_only;
	job->text[0] = x_strdup(target);
	job->text[1] = x_strdup(agent);
	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

void store_get_run(struct store *s, const char *id, store_result *done, void *arg)
{
	struct job *job = new_job(work_get);

	job->text[0] = x_strdup(id);
	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

void store_last_results(struct store *s, store_result *done, void *arg)
{
	struct job *job = new_job(work_last_results);

	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

struct prune {
	struct store *store;
	const struct job *job;
};

/* On until nothing is left, each time behind whatever was queued in the meantime. */
static void on_pruned(void *arg, const struct err *err)
{
	_cleanup_free_ struct prune *p = arg;

	if (!err && p->job->number[2] > 0)
		store_prune(p->store, p->job->number[0], p->job->number[1]);
}

void store_prune(struct store *s, int64_t before_wall_ms, int64_t max_bytes)
{
	struct job *job = new_job(work_prune);
	struct prune *p = x_calloc(1, sizeof(*p));

	*p = (struct prune){s, job};
	job->number[0] = before_wall_ms;
	job->number[1] = max_bytes;
	job->done = on_pruned;
	job->arg = p;
	queue(s, job);
}

enum store_state store_state(const struct store *s)
{
	return s->state;
}

const char *store_state_name(enum store_state state)
{
	static const char *const names[] = {"ok", "storage full", "storage failing"};

	return names[state];
}

const char *store_error(const struct store *s)
{
	return s->error.msg;
}

void store_probe(struct store *s)
{
	struct job *job;

	if (s->probing)
		return;
	s->probing = true;
	job = new_job(work_probe);
	job->number[0] = PROBE_BYTES;
	queue(s, job);
	/* Its pages stay in the file as a reserve for the records of runs that go on. */
	queue(s, new_job(work_probe));
}

int64_t store_outbox_count(const struct store *s)
{
	return atomic_load(&s->outbox_count);
}
