/* SPDX-License-Identifier: MIT */
/* The keeper's table of workers, with a clone, a kill and a clock of the test's own: no process
 * is forked. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/limits.h"
#include "keeper/children.h"
#include "keeper/upgrade_children.h"
#include "keeper/upgrade_state.h"

/* --- the system ------------------------------------------------------------------- */

static struct {
	pid_t next_pid; /* -1: the kernel refuses */
	bool shared;    /* the last clone */
	int64_t now;
	unsigned int kills;
	pid_t killed[64];
	int sig;
} fake;

static pid_t fake_clone(const struct sandbox *sb, bool share_files)
{
	(void)sb;
	fake.shared = share_files;
	if (fake.next_pid < 0) {
		errno = EAGAIN;
		return -1;
	}
	return fake.next_pid++;
}

static int fake_kill(pid_t pid, int sig)
{
	assert_true(pid > 1);
	fake.killed[fake.kills++ % ARRAY_SIZE(fake.killed)] = pid;
	fake.sig = sig;
	return 0;
}

static int64_t fake_now(void)
{
	return fake.now;
}

static const struct children_system fake_system = {fake_clone, fake_kill, fake_now};

static void init(struct children *c)
{
	static const struct conf conf;
	static const struct sandbox sandbox;
	const struct children_config config = {
		.conf = &conf,
		.sandbox = &sandbox,
		.cgroup = {.base_fd = -1},
		.hb_fd = -1,
		.k6 = {.fd = -1},
		.lifeline = {-1, -1},
		.system = &fake_system,
	};
	struct err err;

	memset(&fake, 0, sizeof(fake));
	fake.next_pid = 1000;
	fake.now = 5000;
	assert_int_equal(children_init(c, &config, &err), 0);
}

static void end(struct children *c)
{
	for (unsigned int i = 0; i < c->high; i++)
		c->slots[i].alive = false;
	children_settle(c);
	close_fd(&c->lifeline[0]);
	close_fd(&c->lifeline[1]);
	children_free(c);
}

static void spawn(struct children *c, unsigned int slot, uint64_t generation)
{
	struct err err;

	assert_int_equal(children_spawn(c, slot, generation, 0, &err), 0);
}

/* The worker has a table of descriptors of its own. */
static void settle(struct children *c, unsigned int slot)
{
	atomic_store(&c->own_files[slot], 1);
	children_settle(c);
}

static unsigned int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* --- life and death ------------------------------------------------------------------- */

static void a_worker_is_forked_and_remembered(void **state)
{
	struct children c;
	struct err err;
	const struct child *ch;

	(void)state;
	init(&c);
	c.epoch = 3;
	assert_int_equal(children_spawn(&c, 4, 77, 12, &err), 0);
	assert_true(fake.shared);
	ch = children_find(&c, 4, 77);
	assert_non_null(ch);
	assert_int_equal(ch->pid, 1000);
	assert_true(ch->used && ch->alive);
	assert_int_equal(ch->started_mono_ms, 5000);
	assert_int_equal(ch->restarts, 12);
	assert_int_equal(ch->epoch, 3);
	assert_int_equal(c.alive, 1);
	assert_int_equal(c.high, 5);
	/* The supervisor's end lies where no worker takes it along. */
	assert_true(ch->chan >= 64);
	end(&c);
}

static void a_refused_clone_leaves_nothing(void **state)
{
	struct children c;
	unsigned int before;
	struct err err;

	(void)state;
	init(&c);
	before = open_files();
	fake.next_pid = -1;
	for (int i = 0; i < 100; i++)
		assert_int_equal(children_spawn(&c, 0, 1, 0, &err), -1);
	assert_non_null(strstr(err.msg, "cannot fork a worker"));
	assert_non_null(strstr(err.msg, strerror(EAGAIN)));
	assert_int_equal(open_files(), before);
	assert_int_equal(c.alive, 0);
	assert_int_equal(c.high, 0);
	assert_int_equal(c.unsettled_count, 0);
	assert_null(children_find(&c, 0, 1));
	/* The slot can be used as before. */
	fake.next_pid = 1000;
	spawn(&c, 0, 2);
	assert_non_null(children_find(&c, 0, 2));
	end(&c);
}

