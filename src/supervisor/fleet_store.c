/* SPDX-License-Identifier: MIT */
/* A queue of jobs and one thread.  All jobs that wait are done in one transaction of store_db.c: either all of
 * them are on disk when their callbacks run, or all report the error. */
#include "supervisor/fleet_store.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/run_json.h"
#include "supervisor/fleet_store_db.h"

/* A supervisor has a run or two in flight per agent; more means that the disk hangs. */
#define QUEUE_MAX 65536
#define BATCH_MAX 512
/* As much as some dozen records of failed runs with their logs need. */
#define PROBE_BYTES (512 * 1024)

struct job {
	struct job *next;
	fleet_store_db_work *work;
	fleet_store_done *done;
	fleet_store_result *result_done;
	void *arg;
	struct fleet_store_task task;
	bool is_write;
	bool is_full; /* why it failed */
	struct err err;
	bool failed;
};

struct fleet_store {
	struct fleet_store_db *db;
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
	enum fleet_store_state state;
	struct err error;
	bool probing;
	_Atomic int64_t outbox_count;
	struct log_limit limit;
};

static void free_job(struct job *job)
{
	for (size_t i = 0; i < ARRAY_SIZE(job->task.text); i++)
		free(job->task.text[i]);
	json_decref(job->task.result);
	free(job);
}

static void append(struct job ***tail, struct job *job)
{
	job->next = NULL;
	**tail = job;
	*tail = &job->next;
}

static void count_outbox(struct fleet_store *s)
{
	atomic_store(&s->outbox_count, fleet_store_db_count_outbox(s->db, s->outbox_count));
}

/* One transaction for the jobs up to, not including, end; on any error none of it has happened. */
static bool do_together(struct fleet_store *s, struct job *first, const struct job *end)
{
	struct err err = {0};
	bool ok = fleet_store_db_begin(s->db, &err) == 0, is_full;

	for (struct job *job = first; ok && job != end; job = job->next)
		ok = job->work(s->db, &job->task, &err) == 0;
	if (ok)
		ok = fleet_store_db_commit(s->db, &err) == 0;
	if (ok)
		return true;
	is_full = fleet_store_db_rollback(s->db);
	for (struct job *job = first; job != end; job = job->next) {
		job->failed = true;
		job->is_full = is_full;
		job->err = err;
	}
	return false;
}

/* What cannot be done together is tried one by one: reading goes on with a full disk. */
static void do_batch(struct fleet_store *s, struct job *batch)
{
	if (!do_together(s, batch, NULL) && batch->next) {
		for (struct job *job = batch; job; job = job->next) {
			if (!job->is_write) {
				/* What the first try has read; a write's is its input. */
				json_decref(job->task.result);
				job->task.result = NULL;
			}
			job->failed = job->is_full = false;
			do_together(s, job, job->next);
		}
	}
	count_outbox(s);
}

static void *store_thread(void *arg)
{
	struct fleet_store *s = arg;

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

static void note_state(struct fleet_store *s, const struct job *job, const struct err *err)
{
	enum fleet_store_state now = !err ? FLEET_STORE_OK
		: job->is_full            ? FLEET_STORE_FULL
					  : FLEET_STORE_FAILING;

	if (job->work == fleet_store_db_probe)
		s->probing = false;
	/* A small record may still fit where the next would not: only the probe says that all is well. */
	if (now == FLEET_STORE_OK && s->state != FLEET_STORE_OK &&
		(job->work != fleet_store_db_probe || !job->task.number[0]))
		return;
	if (now != s->state && now == FLEET_STORE_OK)
		log_info("store", "can be written again: runs are started as before");
	else if (now != s->state)
		log_error("store",
			"%s: %s; no new runs are started until it can be written again, those that run "
			"go on and keep their results. Free some space in state_dir",
			fleet_store_state_name(now), err->msg);
	s->state = now;
	s->error = err ? *err : (struct err){0};
}

static void finish_jobs(struct fleet_store *s)
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
			log_event(LOG_LEVEL_ERROR, "store", "cannot read", LOG_ERROR(err->msg));
		if (job->done)
			job->done(job->arg, err);
		if (job->result_done)
			job->result_done(job->arg, err ? NULL : job->task.result, err);
		free_job(job);
	}
}

static void on_wake(struct ev_loop *loop, ev_async *w, int revents)
{
	(void)loop;
	(void)revents;
	finish_jobs(w->data);
}

static void queue(struct fleet_store *s, struct job *job)
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

static struct job *new_job(fleet_store_db_work *work)
{
	struct job *job = x_calloc(1, sizeof(*job));

	job->work = work;
	job->is_write = work != fleet_store_db_fetch_outbox && work != fleet_store_db_list &&
		work != fleet_store_db_get && work != fleet_store_db_last_results;
	return job;
}

struct fleet_store *fleet_store_open(
	struct ev_loop *loop, const char *dir, bool without_outbox, struct err *err)
{
	struct fleet_store *s = x_calloc(1, sizeof(*s));
	_cleanup_free_ char *path = x_asprintf("%s/supervisor.db", dir);

	s->loop = loop;
	s->todo_tail = &s->todo;
	s->finished_tail = &s->finished;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->filled, NULL);
	s->db = fleet_store_db_open(path, err);
	if (!s->db) {
		free(s);
		return NULL;
	}
	fleet_store_db_use_outbox(s->db, !without_outbox);
	count_outbox(s);
	ev_async_init(&s->wake, on_wake);
	s->wake.data = s;
	ev_async_start(loop, &s->wake);
	return s;
}

