/* SPDX-License-Identifier: MIT */
/*
 * Workers from fork to burial: real sockets, fleet and schedule on a simulated loop and clock;
 * keeper, store and targets are the test's.  What must hold: a run's record is stored before its
 * worker hears of the run, a result is taken off the socket after it is stored, a worker is
 * forgotten after all that it said is stored.
 */
#include "test.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/hb.h"
#include "common/json.h"
#include "common/limits.h"
#include "fake_loop.h"
#include "supervisor/agents.h"

#define SLOTS 3

/* --- the keeper ------------------------------------------------------------------------------- */

static struct {
	unsigned int spawned[SLOTS], killed[SLOTS], forgotten[SLOTS];
	uint64_t generation[SLOTS];
} keeper;

void keeper_link_send(struct keeper_link *k, struct msg_writer *m)
{
	struct msg_keep_spawn spawn;
	struct msg_keep_kill kill;
	struct msg_keep_forget forget;
	struct msg_reader in;
	struct err err;

	(void)k;
	switch (msg_open(&in, m->data, m->len, MSG_TO_KEEPER, &err)) {
	case MSG_KEEP_SPAWN:
		msg_get_keep_spawn(&in, &spawn);
		keeper.spawned[spawn.slot]++;
		keeper.generation[spawn.slot] = spawn.generation;
		break;
	case MSG_KEEP_KILL:
		msg_get_keep_kill(&in, &kill);
		assert_int_equal(kill.sig, SIGKILL);
		keeper.killed[kill.slot]++;
		break;
	case MSG_KEEP_FORGET:
		msg_get_keep_forget(&in, &forget);
		assert_int_equal(forget.generation, keeper.generation[forget.slot]);
		keeper.forgotten[forget.slot]++;
		break;
	default: fail_msg("an unexpected message to the keeper: %s", err.msg);
	}
	msg_free(m);
}

/* --- the store: a write that somebody waits for ends when the test says so ----------------- */

static struct {
	unsigned int writes;
	char last_id[RUN_ID_MAX];
	enum run_status status;
	enum run_reason reason;
	char message[256];
	fleet_store_done *done;
	void *arg;
} store;

void fleet_store_put_run(
	struct fleet_store *s, const struct run *run, fleet_store_done *done, void *arg)
{
	(void)s;
	store.writes++;
	snprintf(store.last_id, sizeof(store.last_id), "%s", run->id);
	store.status = run->status;
	store.reason = run->reason;
	snprintf(store.message, sizeof(store.message), "%s", run->message ? run->message : "");
	if (done) {
		assert_null(store.done);
		store.done = done;
		store.arg = arg;
	}
}

static void commit(const struct err *err)
{
	fleet_store_done *done = store.done;

	assert_non_null(done);
	store.done = NULL;
	done(store.arg, err);
}

void fleet_store_last_results(struct fleet_store *s, fleet_store_result *done, void *arg)
{
	_cleanup_json_ json_t *results =
		json_pack("{s:{s:s}, s:{s:i}}", "agents", "web-1", "failed", "targets", "t1", 77);

	(void)s;
	done(arg, results, NULL);
}

/* --- targets ------------------------------------------------------------------------------- */

static struct target *target;
static int64_t learnt;

const struct target *targets_find(const struct targets *t, const char *id)
{
	(void)t;
	return target && !strcmp(id, target->id) ? target : NULL;
}

char *targets_host(const struct target *t)
{
	return x_strdup(t->id);
}

int64_t targets_cost(const struct targets *t, const struct target *one)
{
	(void)t;
	(void)one;
	return 100;
}

void targets_learn(struct targets *t, const char *id, int64_t bytes)
{
	(void)t;
	assert_string_equal(id, "t1");
	learnt = bytes;
}

/* --- events -------------------------------------------------------------------------------- */

static struct {
	unsigned int ended, left, came, storms;
	enum run_status status;
	int64_t cpu_ms;
	char log[256];
	bool log_first;
} events;

static void on_run_ended(void *arg, const struct run *run)
{
	(void)arg;
	events.ended++;
	events.status = run->status;
}

static void on_run_left(void *arg)
{
	(void)arg;
	events.left++;
}