static void a_lack_of_descriptors_leaves_nothing(void **state)
{
	struct rlimit old, few;
	struct children c;
	unsigned int before;
	struct err err;

	(void)state;
	init(&c);
	before = open_files();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	/* Enough for the pair, none above for the supervisor's end; then not even for the pair. */
	for (rlim_t limit = 64; limit > 0; limit -= 64 - 3) {
		few = (struct rlimit){limit, old.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		assert_int_equal(children_spawn(&c, 0, 1, 0, &err), -1);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_int_equal(open_files(), before);
		assert_int_equal(c.alive, 0);
		if (limit < 64)
			break;
	}
	end(&c);
}

/* It dies before it has left the keeper's table of descriptors, and before it has said anything. */
static void an_exit_before_hello_is_an_end_of_file(void **state)
{
	uint8_t *buf = x_calloc(1, MSG_MAX_BYTES);
	struct children c;
	struct err err;
	size_t len;
	int fd, chan, worker_end;

	(void)state;
	init(&c);
	spawn(&c, 0, 1);
	chan = c.slots[0].chan;
	worker_end = c.unsettled[0].fds[0];
	assert_int_equal(chan_recv(chan, buf, &len, &fd, false, &err), CHAN_AGAIN);
	assert_true(is_open(worker_end));
	assert_int_equal(children_reaped(&c, 1000, 256), 0);
	assert_false(is_open(worker_end));
	assert_int_equal(c.unsettled_count, 0);
	assert_int_equal(chan_recv(chan, buf, &len, &fd, false, &err), CHAN_EOF);
	assert_int_equal(c.slots[0].wait_status, 256);
	assert_int_equal(c.alive, 0);
	/* The entry stays until the supervisor says so. */
	assert_non_null(children_find(&c, 0, 1));
	children_forget(&c, children_find(&c, 0, 1));
	assert_false(is_open(chan));
	assert_null(children_find(&c, 0, 1));
	end(&c);
	free(buf);
}

static void last_words_stay_until_it_is_forgotten(void **state)
{
	uint8_t *buf = x_calloc(1, MSG_MAX_BYTES);
	struct msg_writer w = {0};
	struct children c;
	struct err err;
	size_t len;
	int fd;

	(void)state;
	init(&c);
	spawn(&c, 0, 1);
	msg_put_agent_hello(&w, &(struct msg_agent_hello){.slot = 0, .generation = 1});
	assert_int_equal(chan_send(c.unsettled[0].fds[0], &w, -1, &err), CHAN_OK);
	assert_int_equal(children_reaped(&c, 1000, 9), 0);
	assert_int_equal(chan_recv(c.slots[0].chan, buf, &len, &fd, false, &err), CHAN_OK);
	assert_int_equal(len, w.len);
	assert_int_equal(chan_recv(c.slots[0].chan, buf, &len, &fd, false, &err), CHAN_EOF);
	msg_free(&w);
	end(&c);
	free(buf);
}

static void only_a_living_worker_is_reaped(void **state)
{
	struct children c;

	(void)state;
	init(&c);
	spawn(&c, 2, 1);
	assert_int_equal(children_reaped(&c, 999, 0), -1);
	assert_int_equal(children_reaped(&c, 1000, 0), 2);
	/* The number may be given to somebody else, who is then no worker. */
	assert_int_equal(children_reaped(&c, 1000, 0), -1);
	assert_int_equal(c.alive, 0);
	end(&c);
}

static void signals_reach_the_living_only(void **state)
{
	struct children c;

	(void)state;
	init(&c);
	for (unsigned int i = 0; i < 4; i++)
		spawn(&c, i, i + 1);
	children_reaped(&c, 1001, 0);
	children_signal(&c, &c.slots[1], SIGTERM);
	assert_int_equal(fake.kills, 0);
	children_signal(&c, &c.slots[2], SIGTERM);
	assert_int_equal(fake.kills, 1);
	assert_int_equal(fake.killed[0], 1002);
	assert_int_equal(fake.sig, SIGTERM);
	children_kill_all(&c);
	assert_int_equal(fake.kills, 4);
	assert_int_equal(fake.killed[1], 1000);
	assert_int_equal(fake.killed[2], 1002);
	assert_int_equal(fake.killed[3], 1003);
	assert_int_equal(fake.sig, SIGKILL);
	end(&c);
}

/* --- slots and generations ------------------------------------------------------------ */

static void every_order_names_a_generation(void **state)
{
	struct children c;
	struct err err;

	(void)state;
	init(&c);
	assert_null(children_find(&c, 0, 0));
	assert_null(children_find(&c, LIMIT_WORKERS, 1));
	assert_null(children_find(&c, UINT32_MAX, 1));
	spawn(&c, 0, 8);
	assert_null(children_find(&c, 0, 7));
	assert_null(children_find(&c, 0, 9));
	assert_null(children_find(&c, 1, 8));
	/* Replaced: what was meant for the one before finds nobody. */
	children_reaped(&c, 1000, 0);
	children_forget(&c, children_find(&c, 0, 8));
	assert_int_equal(children_spawn(&c, 0, 9, 1, &err), 0);
	assert_null(children_find(&c, 0, 8));
	assert_int_equal(children_find(&c, 0, 9)->restarts, 1);
	spawn(&c, LIMIT_WORKERS - 1, UINT64_MAX);
	assert_non_null(children_find(&c, LIMIT_WORKERS - 1, UINT64_MAX));
	end(&c);
}

static void slots_are_forgotten_in_any_order(void **state)
{
	static const unsigned int orders[][4] = {
		{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};

	(void)state;
	for (size_t o = 0; o < ARRAY_SIZE(orders); o++) {
		struct children c;
		unsigned int before;

		init(&c);
		before = open_files();
		for (unsigned int i = 0; i < 4; i++)
			spawn(&c, i, 1);
		for (unsigned int i = 0; i < 4; i++) {
			unsigned int slot = orders[o][i], high = 0;

			children_reaped(&c, 1000 + (pid_t)slot, 0);
			children_forget(&c, &c.slots[slot]);
			for (unsigned int k = 0; k < 4; k++)
				high = c.slots[k].used ? k + 1 : high;
			assert_int_equal(c.high, high);
		}
		assert_int_equal(open_files(), before);
		end(&c);
	}
}

/* --- sharing the keeper's table of descriptors ------------------------------------------- */

static void only_a_few_workers_share_at_a_time(void **state)
{
	struct children c;

	(void)state;
	init(&c);
	for (unsigned int i = 0; i < CHILDREN_UNSETTLED_MAX; i++) {
		spawn(&c, i, 1);
		assert_true(fake.shared);
		assert_int_equal(c.unsettled_count, i + 1);
	}
	/* None of them gets on: the next one copies the table, and closes the worker's end at
	 * once. */
	spawn(&c, 20, 1);
	assert_false(fake.shared);
	assert_int_equal(c.unsettled_count, CHILDREN_UNSETTLED_MAX);
	settle(&c, 3);
	assert_int_equal(c.unsettled_count, CHILDREN_UNSETTLED_MAX - 1);
	spawn(&c, 21, 1);
	assert_true(fake.shared);
	/* A slot that is used again must not count as settled before its new worker is. */
	children_reaped(&c, 1000, 0);
	children_forget(&c, &c.slots[0]);
	spawn(&c, 0, 2);
	children_settle(&c);
	assert_int_equal(c.unsettled_count, CHILDREN_UNSETTLED_MAX);
	end(&c);
}

static void a_new_k6_is_for_new_workers(void **state)
{
	struct children c;
	struct k6bin k6 = {.fd = open("/dev/null", O_PATH | O_CLOEXEC)};
	int old = open("/dev/null", O_PATH | O_CLOEXEC);

	(void)state;
	init(&c);
	c.k6.fd = old;
	spawn(&c, 0, 1);
	/* Somebody still shares the table: closed here, it would be closed there. */
	children_use_k6(&c, &k6);
	assert_true(is_open(old));
	assert_int_equal(c.k6.fd, k6.fd);
	settle(&c, 0);
	k6.fd = open("/dev/null", O_PATH | O_CLOEXEC);
	children_use_k6(&c, &k6);
	assert_int_equal(c.k6.fd, k6.fd);
	close(old);
	close(k6.fd);
	end(&c);
}

/* --- hand-over ---------------------------------------------------------------------------- */

/* Member by member: what lies between them is the compiler's. */
static void assert_same_child(const struct child *a, const struct child *b)
{
	assert_int_equal(a->used, b->used);
	assert_int_equal(a->alive, b->alive);
	assert_int_equal(a->pid, b->pid);
	assert_int_equal(a->generation, b->generation);
	assert_int_equal(a->started_mono_ms, b->started_mono_ms);
	assert_int_equal(a->wait_status, b->wait_status);
	assert_int_equal(a->restarts, b->restarts);
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->chan, b->chan);
}

static void the_table_survives_a_hand_over(void **state)
{
	struct upgrade_state s = {.version = x_strdup("1"),
				     .options.config = x_strdup("c"),
				     .paths = {x_strdup("k"), x_strdup("s")}},
			     read;
	_cleanup_free_ char *text = NULL;
	struct children old, new;
	struct err err;

	(void)state;
	init(&old);
	old.epoch = 6;
	assert_int_equal(children_spawn(&old, 0, 10, 3, &err), 0);
	fake.now = 6000;
	assert_int_equal(children_spawn(&old, 5, 11, 0, &err), 0);
	assert_int_equal(children_spawn(&old, 9, 12, 1, &err), 0);
	children_reaped(&old, 1001, 139);
	s.keeper.epoch = old.epoch;
	upgrade_children_collect(&old, &s);
	assert_int_equal(s.children_count, 3);
	text = upgrade_state_write(&s);
	assert_int_equal(upgrade_state_read(text, &read, &err), 0);
	init(&new);
	upgrade_children_adopt(&new, &read);
	assert_int_equal(new.high, old.high);
	assert_int_equal(new.alive, 2);
	for (unsigned int i = 0; i < old.high; i++)
		assert_same_child(&new.slots[i], &old.slots[i]);
	/* All of them are stale, and reaped and forgotten like one's own. */
	assert_int_equal(new.epoch, 7);
	assert_int_not_equal(new.slots[9].epoch, new.epoch);
	assert_int_equal(children_reaped(&new, 1002, 0), 9);
	assert_int_equal(new.slots[5].wait_status, 139);
	/* The sockets are the new table's now. */
	for (unsigned int i = 0; i < old.high; i++)
		old.slots[i].chan = -1;
	end(&old);
	end(&new);
	upgrade_state_clear(&s);
	upgrade_state_clear(&read);
}

/* --- all of it, by chance ------------------------------------------------------------------- */

#define SLOTS 16

static void check(const struct children *c)
{
	unsigned int alive = 0, high = 0;

	for (unsigned int i = 0; i < SLOTS; i++) {
		const struct child *ch = &c->slots[i];

		alive += ch->alive;
		if (ch->used)
			high = i + 1;
		assert_true(!ch->alive || ch->used);
		if (ch->used)
			assert_true(is_open(ch->chan));
	}
	assert_int_equal(c->alive, alive);
	assert_int_equal(c->high, high);
	assert_true(c->unsettled_count <= CHILDREN_UNSETTLED_MAX);
}

static void step(struct children *c, uint64_t *generation)
{
	unsigned int slot = (unsigned)random() % SLOTS;
	struct child *ch = &c->slots[slot];
	struct err err;

	if (ch->alive && random() % 2)
		settle(c, slot);
	else if (ch->alive)
		assert_int_equal(children_reaped(c, ch->pid, 0), slot);
	else if (ch->used)
		children_forget(c, ch);
	else if (random() % 4 == 0) {
		pid_t next = fake.next_pid;

		fake.next_pid = -1;
		assert_int_equal(children_spawn(c, slot, ++*generation, 0, &err), -1);
		fake.next_pid = next;
	} else
		spawn(c, slot, ++*generation);
}

static void any_order_of_events_keeps_the_table_true(void **state)
{
	unsigned int seed = (unsigned)time(NULL), before;
	uint64_t generation = 0;
	struct children c;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	init(&c);
	before = open_files();
	for (int i = 0; i < 5000; i++) {
		step(&c, &generation);
		check(&c);
	}
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (c.slots[i].alive)
			children_reaped(&c, c.slots[i].pid, 0);
		if (c.slots[i].used)
			children_forget(&c, &c.slots[i]);
	}
	check(&c);
	assert_int_equal(open_files(), before);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_is_forked_and_remembered),
		cmocka_unit_test(a_refused_clone_leaves_nothing),
		cmocka_unit_test(a_lack_of_descriptors_leaves_nothing),
		cmocka_unit_test(an_exit_before_hello_is_an_end_of_file),
		cmocka_unit_test(last_words_stay_until_it_is_forgotten),
		cmocka_unit_test(only_a_living_worker_is_reaped),
		cmocka_unit_test(signals_reach_the_living_only),
		cmocka_unit_test(every_order_names_a_generation),
		cmocka_unit_test(slots_are_forgotten_in_any_order),
		cmocka_unit_test(only_a_few_workers_share_at_a_time),
		cmocka_unit_test(a_new_k6_is_for_new_workers),
		cmocka_unit_test(the_table_survives_a_hand_over),
		cmocka_unit_test(any_order_of_events_keeps_the_table_true),
	};

	return cmocka_run_group_tests_name("children", tests, NULL, NULL);
}
