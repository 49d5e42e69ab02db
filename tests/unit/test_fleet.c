/* SPDX-License-Identifier: MIT */
/* The fleet under simulated time: its rules one by one, then random events against invariants. */
#include "test.h"

#include <time.h>

#include "supervisor/fleet.h"

static const struct fleet_config config = {.max_slots = 100,
	.min_delay_ms = 100,
	.max_delay_ms = 30000,
	.stable_after_ms = 10000,
	.drain_timeout_ms = 60000,
	.kill_after_ms = 7000,
	.seed = 42};

static void expect(struct fleet *f, enum fleet_action_type type, unsigned int slot)
{
	struct fleet_action a;

	assert_true(fleet_take(f, &a));
	assert_int_equal(a.type, type);
	assert_int_equal(a.slot, slot);
}

static void expect_none(struct fleet *f)
{
	struct fleet_action a;

	assert_false(fleet_take(f, &a));
}

static void up_and_down(void **state)
{
	struct fleet *f = fleet_new(&config);

	(void)state;
	fleet_scale(f, 2, false, 1000);
	expect(f, FLEET_DO_SPAWN, 0);
	expect(f, FLEET_DO_SPAWN, 1);
	expect_none(f);
	assert_false(fleet_is_reached(f));
	fleet_event(f, 0, FLEET_EV_HELLO, 1001);
	fleet_event(f, 1, FLEET_EV_HELLO, 1001);
	assert_true(fleet_is_reached(f));
	/* Down: the highest slot goes; an idle one at once. */
	fleet_scale(f, 1, false, 2000);
	expect(f, FLEET_DO_EXIT, 1);
	fleet_event(f, 1, FLEET_EV_EXIT, 2001);
	assert_int_equal(fleet_slot(f, 1)->state, FLEET_STOPPED);
	assert_int_equal(fleet_slot(f, 1)->restarts, 0);
	assert_true(fleet_is_reached(f));
	fleet_scale(f, 0, false, 3000);
	expect(f, FLEET_DO_EXIT, 0);
	fleet_event(f, 0, FLEET_EV_EXIT, 3001);
	assert_true(fleet_is_empty(f));
	expect_none(f);
	fleet_free(f);
}

static void draining_is_reused_or_ends(void **state)
{
	struct fleet *f = fleet_new(&config);

	(void)state;
	fleet_scale(f, 1, false, 0);
	expect(f, FLEET_DO_SPAWN, 0);
	fleet_event(f, 0, FLEET_EV_HELLO, 1);
	fleet_event(f, 0, FLEET_EV_BUSY, 2);
	fleet_scale(f, 0, false, 10);
	assert_int_equal(fleet_slot(f, 0)->state, FLEET_DRAINING);
	fleet_scale(f, 1, false, 20);
	assert_int_equal(fleet_slot(f, 0)->state, FLEET_RUNNING);
	fleet_scale(f, 0, false, 30);
	expect_none(f);
	/* drain_timeout, then CANCEL, then KILL. */
	fleet_tick(f, 60030);
	expect(f, FLEET_DO_CANCEL, 0);
	fleet_tick(f, 67029);
	expect_none(f);
	fleet_tick(f, 67030);
	expect(f, FLEET_DO_KILL, 0);
	fleet_event(f, 0, FLEET_EV_EXIT, 67031);
	assert_true(fleet_is_empty(f));
	fleet_free(f);
}

static void now_cancels(void **state)
{
	struct fleet *f = fleet_new(&config);

	(void)state;
	fleet_scale(f, 1, false, 0);
	expect(f, FLEET_DO_SPAWN, 0);
	fleet_event(f, 0, FLEET_EV_HELLO, 1);
	fleet_event(f, 0, FLEET_EV_BUSY, 2);
	fleet_scale(f, 0, true, 10);
	expect(f, FLEET_DO_CANCEL, 0);
	fleet_event(f, 0, FLEET_EV_FREE, 20);
	expect(f, FLEET_DO_EXIT, 0);
	fleet_event(f, 0, FLEET_EV_EXIT, 21);
	assert_true(fleet_is_empty(f));
	fleet_free(f);
}