static void on_run_cost(void *arg, int64_t cpu_ms, int64_t rss, int64_t tmp)
{
	(void)arg;
	(void)rss;
	(void)tmp;
	events.cpu_ms += cpu_ms;
}

static void on_worker_came(void *arg, unsigned int slot)
{
	(void)arg;
	(void)slot;
	events.came++;
}

static void on_worker_log(
	void *arg, unsigned int slot, const char *run_id, bool first, const char *text, size_t len)
{
	(void)arg;
	(void)slot;
	(void)run_id;
	events.log_first = first;
	snprintf(events.log, sizeof(events.log), "%.*s", (int)len, text);
}

static void on_storm(void *arg)
{
	(void)arg;
	events.storms++;
}

/* --- the part under test, and its workers -------------------------------------------------- */

static char host_name[] = "host", agent_name[] = "web";
static struct conf conf;
static struct host_facts host;
static struct fleet *fleet;
static struct schedule *schedule;
static struct agents *agents;
static int hb_fd;
static int ours[SLOTS], theirs[SLOTS]; /* the two ends of each worker's socket; -1: none */
static uint8_t buf[MSG_MAX_BYTES];

static void make(struct run_list *running)
{
	const struct fleet_config config = {.max_slots = SLOTS,
		.min_delay_ms = 100,
		.max_delay_ms = 1000,
		.stable_after_ms = 60000,
		.drain_timeout_ms = 5000,
		.kill_after_ms = 2000};
	struct agents_parts parts = {.loop = fake_loop(),
		.conf = &conf,
		.host = &host,
		.events = {NULL, on_run_ended, on_run_left, on_run_cost, on_worker_came,
			on_worker_log, on_storm}};
	struct run_list none = {0};
	struct err err;

	fleet = fleet_new(&config);
	schedule = schedule_new(SLOTS, SCHEDULE_ALIGNED);
	parts.fleet = fleet;
	parts.schedule = schedule;
	hb_fd = hb_create(LIMIT_WORKERS, &err);
	agents = agents_new(&parts, hb_fd, running ? running : &none, &err);
	assert_non_null(agents);
}

static int set_up(void **state)
{
	(void)state;
	fake_loop_reset();
	memset(&keeper, 0, sizeof(keeper));
	memset(&store, 0, sizeof(store));
	memset(&events, 0, sizeof(events));
	learnt = 0;
	conf = (struct conf){.host_name = host_name,
		.agent_name = agent_name,
		.workers = 2,
		.max_workers = SLOTS,
		.worker_timeout_ms = 10000,
		.run_grace_ms = 1000,
		.drain_timeout_ms = 5000};
	host.sandbox_layers = SANDBOX_LAYER_NAMESPACES;
	target = target_new();
	free(target->id);
	target->id = x_strdup("t1");
	free(target->label);
	target->label = x_strdup("shop");
	target->url = x_strdup("http://example.test/");
	target->duration_ms = 5000;
	for (int i = 0; i < SLOTS; i++)
		ours[i] = theirs[i] = -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	agents_free(agents);
	assert_int_equal(fake_watchers(), 0);
	schedule_free(schedule);
	fleet_free(fleet);
	close(hb_fd);
	target_free(target);
	for (int i = 0; i < SLOTS; i++) {
		if (theirs[i] >= 0)
			close(theirs[i]);
	}
	return 0;
}

static void pump(void)
{
	agents_pump(agents, fake_now_ms, true);
}

/* Hands over the worker of a slot, forked just now or inherited. */
static void hand_over(unsigned int slot, bool fresh)
{
	int fds[2];
	struct err err;

	assert_int_equal(chan_pair(fds, &err), 0);
	ours[slot] = fds[0];
	theirs[slot] = fds[1];
	if (!keeper.generation[slot])
		keeper.generation[slot] = 100 + slot;
	agents_on_worker(agents,
		&(struct msg_keeper_worker){.slot = slot,
			.generation = keeper.generation[slot],
			.pid = 1000 + slot,
			.started_mono_ms = fake_now_ms,
			.alive = true,
			.fresh = fresh},
		fds[0]);
}

