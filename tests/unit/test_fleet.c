/* SPDX-License-Identifier: MIT */
/* The fleet in simulated time: each rule, then random events whose invariants are checked. */
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
	/* Scaling down stops the highest slot; an idle agent stops at once. */
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
	expect(f, FLEET_DO_DRAIN, 0);
	assert_int_equal(fleet_slot(f, 0)->state, FLEET_DRAINING);
	fleet_scale(f, 1, false, 20);
	assert_int_equal(fleet_slot(f, 0)->state, FLEET_RUNNING);
	fleet_scale(f, 0, false, 30);
	expect(f, FLEET_DO_DRAIN, 0);
	expect_none(f);
	/* After drain_timeout comes CANCEL, then KILL. */
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
	/* After stable_after the failures are forgotten. */
	fleet_event(f, 0, FLEET_EV_HELLO, now);
	fleet_event(f, 0, FLEET_EV_EXIT, now + 10000);
	expect(f, FLEET_DO_SPAWN, 0);
	fleet_free(f);
}

/* Starts n workers, kills `deaths` of them at `now`, and returns how many were replaced at once. */
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
	/* Repeated storms, long before stable_after: each time all workers are replaced at once. */
	for (int i = 0; i < 5; i++) {
		now += 3000;
		assert_int_equal(restarts_at_once(f, n, now), n);
		assert_in_range(fleet_take_storm(f), n / 2, n / 2 + 1);
		assert_int_equal(fleet_take_storm(f), 0);
		now += 600;
		all_say_hello(f, n, now);
	}
	/* The deaths of fewer than half of the workers are no storm: after the second in a row,
	 * each waits. */
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
	/* All workers die a tenth of a second after each start, for a minute. */
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
	/* The worker of slot 1 never sends its hello. */
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
	fleet_adopt(f, 0, 77, 3, 0);
	fleet_adopt(f, 5, 78, 0, 0);
	fleet_scale(f, 2, false, 1);
	/* Slot 1 gets a worker with a generation above all earlier ones. */
	assert_true(fleet_take(f, &a));
	assert_int_equal(a.type, FLEET_DO_SPAWN);
	assert_int_equal(a.slot, 1);
	assert_true(a.generation > 78);
	expect_none(f);
	fleet_event(f, 0, FLEET_EV_HELLO, 2);
	assert_int_equal(fleet_slot(f, 0)->generation, 77);
	assert_int_equal(fleet_slot(f, 0)->restarts, 3);
	fleet_event(f, 5, FLEET_EV_HELLO, 2);
	fleet_event(f, 5, FLEET_EV_UNWANT, 2);
	expect(f, FLEET_DO_EXIT, 5);
	fleet_free(f);
}

/* Makes a fleet with a running worker in each of n slots. */
static struct fleet *fleet_of(unsigned int n, int64_t now)
{
	struct fleet *f = fleet_new(&config);

	fleet_scale(f, n, false, now);
	all_say_hello(f, n, now);
	return f;
}

static void a_restart_is_no_failure(void **state)
{
	struct fleet *f = fleet_of(2, 0);

	(void)state;
	fleet_event(f, 1, FLEET_EV_BUSY, 1);
	for (int i = 0; i < 5; i++) {
		fleet_renew(f, 0, FLEET_RENEW_NOW, 10 + i);
		expect(f, FLEET_DO_EXIT, 0);
		fleet_event(f, 0, FLEET_EV_EXIT, 10 + i);
		expect(f, FLEET_DO_SPAWN, 0);
		fleet_event(f, 0, FLEET_EV_HELLO, 10 + i);
	}
	assert_int_equal(fleet_slot(f, 0)->restarts, 5);
	assert_int_equal(fleet_slot(f, 0)->failures, 0);
	/* A busy worker's run is cancelled first. */
	fleet_renew(f, 1, FLEET_RENEW_NOW, 20);
	expect(f, FLEET_DO_CANCEL, 1);
	fleet_event(f, 1, FLEET_EV_FREE, 21);
	expect(f, FLEET_DO_EXIT, 1);
	fleet_event(f, 1, FLEET_EV_EXIT, 22);
	expect(f, FLEET_DO_SPAWN, 1);
	expect_none(f);
	fleet_free(f);
}

static void a_rolling_restart_takes_turns(void **state)
{
	struct fleet *f = fleet_of(30, 0);
	unsigned int replaced = 0, busy = 7;
	struct fleet_action a;
	int64_t now = 1000;

	(void)state;
	fleet_event(f, busy, FLEET_EV_BUSY, 1);
	for (unsigned int i = 0; i < 30; i++)
		fleet_renew(f, i, FLEET_RENEW_DRAIN, now);
	assert_int_equal(fleet_renewals(f), 30);
	for (int turn = 0; turn < 200; turn++) {
		fleet_tick(f, ++now);
		assert_in_range(fleet_count(f, FLEET_IDLE) + fleet_count(f, FLEET_RUNNING), 27, 30);
		while (fleet_take(f, &a)) {
			if (a.type == FLEET_DO_EXIT)
				fleet_event(f, a.slot, FLEET_EV_EXIT, now);
			else if (a.type == FLEET_DO_SPAWN)
				fleet_event(f, a.slot, FLEET_EV_HELLO, now);
			replaced += a.type == FLEET_DO_SPAWN;
		}
		if (turn == 100) {
			/* All except the busy one, which drains, are replaced. */
			assert_int_equal(replaced, 29);
			assert_int_equal(fleet_slot(f, busy)->state, FLEET_DRAINING);
			fleet_event(f, busy, FLEET_EV_FREE, now);
		}
	}
	assert_int_equal(replaced, 30);
	assert_int_equal(fleet_renewals(f), 0);
	assert_true(fleet_is_reached(f));
	fleet_free(f);
}