static void first_restart_at_once_then_backoff(void **state)
{
	struct fleet *f = fleet_new(&config);
	int64_t now = 100000, last = 0;

	(void)state;
	fleet_scale(f, 1, false, now);
	expect(f, FLEET_DO_SPAWN, 0);
	fleet_event(f, 0, FLEET_EV_HELLO, now);
	fleet_event(f, 0, FLEET_EV_EXIT, now + 5);
	expect(f, FLEET_DO_SPAWN, 0);
	now += 5;
	for (int i = 0; i < 14; i++) {
		int64_t delay, full = 100;

		for (int k = 0; k < i && full < 30000; k++)
			full *= 2;
		if (full > 30000)
			full = 30000;
		fleet_event(f, 0, FLEET_EV_EXIT, now);
		assert_int_equal(fleet_slot(f, 0)->state, FLEET_BACKOFF);
		expect_none(f);
		delay = fleet_slot(f, 0)->timer_ms - now;
		assert_true(fleet_deadline(f) <= now + delay);
		assert_in_range(delay, full / 2, full);
		last = delay;
		now += delay;
		fleet_tick(f, now - 1);
		expect_none(f);
		fleet_tick(f, now);
		expect(f, FLEET_DO_SPAWN, 0);
	}
	assert_in_range(last, 15000, 30000);
	/* After stable_after all is forgiven. */
	fleet_event(f, 0, FLEET_EV_HELLO, now);
	fleet_event(f, 0, FLEET_EV_EXIT, now + 10000);
	expect(f, FLEET_DO_SPAWN, 0);
	fleet_free(f);
}

/* Starts n workers, kills `deaths` of them at `now` and answers how many were started again at
 * once. */
static unsigned int restarts_at_once(struct fleet *f, unsigned int deaths, int64_t now)
{
	struct fleet_action a;
	unsigned int n = 0;

	for (unsigned int i = 0; i < deaths; i++)
		fleet_event(f, i, FLEET_EV_EXIT, now + i % 500);
	while (fleet_take(f, &a))
		n += a.type == FLEET_DO_SPAWN;
	return n;
}

static void all_say_hello(struct fleet *f, unsigned int n, int64_t now)
{
	fleet_tick(f, now);
	for (struct fleet_action a; fleet_take(f, &a);)
		;
	for (unsigned int i = 0; i < n; i++) {
		if (fleet_slot(f, i)->state == FLEET_STARTING)
			fleet_event(f, i, FLEET_EV_HELLO, now);
	}
}

static void a_storm_is_no_crash_loop(void **state)
{
	const unsigned int n = config.max_slots < 50 ? config.max_slots : 50;
	struct fleet *f = fleet_new(&config);
	int64_t now = 1000000;

	(void)state;
	fleet_scale(f, n, false, now);
	all_say_hello(f, n, now);
	/* Again and again, long before stable_after: each time all are back at once. */
	for (int i = 0; i < 5; i++) {
		now += 3000;
		assert_int_equal(restarts_at_once(f, n, now), n);
		assert_in_range(fleet_take_storm(f), n / 2, n / 2 + 1);
		assert_int_equal(fleet_take_storm(f), 0);
		now += 600;
		all_say_hello(f, n, now);
	}
	/* Fewer than half are on their own: at their second death in a row they wait. */
	now += 3000;
	restarts_at_once(f, n / 4, now);
	all_say_hello(f, n, now + 600);
	now += 3000;
	assert_int_equal(restarts_at_once(f, n / 4, now), 0);
	assert_int_equal(fleet_take_storm(f), 0);
	fleet_free(f);
}

static void all_that_crash_at_once_are_a_crash_loop(void **state)
{
	const unsigned int n = config.max_slots < 50 ? config.max_slots : 50;
	struct fleet *f = fleet_new(&config);
	unsigned int spawned = 0;
	int64_t now = 1000000;

	(void)state;
	fleet_scale(f, n, false, now);
	all_say_hello(f, n, now);
	/* All die a tenth of a second after each start, for a minute. */
	for (int i = 0; i < 600; i++) {
		now += 100;
		for (unsigned int k = 0; k < n; k++) {
			if (fleet_slot(f, k)->state == FLEET_IDLE)
				fleet_event(f, k, FLEET_EV_EXIT, now);
		}
		fleet_tick(f, now);
		for (struct fleet_action a; fleet_take(f, &a);)
			spawned += a.type == FLEET_DO_SPAWN;
		all_say_hello(f, n, now);
	}
	assert_in_range(spawned, n * 5, n * 20);
	assert_int_equal(fleet_take_storm(f), 0);
	fleet_free(f);
}

static void silent_and_slow_workers_are_killed(void **state)
{
	struct fleet *f = fleet_new(&config);

	(void)state;
	fleet_scale(f, 2, false, 0);
	expect(f, FLEET_DO_SPAWN, 0);
	expect(f, FLEET_DO_SPAWN, 1);
	fleet_event(f, 0, FLEET_EV_HELLO, 1);
	fleet_event(f, 0, FLEET_EV_SILENT, 50);
	expect(f, FLEET_DO_KILL, 0);
	fleet_event(f, 0, FLEET_EV_EXIT, 51);
	expect(f, FLEET_DO_SPAWN, 0);
	/* Slot 1 never says hello. */
	fleet_tick(f, 20000);
	expect(f, FLEET_DO_KILL, 1);
	fleet_event(f, 1, FLEET_EV_EXIT, 20001);
	fleet_free(f);
}