static void worker_says(unsigned int slot, struct msg_writer *m)
{
	struct err err;

	assert_int_equal(chan_send(theirs[slot], m, -1, &err), CHAN_OK);
	msg_free(m);
	fake_turn();
}

static void say_hello(unsigned int slot)
{
	struct msg_writer m = {0};

	msg_put_agent_hello(
		&m, &(struct msg_agent_hello){slot, keeper.generation[slot], host.sandbox_layers});
	worker_says(slot, &m);
}

static void say_state(unsigned int slot, const char *run_id)
{
	struct msg_writer m = {0};

	msg_put_agent_state(&m, &(struct msg_agent_state){msg_text(run_id)});
	worker_says(slot, &m);
}

static void say_result(unsigned int slot, const char *run_id)
{
	struct msg_writer m = {0};
	struct run r;

	run_init(&r);
	r.id = x_strdup(run_id);
	r.status = RUN_SUCCESS;
	r.finished_ms = fake_now_ms + FAKE_WALL_MS;
	r.has[RUN_RESOURCES] = true;
	r.cpu_ms = 60;
	r.max_rss_bytes = 1000;
	r.tmp_bytes = 24;
	run_put(&r, &m);
	run_clear(&r);
	worker_says(slot, &m);
}

/* The next message that the worker was sent, MSG_NONE without one; *run_id and *fd where it has
 * them. */
static enum msg_type hear(unsigned int slot, char run_id[RUN_ID_MAX], int *fd)
{
	struct msg_work_run run;
	struct msg_work_cancel cancel;
	struct msg_reader in;
	struct err err;
	size_t len;
	int got, type;

	if (chan_recv(theirs[slot], buf, &len, &got, false, &err) != CHAN_OK)
		return MSG_NONE;
	type = msg_open(&in, buf, len, MSG_TO_WORKER, &err);
	if (type == MSG_WORK_RUN) {
		msg_get_work_run(&in, &run);
		msg_text_copy(run_id, RUN_ID_MAX, run.run_id);
	} else if (type == MSG_WORK_CANCEL) {
		msg_get_work_cancel(&in, &cancel);
		msg_text_copy(run_id, RUN_ID_MAX, cancel.run_id);
	}
	if (fd)
		*fd = got;
	else if (got >= 0)
		close(got);
	return type < 0 ? MSG_NONE : (enum msg_type)type;
}

static void die(unsigned int slot, int wait_status)
{
	close(theirs[slot]);
	theirs[slot] = -1;
	agents_on_exited(
		agents, &(struct msg_keeper_exited){slot, keeper.generation[slot], wait_status});
	fake_turn();
}

/* Whether a message still lies in the socket. */
static bool is_in_socket(unsigned int slot)
{
	char byte;

	return recv(ours[slot], &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* A worker in slot 0 that has reported and is idle. */
static void make_idle(void)
{
	make(NULL);
	agents_on_handed_over(agents);
	fleet_scale(fleet, 1, false, fake_now_ms);
	schedule_set_agents(schedule, 1, fake_now_ms);
	pump();
	assert_int_equal(keeper.spawned[0], 1);
	hand_over(0, true);
	say_hello(0);
	assert_int_equal(fleet_slot(fleet, 0)->state, FLEET_IDLE);
	assert_int_equal(events.came, 1);
}

/* And its first run is due: its record is on the way to the disk. */
static void make_due(void)
{
	make_idle();
	schedule_put(schedule,
		&(struct schedule_plan){.id = "t1", .origin_ms = fake_now_ms, .interval_ms = 60000},
		fake_now_ms);
	pump();
	assert_non_null(store.done);
	assert_int_equal(store.status, RUN_RUNNING);
}

static void make_running(char id[RUN_ID_MAX])
{
	make_due();
	commit(NULL);
	assert_int_equal(hear(0, id, NULL), MSG_WORK_RUN);
	assert_string_equal(id, store.last_id);
}

/* --- tests ---------------------------------------------------------------------- */

static void a_worker_hears_of_a_run_when_it_is_stored(void **state)
{
	char id[RUN_ID_MAX];
	int fd;

	(void)state;
	make_due();
	assert_int_equal(hear(0, id, NULL), MSG_NONE);
	assert_false(agents_is_idle(agents, 0));
	commit(NULL);
	assert_int_equal(hear(0, id, &fd), MSG_WORK_RUN);
	/* What the run does comes as a sealed file. */
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, buf, 1, 0), 1);
	assert_int_equal(buf[0], '{');
	close(fd);
	assert_int_equal(fleet_slot(fleet, 0)->state, FLEET_RUNNING);
	assert_int_equal(agents_find_run(agents, id), 0);
	assert_string_equal(agents_run_id(agents, 0), id);
}

