/* SPDX-License-Identifier: MIT */
/* A queue of tasks and one thread, which does all queued tasks in one transaction of
 * fleet_store_db.c.  When their callbacks run, either all of the tasks are on disk, or all
 * report the error. */
#include "supervisor/fleet_store.h"

#include <assert.h>
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

/* A supervisor queues a write or two for each agent; a longer queue means that the disk hangs. */
#define QUEUE_MAX 65536
#define BATCH_MAX 512
/* The size of some dozen records of failed runs with their logs. */
#define PROBE_BYTES (512 * 1024)

struct job {
	struct job *next;
	struct fleet_store_task task;
	fleet_store_done *done;
	fleet_store_result *result_done; /* of a read */
	void *arg;
	bool failed;
	struct err err;
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
	struct err error; /* behind the state */
	bool damaged;     /* FAILING until the next start */
	bool probing;
	bool count_failed; /* with count_error; under the lock */
	struct err count_error;
	_Atomic int64_t outbox_count;
	struct log_limit limit;
};

static void free_job(struct job *job)
{
	fleet_store_task_clear(&job->task);
	free(job);
}

static void append(struct job ***tail, struct job *job)
{
	job->next = NULL;
	**tail = job;
	*tail = &job->next;
}

/* Keeps the last count when the outbox cannot be counted; finish_jobs() reports the error. */
static void count_outbox(struct fleet_store *s)
{
	struct err err;
	int64_t n;

	if (fleet_store_db_count_outbox(s->db, &n, &err) == 0) {
		atomic_store(&s->outbox_count, n);
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->count_failed = true;
	s->count_error = err;
	pthread_mutex_unlock(&s->lock);
}

/* Does the tasks up to, not including, end in one transaction.  Returns false if none of them
 * happened; each has the error then. */
static bool do_together(struct fleet_store *s, struct job *first, const struct job *end)
{
	struct err err = {0};
	bool ok = fleet_store_db_begin(s->db, &err) == 0;

	for (struct job *job = first; ok && job != end; job = job->next)
		ok = fleet_store_db_do(s->db, &job->task, &err) == 0;
	if (ok)
		ok = fleet_store_db_commit(s->db, &err) == 0;
	if (ok)
		return true;
	fleet_store_db_rollback(s->db);
	for (struct job *job = first; job != end; job = job->next) {
		job->failed = true;
		job->err = err;
	}
	return false;
}

/* If the tasks cannot be done together, each gets a transaction of its own: with a full disk the
 * reads succeed. */
static void do_batch(struct fleet_store *s, struct job *batch)
{
	if (!do_together(s, batch, NULL) && batch->next) {
		for (struct job *job = batch; job; job = job->next) {
			job->failed = false;
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

/* Returns what an operator can do about an error of this kind. */
static const char *advice_for(enum err_code code)
{
	switch (code) {
	case ERR_NO_SPACE: return "free some space in state_dir";
	case ERR_IO: return "the disk fails: dmesg says more";
	case ERR_READ_ONLY:
		return "make state_dir writable; a disk that fails is mounted read-only";
	case ERR_ACCESS: return "give state_dir back to the user of the supervisor";
	case ERR_CORRUPT:
		return "stop k6fleetd and put a backup of supervisor.db in its place, or what "
		       "`sqlite3 supervisor.db .recover` saves of it";
	default: return "k6fleetctl status shows when it works again";
	}
}

static void set_state(struct fleet_store *s, enum fleet_store_state now, const struct err *err)
{
	if (err)
		err_code_set(&s->error, err->code, "%.700s; %s", err->msg, advice_for(err->code));
	else
		s->error = (struct err){0};
	if (now != s->state && now == FLEET_STORE_OK)
		log_info("store", "can be written again: runs are started as before");
	else if (now != s->state)
		log_error("store",
			"%s: no new runs are started until it works again, those that run go on and keep "
			"their results: %s",
			fleet_store_state_name(now), s->error.msg);
	s->state = now;
}

void fleet_store_fail(struct fleet_store *s, const struct err *err)
{
	s->damaged = true;
	set_state(s, FLEET_STORE_FAILING, err);
}

/* Damaged data stay damaged until somebody repairs them, so only a new start leaves this state.
 * A device that fails to read one page is expected to fail again. */
static void note_failure(struct fleet_store *s, bool was_write, const struct err *err)
{
	if (s->damaged)
		return;
	if (err->code == ERR_CORRUPT)
		fleet_store_fail(s, err);
	else if (was_write || err->code == ERR_IO)
		set_state(
			s, err->code == ERR_NO_SPACE ? FLEET_STORE_FULL : FLEET_STORE_FAILING, err);
	else if (log_limit_allows(&s->limit, 3))
		log_event(LOG_LEVEL_ERROR, "store", "cannot read", LOG_ERROR(err->msg));
}

static void note_end(struct fleet_store *s, const struct job *job)
{
	const struct fleet_store_task *t = &job->task;

	if (t->type == FLEET_STORE_PROBE)
		s->probing = false;
	if (job->failed)
		note_failure(s, fleet_store_task_writes(t->type), &job->err);
	/* On a full disk a small record may still fit, so only a successful probe ends the
	 * state. */
	else if (t->type == FLEET_STORE_PROBE && t->probe.bytes && !s->damaged)
		set_state(s, FLEET_STORE_OK, NULL);
	else if (t->type == FLEET_STORE_FETCH_OUTBOX && t->fetch_outbox.damaged &&
		log_limit_allows(&s->limit, 3))
		log_event(LOG_LEVEL_ERROR, "store",
			"the record of a run is damaged and cannot be sent",
			LOG_RUN(t->fetch_outbox.damaged));
}

static void finish_jobs(struct fleet_store *s)
{
	struct err count_error;
	bool count_failed;
	struct job *list;

	pthread_mutex_lock(&s->lock);
	list = s->finished;
	s->finished = NULL;
	s->finished_tail = &s->finished;
	count_failed = s->count_failed;
	count_error = s->count_error;
	s->count_failed = false;
	pthread_mutex_unlock(&s->lock);
	if (count_failed)
		note_failure(s, false, &count_error);
	while (list) {
		struct job *job = list;
		const struct err *err = job->failed ? &job->err : NULL;

		list = job->next;
		s->queued--;
		note_end(s, job);
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
		/* The disk hangs. */
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

static struct job *new_job(enum fleet_store_task_type type)
{
	struct job *job = x_calloc(1, sizeof(*job));

	job->task.type = type;
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
	if (s->count_failed)
		note_failure(s, false, &s->count_error);
	s->count_failed = false;
	ev_async_init(&s->wake, on_wake);
	s->wake.data = s;
	ev_async_start(loop, &s->wake);
	return s;
}

int fleet_store_start(struct fleet_store *s, struct err *err)
{
	sigset_t all, old;
	int rc;

	/* The event loop's thread handles all signals. */
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

enum found fleet_store_meta_get(
	struct fleet_store *s, const char *key, char **value, struct err *err)
{
	assert(!s->started);
	return fleet_store_db_meta_get(s->db, key, value, err);
}

int fleet_store_running(struct fleet_store *s, struct run_list *out, struct err *err)
{
	assert(!s->started);
	return fleet_store_db_running(s->db, out, err);
}

int fleet_store_origins(struct fleet_store *s, json_t **out, struct err *err)
{
	assert(!s->started);
	return fleet_store_db_origins(s->db, out, err);
}

void fleet_store_use_outbox(struct fleet_store *s)
{
	fleet_store_db_use_outbox(s->db, true);
}

void fleet_store_meta_set(struct fleet_store *s, const char *key, const char *value)
{
	struct job *job = new_job(FLEET_STORE_META_SET);

	job->task.meta_set.key = x_strdup(key);
	job->task.meta_set.value = x_strdup(value);
	queue(s, job);
}

void fleet_store_origin_set(struct fleet_store *s, const char *target_id, int64_t wall_ms)
{
	struct job *job = new_job(FLEET_STORE_ORIGIN_SET);

	job->task.origin_set.target_id = x_strdup(target_id);
	job->task.origin_set.wall_ms = wall_ms;
	queue(s, job);
}

void fleet_store_put_run(
	struct fleet_store *s, const struct run *run, fleet_store_done *done, void *arg)
{
	struct job *job = new_job(FLEET_STORE_PUT_RUN);

	job->task.put_run.id = x_strdup(run->id);
	job->task.put_run.agent = x_strdup(run->agent);
	job->task.put_run.target_id = x_strdup(run->target_id);
	job->task.put_run.target_label = x_strdup(run->target_label);
	job->task.put_run.json = run_to_text(run, RUN_RECORD);
	job->task.put_run.log = run->log ? x_strdup(run->log) : NULL;
	job->task.put_run.status = run->status;
	job->task.put_run.scheduled_ms = run->scheduled_ms;
	job->done = done;
	job->arg = arg;
	queue(s, job);
}

static void queue_read(struct fleet_store *s, struct job *job, fleet_store_result *done, void *arg)
{
	job->result_done = done;
	job->arg = arg;
	queue(s, job);
}

void fleet_store_fetch_outbox(struct fleet_store *s, int limit, fleet_store_result *done, void *arg)
{
	struct job *job = new_job(FLEET_STORE_FETCH_OUTBOX);

	job->task.fetch_outbox.limit = limit;
	queue_read(s, job, done, arg);
}

void fleet_store_ack(struct fleet_store *s, json_t *acks, fleet_store_done *done, void *arg)
{
	struct job *job = new_job(FLEET_STORE_ACK);

	job->task.ack.acks = json_incref(acks);
	job->done = done;
	job->arg = arg;
	queue(s, job);
}

void fleet_store_list_runs(struct fleet_store *s, int limit, const char *target, const char *agent,
	bool failed_only, fleet_store_result *done, void *arg)
{
	struct job *job = new_job(FLEET_STORE_LIST_RUNS);

	job->task.list_runs.limit = limit;
	job->task.list_runs.target = x_strdup(target);
	job->task.list_runs.agent = x_strdup(agent);
	job->task.list_runs.failed_only = failed_only;
	queue_read(s, job, done, arg);
}

void fleet_store_get_run(struct fleet_store *s, const char *id, fleet_store_result *done, void *arg)
{
	struct job *job = new_job(FLEET_STORE_GET_RUN);

	job->task.get_run.id = x_strdup(id);
	queue_read(s, job, done, arg);
}

void fleet_store_last_results(struct fleet_store *s, fleet_store_result *done, void *arg)
{
	queue_read(s, new_job(FLEET_STORE_LAST_RESULTS), done, arg);
}

struct prune {
	struct fleet_store *store;
	const struct job *job;
};

/* Queues the next part, behind all tasks that were queued in the meantime, until a part has
 * deleted nothing. */
static void on_pruned(void *arg, const struct err *err)
{
	_cleanup_free_ struct prune *p = arg;
	const struct fleet_store_task *t = &p->job->task;

	if (!err && t->prune.deleted > 0)
		fleet_store_prune(p->store, t->prune.before_wall_ms, t->prune.max_bytes);
}

void fleet_store_prune(struct fleet_store *s, int64_t before_wall_ms, int64_t max_bytes)
{
	struct job *job = new_job(FLEET_STORE_PRUNE);
	struct prune *p = x_calloc(1, sizeof(*p));

	*p = (struct prune){s, job};
	job->task.prune.before_wall_ms = before_wall_ms;
	job->task.prune.max_bytes = max_bytes;
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
	job = new_job(FLEET_STORE_PROBE);
	job->task.probe.bytes = PROBE_BYTES;
	queue(s, job);
	/* The second probe frees the pages of the first one inside the file: they are a reserve
	 * for the records of runs that go on. */
	queue(s, new_job(FLEET_STORE_PROBE));
}

int64_t fleet_store_outbox_count(const struct fleet_store *s)
{
	return atomic_load(&s->outbox_count);
}