static void renewal_of_the_idle_hurries_no_run(void **state)
{
	struct fleet *f = fleet_of(1, 0);

	(void)state;
	fleet_event(f, 0, FLEET_EV_BUSY, 1);
	fleet_renew(f, 0, FLEET_RENEW_IDLE, 2);
	fleet_tick(f, 1000000);
	assert_int_equal(fleet_slot(f, 0)->state, FLEET_RUNNING);
	expect_none(f);
	fleet_event(f, 0, FLEET_EV_FREE, 1000001);
	fleet_tick(f, 1000001);
	expect(f, FLEET_DO_EXIT, 0);
	fleet_free(f);
}

static void a_held_slot_stays_down(void **state)
{
	struct fleet *f = fleet_of(3, 0);

	(void)state;
	fleet_event(f, 1, FLEET_EV_BUSY, 1);
	fleet_hold(f, 1, 2);
	expect(f, FLEET_DO_DRAIN, 1);
	assert_int_equal(fleet_slot(f, 1)->state, FLEET_DRAINING);
	fleet_event(f, 1, FLEET_EV_FREE, 3);
	expect(f, FLEET_DO_EXIT, 1);
	fleet_event(f, 1, FLEET_EV_EXIT, 4);
	expect_none(f);
	assert_true(fleet_is_reached(f));
	/* The same count is set again, as a new supervisor does: the slot is still held. */
	fleet_scale(f, 3, false, 5);
	expect_none(f);
	fleet_release(f, 1, 6);
	expect(f, FLEET_DO_SPAWN, 1);
	fleet_free(f);
}

static void the_last_wish_wins_over_a_renewal(void **state)
{
	struct fleet *f = fleet_of(2, 0);

	(void)state;
	fleet_event(f, 1, FLEET_EV_BUSY, 1);
	fleet_renew(f, 1, FLEET_RENEW_DRAIN, 2);
	fleet_tick(f, 2);
	assert_int_equal(fleet_slot(f, 1)->state, FLEET_DRAINING);
	/* The slot is unwanted and wanted again: it goes on with its run and is renewed later. */
	fleet_scale(f, 1, false, 3);
	fleet_scale(f, 2, false, 4);
	assert_int_equal(fleet_slot(f, 1)->state, FLEET_RUNNING);
	assert_int_equal(fleet_renewals(f), 1);
	fleet_tick(f, 5);
	assert_int_equal(fleet_slot(f, 1)->state, FLEET_DRAINING);
	/* The slot stays unwanted. */
	fleet_scale(f, 1, false, 6);
	fleet_event(f, 1, FLEET_EV_FREE, 7);
	expect(f, FLEET_DO_DRAIN, 1);
	expect(f, FLEET_DO_DRAIN, 1);
	expect(f, FLEET_DO_EXIT, 1);
	fleet_event(f, 1, FLEET_EV_EXIT, 8);
	expect_none(f);
	assert_int_equal(fleet_slot(f, 1)->state, FLEET_STOPPED);
	fleet_free(f);
}

/* A model of the keeper and the workers that carries actions out after a while, and in which
 * workers also die. */
enum { SLOTS = 10000, EVENTS = 3000000 };

static struct world {
	bool alive[SLOTS], busy[SLOTS], leaving[SLOTS];
	unsigned int desired;
} world;

static void scale(struct fleet *f, unsigned int count, bool now_too, int64_t now)
{
	world.desired = count;
	fleet_scale(f, count, now_too, now);
}

static void obey(struct fleet *f)
{
	struct fleet_action a;

	while (fleet_take(f, &a)) {
		assert_in_range(a.slot, 0, SLOTS - 1);
		if (a.type == FLEET_DO_SPAWN) {
			assert_false(world.alive[a.slot]); /* A slot never has two workers. */
			world.alive[a.slot] = true;
			world.busy[a.slot] = world.leaving[a.slot] = false;
		} else if (world.alive[a.slot] && a.type != FLEET_DO_DRAIN) {
			world.leaving[a.slot] = true;
		}
	}
}