static void a_run_that_cannot_be_stored_never_was(void **state)
{
	struct err err;
	char id[RUN_ID_MAX];

	(void)state;
	make_due();
	err_code_set(&err, ERR_NO_SPACE, "disk full");
	commit(&err);
	assert_int_equal(hear(0, id, NULL), MSG_NONE);
	assert_true(agents_is_idle(agents, 0));
	assert_int_equal(schedule_missed_total(schedule), 1);
	assert_int_equal(events.ended, 0);
	assert_int_equal(events.left, 1);
}

static void a_result_is_peeked_stored_and_then_consumed(void **state)
{
	struct err err;
	char id[RUN_ID_MAX];

	(void)state;
	make_running(id);
	say_result(0, id);
	assert_int_equal(store.status, RUN_SUCCESS);
	assert_true(is_in_socket(0));
	assert_int_equal(events.ended, 0);
	/* While the disk is full it stays there; it is tried again once a second. */
	err_code_set(&err, ERR_NO_SPACE, "disk full");
	commit(&err);
	assert_true(is_in_socket(0));
	fake_advance(999);
	assert_null(store.done);
	fake_advance(1);
	commit(NULL);
	assert_false(is_in_socket(0));
	assert_int_equal(events.ended, 1);
	assert_int_equal(events.status, RUN_SUCCESS);
	assert_int_equal(events.cpu_ms, 60);
	assert_int_equal(learnt, 1024);
	assert_true(agents_is_idle(agents, 0));
	assert_int_equal(agents_find_run(agents, id), -1);
	/* The same one again, of a worker that nobody heard: recorded once. */
	say_result(0, id);
	assert_null(store.done);
	assert_false(is_in_socket(0));
	assert_int_equal(events.ended, 1);
}

static void a_worker_that_dies_in_a_run_loses_it_once(void **state)
{
	char id[RUN_ID_MAX];

	(void)state;
	make_running(id);
	die(0, SIGKILL);
	assert_int_equal(store.status, RUN_ERROR);
	assert_int_equal(store.reason, RUN_REASON_LOST);
	assert_non_null(strstr(store.message, "died"));
	/* Not forgotten, and no other one started, before that is on disk. */
	assert_int_equal(keeper.forgotten[0], 0);
	pump();
	assert_int_equal(keeper.spawned[0], 1);
	commit(NULL);
	assert_int_equal(keeper.forgotten[0], 1);
	assert_int_equal(events.ended, 1);
	assert_int_equal(agents_restart_count(agents, AGENTS_RESTART_SIGNAL), 1);
	pump();
	assert_int_equal(keeper.spawned[0], 2);
}

static void the_last_words_of_the_dead_count(void **state)
{
	char id[RUN_ID_MAX];
	struct msg_writer m = {0};
	struct err err;
	struct run r;

	(void)state;
	make_running(id);
	/* The result lies in the socket when the keeper reports the death. */
	run_init(&r);
	r.id = x_strdup(id);
	r.status = RUN_SUCCESS;
	run_put(&r, &m);
	run_clear(&r);
	assert_int_equal(chan_send(theirs[0], &m, -1, &err), CHAN_OK);
	msg_free(&m);
	die(0, 0);
	assert_int_equal(store.status, RUN_SUCCESS);
	assert_int_equal(keeper.forgotten[0], 0);
	commit(NULL);
	assert_int_equal(keeper.forgotten[0], 1);
	assert_int_equal(events.ended, 1);
	assert_int_equal(events.status, RUN_SUCCESS);
	assert_int_equal(agents_restart_count(agents, AGENTS_RESTART_EXIT), 1);
}