int fleet_store_start(struct fleet_store *s, struct err *err)
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

void fleet_store_close(struct fleet_store *s)
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
	ev_async_stop(s->loop, &s->wake);
	fleet_store_db_close(s->db);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->filled);
	free(s);
}

char *fleet_store_meta_get(struct fleet_store *s, const char *key)
{
	return fleet_store_db_meta_get(s->db, key);
}

int fleet_store_running(struct fleet_store *s, struct run_list *out, struct err *err)
{
	return fleet_store_db_running(s->db, out, err);
}

json_t *fleet_store_origins(struct fleet_store *s, struct err *err)
{
	return fleet_store_db_origins(s->db, err);
}

void fleet_store_use_outbox(struct fleet_store *s)
{
	fleet_store_db_use_outbox(s->db, true);
}

void fleet_store_meta_set(struct fleet_store *s, const char *key, const char *value)
{
	struct job *job = new_job(fleet_store_db_meta_set);

	job->task.text[0] = x_strdup(key);
	job->task.text[1] = x_strdup(value);
	queue(s, job);
}

void fleet_store_origin_set(struct fleet_store *s, const char *target_id, int64_t wall_ms)
{
	struct job *job = new_job(fleet_store_db_origin_set);

	job->task.text[0] = x_strdup(target_id);
	job->task.number[0] = wall_ms;
	queue(s, job);
}

void fleet_store_put_run(
	struct fleet_store *s, const struct run *run, fleet_store_done *done, void *arg)
{
	struct job *job = new_job(fleet_store_db_put_run);

	job->task.text[0] = x_strdup(run->id);
	job->task.text[1] = x_strdup(run_status_names[run->status]);
	job->task.text[2] = x_strdup(run->agent);
	job->task.text[3] = x_strdup(run->target_id);
	job->task.text[4] = x_strdup(run->target_label);
	job->task.text[5] = run_to_text(run, RUN_RECORD);
	job->task.text[6] = run->log ? x_strdup(run->log) : NULL;
	job->task.number[0] = run->scheduled_ms;
	job->done = done;
	job->arg = arg;
	queue(s, job);
}

void fleet_store_fetch_outbox(struct fleet_store *s, int limit, fleet_store_result *done, void *arg)
{
	struct job *job = new_job(fleet_store_db_fetch_outbox);

	job->task.number[0] = limit;
	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

void fleet_store_ack(struct fleet_store *s, json_t *acks, fleet_store_done *done, void *arg)
{
	struct job *job = new_job(fleet_store_db_ack);

	job->task.result = json_incref(acks);
	job->done = done;
	job->arg = arg;
	queue(s, job);
}

void fleet_store_list_runs(struct fleet_store *s, int limit, const char *target, const char *agent,
	bool failed_only, fleet_store_result *done, void *arg)
{
	struct job *job = new_job(fleet_store_db_list);

	job->task.number[0] = limit;
	job->task.number[1] = failed_only;
	job->task.text[0] = x_strdup(target);
	job->task.text[1] = x_strdup(agent);
	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

void fleet_store_get_run(struct fleet_store *s, const char *id, fleet_store_result *done, void *arg)
{
	struct job *job = new_job(fleet_store_db_get);

	job->task.text[0] = x_strdup(id);
	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

void fleet_store_last_results(struct fleet_store *s, fleet_store_result *done, void *arg)
{
	struct job *job = new_job(fleet_store_db_last_results);

	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

struct prune {
	struct fleet_store *store;
	const struct job *job;
};

/* On until nothing is left, each time behind whatever was queued in the meantime. */
static void on_pruned(void *arg, const struct err *err)
{
	_cleanup_free_ struct prune *p = arg;

	if (!err && p->job->task.number[2] > 0)
		fleet_store_prune(p->store, p->job->task.number[0], p->job->task.number[1]);
}

void fleet_store_prune(struct fleet_store *s, int64_t before_wall_ms, int64_t max_bytes)
{
	struct job *job = new_job(fleet_store_db_prune);
	struct prune *p = x_calloc(1, sizeof(*p));

	*p = (struct prune){s, job};
	job->task.number[0] = before_wall_ms;
	job->task.number[1] = max_bytes;
	job->done = on_pruned;
	job->arg = p;
	queue(s, job);
}

enum fleet_store_state fleet_store_state(const struct fleet_store *s)
{
	return s->state;
}

const char *fleet_store_state_name(enum fleet_store_state state)
{
	static const char *const names[] = {"ok", "storage full", "storage failing"};

	return names[state];
}

const char *fleet_store_error(const struct fleet_store *s)
{
	return s->error.msg;
}

void fleet_store_probe(struct fleet_store *s)
{
	struct job *job;

	if (s->probing)
		return;
	s->probing = true;
	job = new_job(fleet_store_db_probe);
	job->task.number[0] = PROBE_BYTES;
	queue(s, job);
	/* Its pages stay in the file as a reserve for the records of runs that go on. */
	queue(s, new_job(fleet_store_db_probe));
}

int64_t fleet_store_outbox_count(const struct fleet_store *s)
{
	return atomic_load(&s->outbox_count);
}