/* The next step of a worker, by itself or because of an action. */
static void live(struct fleet *f, unsigned int slot, int dice, bool chaos, int64_t now)
{
	enum fleet_state st = fleet_slot(f, slot)->state;

	if (world.leaving[slot] ? !world.busy[slot] || dice < 30 : chaos && dice < 5) {
		world.alive[slot] = world.busy[slot] = false;
		fleet_event(f, slot, FLEET_EV_EXIT, now);
	} else if (st == FLEET_STARTING) {
		fleet_event(f, slot, FLEET_EV_HELLO, now);
	} else if (st == FLEET_IDLE && chaos && dice < 50) {
		world.busy[slot] = true;
		fleet_event(f, slot, FLEET_EV_BUSY, now);
	} else if (world.busy[slot] && dice < 60) {
		world.busy[slot] = false;
		fleet_event(f, slot, FLEET_EV_FREE, now);
	}
}

/* The steps of operators and dashboards. */
static void wish(struct fleet *f, unsigned int slot, unsigned int *seed, int64_t now)
{
	switch (rand_r(seed) % 1000) {
	case 0:
		scale(f, (unsigned int)rand_r(seed) % (SLOTS + 1), rand_r(seed) % 4 == 0, now);
		break;
	case 1:
		for (unsigned int i = slot; i < SLOTS && i < slot + 500; i++)
			fleet_renew(f, i, (enum fleet_renewal)(rand_r(seed) % 4), now);
		break;
	case 2: fleet_hold(f, slot, now); break;
	case 3: fleet_release(f, slot, now); break;
	case 4: fleet_event(f, slot, FLEET_EV_SILENT, now); break;
	default: break;
	}
}

static void check_invariants(const struct fleet *f)
{
	unsigned int counted[FLEET_STATE_COUNT] = {0}, waiting = 0;

	for (unsigned int i = 0; i < SLOTS; i++) {
		const struct fleet_slot *s = fleet_slot(f, i);
		bool empty = s->state == FLEET_STOPPED || s->state == FLEET_BACKOFF;

		counted[s->state]++;
		waiting += s->renew != FLEET_RENEW_NONE;
		assert_int_equal(world.alive[i], !empty);
		assert_false(s->wanted && s->state == FLEET_STOPPED);
		assert_false(s->wanted && (i >= world.desired || s->held));
		/* Each state that waits has a timer; without one it would wait for ever. */
		if (s->state == FLEET_STARTING || s->state == FLEET_BACKOFF ||
			s->state == FLEET_STOPPING || s->state == FLEET_DRAINING)
			assert_true(s->timer_ms > 0 && s->timer_ms >= fleet_deadline(f));
	}
	for (int i = 0; i < FLEET_STATE_COUNT; i++)
		assert_int_equal(counted[i], fleet_count(f, (enum fleet_state)i));
	assert_int_equal(waiting, fleet_renewals(f));
}

static void random_events(void **state)
{
	struct fleet_config c = config;
	unsigned int seed =
		getenv("SEED") ? (unsigned int)atoi(getenv("SEED")) : (unsigned int)time(NULL);
	unsigned int held = 0;
	struct fleet *f;
	int64_t now = 1;

	(void)state;
	print_message("seed %u (SEED=%u repeats it)\n", seed, seed);
	c.max_slots = SLOTS;
	c.seed = seed;
	f = fleet_new(&c);
	scale(f, SLOTS / 2, false, now);
	for (int i = 0; i < EVENTS; i++) {
		unsigned int slot = (unsigned int)rand_r(&seed) % SLOTS;

		if (world.alive[slot])
			live(f, slot, rand_r(&seed) % 100, true, now);
		wish(f, slot, &seed, now);
		obey(f);
		if (i % 500 == 0) {
			now += rand_r(&seed) % 2000;
			fleet_tick(f, now);
			obey(f);
		}
		if (i % 50000 == 0)
			check_invariants(f);
	}
	/* When nothing happens any more, exactly the wanted slots are up and none waits. */
	scale(f, SLOTS / 3, false, now);
	for (int round = 0;
		round < 2000 && !(fleet_is_reached(f) && !fleet_renewals(f) && round > 20);
		round++) {
		obey(f);
		for (unsigned int i = 0; i < SLOTS; i++) {
			if (world.alive[i])
				live(f, i, rand_r(&seed) % 100, false, now);
		}
		now += 1000;
		fleet_tick(f, now);
	}
	obey(f);
	check_invariants(f);
	assert_true(fleet_is_reached(f));
	assert_int_equal(fleet_renewals(f), 0);
	for (unsigned int i = 0; i < SLOTS; i++) {
		held += i < SLOTS / 3 && fleet_slot(f, i)->held;
		assert_int_equal(world.alive[i], i < SLOTS / 3 && !fleet_slot(f, i)->held);
	}
	assert_int_equal(fleet_running(f), SLOTS / 3 - held);
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
		cmocka_unit_test(a_restart_is_no_failure),
		cmocka_unit_test(a_rolling_restart_takes_turns),
		cmocka_unit_test(renewal_of_the_idle_hurries_no_run),
		cmocka_unit_test(a_held_slot_stays_down),
		cmocka_unit_test(the_last_wish_wins_over_a_renewal),
		cmocka_unit_test(random_events),
	};

	return cmocka_run_group_tests_name("fleet", tests, NULL, NULL);
}