static void nonsense_gets_the_worker_replaced(void **state)
{
	static const char *const junk[] = {"x", "\xff\xff\xff\xff", "hello, supervisor"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
		if (i) {
			tear_down(NULL);
			set_up(NULL);
		}
		make_idle();
		assert_true(send(theirs[0], junk[i], strlen(junk[i]), 0) > 0);
		fake_turn();
		assert_int_equal(keeper.killed[0], 1);
		die(0, SIGKILL);
		assert_int_equal(agents_restart_count(agents, AGENTS_RESTART_KILLED), 1);
		pump();
		assert_int_equal(keeper.spawned[0], 2);
	}
}

static void a_worker_that_claims_to_be_another_is_killed(void **state)
{
	struct msg_writer m = {0};

	(void)state;
	make(NULL);
	fleet_scale(fleet, 1, false, fake_now_ms);
	pump();
	hand_over(0, true);
	msg_put_agent_hello(&m, &(struct msg_agent_hello){1, keeper.generation[0], 0});
	worker_says(0, &m);
	assert_int_equal(keeper.killed[0], 1);
	assert_int_equal(events.came, 0);
}

/* A run that the store has as running, by an earlier supervisor. */
static void inherit(struct run_list *list, const char *agent, char id[RUN_ID_MAX])
{
	struct run *run = runs_make(agent, "host", target, 5000, fake_now_ms + FAKE_WALL_MS,
		fake_now_ms + FAKE_WALL_MS);

	snprintf(id, RUN_ID_MAX, "%s", run->id);
	run_list_add(list, run);
	free(run);
}

static void inherited_workers_are_asked_what_they_have(void **state)
{
	struct run_list running = {0};
	char a[RUN_ID_MAX], b[RUN_ID_MAX], gone[RUN_ID_MAX], id[RUN_ID_MAX];

	(void)state;
	inherit(&running, "web-0", a);
	inherit(&running, "web-1", b);
	inherit(&running, "other-9", gone);
	make(&running);
	run_list_clear(&running);
	/* There is no such agent: lost at once. */
	assert_int_equal(store.writes, 1);
	assert_string_equal(store.last_id, gone);
	assert_int_equal(store.reason, RUN_REASON_LOST);
	for (unsigned int i = 0; i < SLOTS; i++) {
		hand_over(i, false);
		assert_int_equal(hear(i, id, NULL), MSG_WORK_STATE_REQ);
	}
	agents_on_handed_over(agents);
	fleet_scale(fleet, SLOTS, false, fake_now_ms);
	/* It goes on. */
	say_state(0, a);
	assert_int_equal(fleet_slot(fleet, 0)->state, FLEET_RUNNING);
	say_result(0, a);
	commit(NULL);
	assert_int_equal(events.status, RUN_SUCCESS);
	/* Stored, but the worker never heard of it. */
	say_state(1, "");
	assert_string_equal(store.last_id, b);
	assert_int_equal(store.reason, RUN_REASON_LOST);
	assert_int_equal(fleet_slot(fleet, 1)->state, FLEET_IDLE);
	/* A run that nobody knows of. */
	say_state(2, "0190aaaa-bbbb-7ccc-8ddd-000000000000");
	assert_int_equal(keeper.killed[2], 1);
}

static void a_result_before_the_question_counts(void **state)
{
	struct run_list running = {0};
	char a[RUN_ID_MAX];

	(void)state;
	inherit(&running, "web-0", a);
	make(&running);
	run_list_clear(&running);
	hand_over(0, false);
	agents_on_handed_over(agents);
	fleet_scale(fleet, 1, false, fake_now_ms);
	say_result(0, a);
	commit(NULL);
	assert_int_equal(events.ended, 1);
	say_state(0, "");
	assert_int_equal(events.ended, 1);
	assert_true(agents_is_idle(agents, 0));
}

static void runs_without_a_worker_are_lost_after_the_hand_over(void **state)
{
	struct run_list running = {0};
	char a[RUN_ID_MAX];

	(void)state;
	inherit(&running, "web-1", a);
	make(&running);
	run_list_clear(&running);
	assert_int_equal(store.writes, 0);
	agents_on_handed_over(agents);
	assert_int_equal(store.reason, RUN_REASON_LOST);
	assert_int_equal(events.ended, 1);
	assert_int_equal(agents_find_run(agents, a), -1);
}