static void adopted_workers(void **state)
{
	struct fleet *f = fleet_new(&config);
	struct fleet_action a;

	(void)state;
	fleet_adopt(f, 0, 77, 0);
	fleet_adopt(f, 5, 78, 0);
	fleet_scale(f, 2, false, 1);
	/* Slot 1 is started, with a generation above all that there were. */
	assert_true(fleet_take(f, &a));
	assert_int_equal(a.type, FLEET_DO_SPAWN);
	assert_int_equal(a.slot, 1);
	assert_true(a.generation > 78);
	expect_none(f);
	fleet_event(f, 0, FLEET_EV_HELLO, 2);
	assert_int_equal(fleet_slot(f, 0)->generation, 77);
	fleet_event(f, 5, FLEET_EV_HELLO, 2);
	fleet_event(f, 5, FLEET_EV_UNWANT, 2);
	expect(f, FLEET_DO_EXIT, 5);
	fleet_free(f);
}

/* A world that obeys actions after a while, with deaths thrown in. */
enum { SLOTS = 200, STEPS = 300000 };

struct world {
	bool alive[SLOTS], busy[SLOTS], leaving[SLOTS];
};

static void obey(struct fleet *f, struct world *w)
{
	struct fleet_action a;

	while (fleet_take(f, &a)) {
		assert_in_range(a.slot, 0, SLOTS - 1);
		if (a.type == FLEET_DO_SPAWN) {
			assert_false(w->alive[a.slot]); /* never two workers in one slot */
			w->alive[a.slot] = true;
			w->busy[a.slot] = w->leaving[a.slot] = false;
		} else if (w->alive[a.slot]) {
			w->leaving[a.slot] = true;
		}
	}
}

static void step(struct fleet *f, struct world *w, unsigned int *seed, int64_t now, bool chaos)
{
	unsigned int slot = (unsigned int)rand_r(seed) % SLOTS;
	enum fleet_state st = fleet_slot(f, slot)->state;
	int dice = rand_r(seed) % 100;

	if (w->alive[slot] &&
		(w->leaving[slot] ? !w->busy[slot] || dice < 30 : chaos && dice < 5)) {
		w->alive[slot] = w->busy[slot] = false;
		fleet_event(f, slot, FLEET_EV_EXIT, now);
	} else if (w->alive[slot] && st == FLEET_STARTING) {
		fleet_event(f, slot, FLEET_EV_HELLO, now);
	} else if (w->alive[slot] && st == FLEET_IDLE && dice < 50) {
		w->busy[slot] = true;
		fleet_event(f, slot, FLEET_EV_BUSY, now);
	} else if (w->alive[slot] && w->busy[slot] && dice < 60) {
		w->busy[slot] = false;
		fleet_event(f, slot, FLEET_EV_FREE, now);
	} else if (chaos && dice == 99) {
		fleet_scale(
			f, (unsigned int)rand_r(seed) % (SLOTS + 1), rand_r(seed) % 4 == 0, now);
	} else if (chaos && dice == 98) {
		fleet_event(f, slot, FLEET_EV_SILENT, now);
	}
}

static void random_events(void **state)
{
	struct fleet_config c = config;
	unsigned int seed =
		getenv("SEED") ? (unsigned int)atoi(getenv("SEED")) : (unsigned int)time(NULL);
	struct world w = {0};
	struct fleet *f;
	int64_t now = 1;

	(void)state;
	print_message("seed %u (SEED=%u repeats it)\n", seed, seed);
	c.max_slots = SLOTS;
	c.seed = seed;
	f = fleet_new(&c);
	for (int i = 0; i < STEPS; i++) {
		unsigned int sum = 0;

		now += rand_r(&seed) % 20;
		step(f, &w, &seed, now, true);
		fleet_tick(f, now);
		obey(f, &w);
		for (int s = 0; i % 1000 == 0 && s < FLEET_STATE_COUNT; s++)
			sum += fleet_count(f, (enum fleet_state)s);
		assert_true(i % 1000 || sum == SLOTS);
	}
	/* Once it is quiet: exactly the wanted number, each slot right. */
	fleet_scale(f, 123, false, now);
	for (int i = 0; i < 400000 && !(fleet_is_reached(f) && i > 100000); i++) {
		now += 5;
		step(f, &w, &seed, now, false);
		fleet_tick(f, now);
		obey(f, &w);
	}
	assert_true(fleet_is_reached(f));
	for (unsigned int s = 0; s < SLOTS; s++)
		assert_int_equal(w.alive[s], s < 123);
	fleet_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(up_and_down),
		cmocka_unit_test(draining_is_reused_or_ends),
		cmocka_unit_test(now_cancels),
		cmocka_unit_test(first_restart_at_once_then_backoff),
		cmocka_unit_test(a_storm_is_no_crash_loop),
		cmocka_unit_test(all_that_crash_at_once_are_a_crash_loop),
		cmocka_unit_test(silent_and_slow_workers_are_killed),
		cmocka_unit_test(adopted_workers),
		cmocka_unit_test(random_events),
	};

	return cmocka_run_group_tests_name("fleet", tests, NULL, NULL);
}