static void a_cancelled_run_ends_where_it_is(void **state)
{
	char id[RUN_ID_MAX], cancelled[RUN_ID_MAX];

	(void)state;
	make_running(id);
	agents_cancel(agents, 0);
	assert_int_equal(hear(0, cancelled, NULL), MSG_WORK_CANCEL);
	assert_string_equal(cancelled, id);
	agents_cancel(agents, 1); /* has none */
	tear_down(NULL);
	set_up(NULL);
	/* Before its worker has heard of it. */
	make_due();
	agents_cancel_all(agents);
	commit(NULL);
	assert_int_equal(store.reason, RUN_REASON_CANCELLED);
	assert_int_equal(hear(0, id, NULL), MSG_NONE);
	assert_true(agents_is_idle(agents, 0));
}

static void a_target_that_is_forbidden_or_gone_is_not_aimed_at(void **state)
{
	char id[RUN_ID_MAX], *allowed[] = {(char[]){"elsewhere.test"}};

	(void)state;
	conf.allowed_hosts = (struct opt_list){.items = allowed, .count = 1};
	make_idle();
	schedule_put(schedule,
		&(struct schedule_plan){.id = "t1", .origin_ms = fake_now_ms, .interval_ms = 60000},
		fake_now_ms);
	pump();
	assert_int_equal(store.reason, RUN_REASON_FORBIDDEN_TARGET);
	assert_int_equal(hear(0, id, NULL), MSG_NONE);
	conf.allowed_hosts = (struct opt_list){0};
	tear_down(NULL);
	set_up(NULL);
	make_due();
	target_free(target);
	target = NULL;
	commit(NULL);
	assert_int_equal(store.reason, RUN_REASON_CANCELLED);
	assert_int_equal(hear(0, id, NULL), MSG_NONE);
}

static void nothing_begins_at_the_end(void **state)
{
	(void)state;
	make_idle();
	schedule_put(schedule,
		&(struct schedule_plan){.id = "t1", .origin_ms = fake_now_ms, .interval_ms = 60000},
		fake_now_ms);
	agents_pump(agents, fake_now_ms, false);
	assert_null(store.done);
}

static void beat(unsigned int slot, int64_t at)
{
	struct err err;
	struct hb_page *page = hb_map_own(hb_fd, slot, &err);

	assert_non_null(page);
	page->beat_mono_ms = (uint64_t)at;
	munmap(page, HB_PAGE_BYTES);
}

static void a_silent_worker_is_killed_a_late_look_is_not_its_fault(void **state)
{
	(void)state;
	make_idle();
	for (int i = 0; i < 12; i++) {
		beat(0, fake_now_ms);
		agents_check_heartbeats(agents, fake_now_ms);
		fake_advance(1000);
	}
	pump();
	assert_int_equal(keeper.killed[0], 0);
	/* We were away for a minute: the worker gets its time to beat again. */
	fake_advance(60000);
	agents_check_heartbeats(agents, fake_now_ms);
	pump();
	assert_int_equal(keeper.killed[0], 0);
	for (int i = 0; i < 11; i++) {
		fake_advance(1000);
		agents_check_heartbeats(agents, fake_now_ms);
	}
	pump();
	assert_true(keeper.killed[0] >= 1);
}

static void a_page_of_nonsense_is_killed_for(void **state)
{
	(void)state;
	make_idle();
	beat(0, fake_now_ms + 3600000); /* in the future */
	fake_advance(11000);
	agents_check_heartbeats(agents, fake_now_ms);
	fake_advance(1000);
	beat(0, fake_now_ms + 3600000);
	fake_advance(11000);
	agents_check_heartbeats(agents, fake_now_ms);
	assert_true(keeper.killed[0] >= 1);
}

static void output_is_asked_for_and_passed_on(void **state)
{
	struct msg_writer m = {0};
	char id[RUN_ID_MAX];

	(void)state;
	make_idle();
	assert_false(agents_ask_log(agents, 1, MSG_LOG_ONCE));
	assert_true(agents_ask_log(agents, 0, MSG_LOG_FOLLOW));
	assert_int_equal(hear(0, id, NULL), MSG_WORK_LOG);
	msg_put_agent_log(&m, &(struct msg_agent_log){msg_text("r"), true, {"a\0b", 3}});
	worker_says(0, &m);
	assert_true(events.log_first);
	assert_string_equal(events.log, "a");
}

static void a_fork_that_failed_is_tried_again(void **state)
{
	(void)state;
	make(NULL);
	agents_on_handed_over(agents);
	fleet_scale(fleet, 1, false, fake_now_ms);
	pump();
	for (unsigned int i = 1; i < 4; i++) {
		assert_int_equal(keeper.spawned[0], i);
		agents_on_spawn_failed(agents,
			&(struct msg_keeper_spawn_failed){
				0, keeper.generation[0], msg_text("no memory")});
		fake_advance(1000);
		pump();
	}
	/* One of an earlier generation, or of a slot that cannot be, changes nothing. */
	agents_on_spawn_failed(agents, &(struct msg_keeper_spawn_failed){0, 1, msg_text("late")});
	agents_on_spawn_failed(
		agents, &(struct msg_keeper_spawn_failed){99999, 1, msg_text("where?")});
	agents_on_exited(agents, &(struct msg_keeper_exited){99999, 1, 0});
	pump();
	assert_int_equal(keeper.spawned[0], 4);
}

static void reports_name_each_agent(void **state)
{
	char id[RUN_ID_MAX];
	_cleanup_json_ json_t *status = NULL, *beats = NULL, *registered = NULL, *ids = NULL,
			      *progress = NULL;
	const json_t *one;

	(void)state;
	make_running(id);
	status = agents_status(agents);
	one = json_array_get(status, 0);
	assert_int_equal(json_array_size(status), 1);
	assert_string_equal(json_get_text(one, "name", ""), "web-0");
	assert_string_equal(json_get_text(one, "state", ""), "running");
	beats = agents_heartbeats(agents);
	assert_string_equal(json_get_text(json_array_get(beats, 0), "currentRunId", ""), id);
	registered = agents_registrations(agents);
	assert_int_equal(json_array_size(registered), 1);
	ids = json_pack("[s, s]", id, "unknown");
	progress = agents_progress(agents, ids);
	assert_int_equal(json_array_size(progress), 1);
	/* One that goes is in one more heartbeat, as stopped. */
	say_result(0, id);
	commit(NULL);
	fleet_scale(fleet, 0, false, fake_now_ms);
	pump();
	die(0, 0);
	json_decref(beats);
	beats = agents_heartbeats(agents);
	assert_string_equal(json_get_text(json_array_get(beats, 0), "status", ""), "stopped");
	json_decref(beats);
	beats = agents_heartbeats(agents);
	assert_int_equal(json_array_size(beats), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST_OF(a_worker_hears_of_a_run_when_it_is_stored),
		TEST_OF(a_run_that_cannot_be_stored_never_was),
		TEST_OF(a_result_is_peeked_stored_and_then_consumed),
		TEST_OF(a_worker_that_dies_in_a_run_loses_it_once),
		TEST_OF(the_last_words_of_the_dead_count),
		TEST_OF(nonsense_gets_the_worker_replaced),
		TEST_OF(a_worker_that_claims_to_be_another_is_killed),
		TEST_OF(inherited_workers_are_asked_what_they_have),
		TEST_OF(a_result_before_the_question_counts),
		TEST_OF(runs_without_a_worker_are_lost_after_the_hand_over),
		TEST_OF(a_cancelled_run_ends_where_it_is),
		TEST_OF(a_target_that_is_forbidden_or_gone_is_not_aimed_at),
		TEST_OF(nothing_begins_at_the_end),
		TEST_OF(a_silent_worker_is_killed_a_late_look_is_not_its_fault),
		TEST_OF(a_page_of_nonsense_is_killed_for),
		TEST_OF(output_is_asked_for_and_passed_on),
		TEST_OF(a_fork_that_failed_is_tried_again),
		TEST_OF(reports_name_each_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
