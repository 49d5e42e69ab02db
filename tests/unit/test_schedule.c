/* SPDX-License-Identifier: MIT */
/* The schedule under simulated time: phases, no drift, waiting, missed, caps. */
#include "test.h"

#include "supervisor/schedule.h"

static void spread_instants(void **state)
{
	static const int64_t v[] = {0, 500, 250, 750, 125, 625, 375, 875};

	(void)state;
	for (unsigned int rank = 0; rank < ARRAY_SIZE(v); rank++) {
		assert_int_equal(schedule_instant(SCHEDULE_SPREAD, "t", rank, 10000, 1000, 10000),
			10000 + v[rank]);
		/* The first one at or after now, with the same phase for ever. */
		assert_int_equal(
			schedule_instant(SCHEDULE_SPREAD, "t", rank, 10000, 1000, 987654321) % 1000,
			v[rank]);
		assert_int_equal(
			schedule_instant(SCHEDULE_ALIGNED, "t", rank, 10000, 1000, 10001), 11000);
	}
	/* Random: the same for the same agent and target, else different. */
	assert_int_equal(schedule_instant(SCHEDULE_RANDOM, "t", 3, 0, 100000, 0),
		schedule_instant(SCHEDULE_RANDOM, "t", 3, 0, 100000, 0));
	assert_int_not_equal(schedule_instant(SCHEDULE_RANDOM, "t", 3, 0, 100000, 0),
		schedule_instant(SCHEDULE_RANDOM, "u", 3, 0, 100000, 0));
}

/* Runs until `end`, every run taking run_ms; counts[slot] and the last due are filled. */
static void simulate(struct schedule *s, int64_t from, int64_t end, int64_t run_ms,
	unsigned int agents, unsigned int *counts, int64_t phase_mod, const int64_t *phase)
{
	int64_t free_at[64] = {0};
	struct schedule_due due;

	for (int64_t now = from; now < end; now++) {
		for (unsigned int i = 0; i < agents; i++) {
			if (free_at[i] && free_at[i] == now) {
				free_at[i] = 0;
				schedule_set_idle(s, i, true);
			}
		}
		while (schedule_next(s, now, &due)) {
			counts[due.slot]++;
			assert_true(due.due_ms <= now);
			if (phase)
				assert_int_equal(due.due_ms % phase_mod, phase[due.slot]);
			assert_int_equal(free_at[due.slot], 0);
			free_at[due.slot] = now + run_ms;
		}
	}
}

static void no_drift_over_many_intervals(void **state)
{
	static const int64_t phase[] = {0, 500, 250};
	struct schedule *s = schedule_new(64, SCHEDULE_SPREAD);
	unsigned int counts[64] = {0};

	(void)state;
	schedule_set_agents(s, 3, 0);
	schedule_put(s, "t", 0, 1000, 0, false, 0);
	for (unsigned int i = 0; i < 3; i++)
		schedule_set_idle(s, i, true);
	simulate(s, 0, 200000, 300, 3, counts, 1000, phase);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(counts[i], 200);
	assert_int_equal(schedule_missed(s, "t"), 0);
	schedule_free(s);
}

static void overrunning_runs_miss_and_do_not_queue(void **state)
{
	struct schedule *s = schedule_new(64, SCHEDULE_ALIGNED);
	unsigned int counts[64] = {0};

	(void)state;
	schedule_set_agents(s, 1, 0);
	schedule_put(s, "t", 0, 1000, 0, false, 0);
	schedule_set_idle(s, 0, true);
	/* 2.5 s of work every second: 0, 2500, 5000 ...: two instants are passed in each run, one of
	 * them waits and is run late, the other is missed. */
	simulate(s, 0, 100000, 2500, 1, counts, 1000, NULL);
	assert_int_equal(counts[0], 40);
	assert_in_range(schedule_missed(s, "t"), 57, 61);
	schedule_free(s);
}

static void a_new_agent_moves_nobody(void **state)
{
	struct schedule *s = schedule_new(64, SCHEDULE_SPREAD);

	(void)state;
	schedule_set_agents(s, 1, 0);
	schedule_put(s, "t", 0, 1000, 0, false, 0);
	assert_int_equal(schedule_next_due(s, "t"), 0);
	schedule_set_agents(s, 2, 100);
	assert_int_equal(schedule_deadline(s), 0);
	schedule_set_agents(s, 4, 100);
	assert_int_equal(schedule_next_due(s, "t"), 0);
	schedule_put(s, "t", 0, 1000, 0, false, 100); /* unchanged: nothing moves */
	assert_int_equal(schedule_next_due(s, "t"), 0);
	schedule_put(s, "t", 0, 2000, 0, false, 100);
	/* Ranks 0..3 of an interval of 2 s: the next after 100 is rank 2's, at 500. */
	assert_int_equal(schedule_next_due(s, "t"), 500);
	schedule_remove(s, "t");
	assert_int_equal(schedule_deadline(s), INT64_MAX);
	schedule_free(s);
}

static void capped_targets_run_on_that_many(void **state)
{
	struct schedule *s = schedule_new(64, SCHEDULE_SPREAD);
	unsigned int a[64] = {0}, used = 0, total = 0;

	(void)state;
	schedule_set_agents(s, 10, 0);
	schedule_put(s, "capped", 0, 1000, 3, false, 0);
	for (unsigned int i = 0; i < 10; i++)
		schedule_set_idle(s, i, true);
	simulate(s, 0, 10000, 100, 10, a, 1000, NULL);
	for (unsigned int i = 0; i < 10; i++) {
		used += a[i] > 0;
		total += a[i];
	}
	assert_int_equal(used, 3);
	assert_int_equal(total, 30);
	schedule_free(s);
}

static void a_fresh_target_starts_at_once(void **state)
{
	struct schedule *s = schedule_new(4, SCHEDULE_SPREAD);
	struct schedule_due due;

	(void)state;
	/* Known before there are agents, and handed in a moment after its origin. */
	schedule_put(s, "t", 1000, 3600000, 0, true, 1003);
	schedule_set_agents(s, 2, 1040);
	schedule_set_idle(s, 0, true);
	assert_true(schedule_next(s, 1050, &due));
	assert_int_equal(due.due_ms, 1000);
	assert_int_equal(schedule_next_due(s, "t"), 1000 + 1800000);
	assert_int_equal(schedule_missed(s, "t"), 0);
	/* One that was known before does not: somebody has run that instant already. */
	schedule_put(s, "u", 1000, 3600000, 0, false, 1003);
	schedule_set_idle(s, 0, true);
	assert_false(schedule_next(s, 1060, &due));
	/* Nor does an agent that comes an hour later run the hour that it was not there. */
	schedule_set_agents(s, 3, 3000000);
	assert_false(schedule_next(s, 1061, &due));
	schedule_free(s);
}

static void after_a_long_sleep(void **state)
{
	struct schedule *s = schedule_new(4, SCHEDULE_ALIGNED);
	struct schedule_due due;

	(void)state;
	schedule_set_agents(s, 1, 0);
	schedule_put(s, "t", 0, 1000, 0, false, 0);
	schedule_set_idle(s, 0, true);
	/* The host was suspended for a day: one run, not 86,400. */
	assert_true(schedule_next(s, 86400500, &due));
	assert_int_equal(due.due_ms, 86400000);
	schedule_set_idle(s, 0, true);
	assert_false(schedule_next(s, 86400600, &due));
	assert_int_equal(schedule_missed(s, "t"), 86400);
	schedule_free(s);
}

static void several_targets_share_an_agent(void **state)
{
	struct schedule *s = schedule_new(4, SCHEDULE_ALIGNED);
	struct schedule_due due;

	(void)state;
	schedule_set_agents(s, 1, 0);
	schedule_put(s, "a", 0, 10000, 0, false, 0);
	schedule_put(s, "b", 1, 10000, 0, false, 0);
	schedule_set_idle(s, 0, true);
	assert_true(schedule_next(s, 5, &due));
	assert_string_equal(due.target_id, "a");
	assert_false(schedule_next(s, 6, &due));
	schedule_set_idle(s, 0, true);
	assert_true(schedule_next(s, 700, &due));
	assert_string_equal(due.target_id, "b");
	assert_int_equal(due.due_ms, 1);
	schedule_set_idle(s, 0, true);
	assert_false(schedule_next(s, 800, &due));
	assert_int_equal(schedule_deadline(s), 10000);
	schedule_free(s);
}

static void pausing_is_not_catching_up(void **state)
{
	struct schedule *s = schedule_new(4, SCHEDULE_ALIGNED);
	struct schedule_due due;

	(void)state;
	schedule_set_agents(s, 1, 0);
	schedule_put(s, "t", 0, 1000, 0, false, 0);
	schedule_set_idle(s, 0, true);
	assert_true(schedule_next(s, 0, &due));
	schedule_set_idle(s, 0, true);
	schedule_set_paused(s, true);
	/* Three instants go by; the loop is woken for each and sleeps on. */
	for (int64_t now = 1000; now <= 3000; now += 1000) {
		assert_false(schedule_next(s, now, &due));
		assert_int_equal(schedule_deadline(s), now + 1000);
	}
	schedule_set_paused(s, false);
	assert_int_equal(schedule_missed(s, "t"), 3);
	assert_false(schedule_next(s, 3500, &due));
	assert_true(schedule_next(s, 4000, &due));
	assert_int_equal(due.due_ms, 4000);
	assert_int_equal(schedule_missed(s, "t"), 3);
	schedule_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spread_instants),
		cmocka_unit_test(no_drift_over_many_intervals),
		cmocka_unit_test(overrunning_runs_miss_and_do_not_queue),
		cmocka_unit_test(a_new_agent_moves_nobody),
		cmocka_unit_test(capped_targets_run_on_that_many),
		cmocka_unit_test(a_fresh_target_starts_at_once),
		cmocka_unit_test(after_a_long_sleep),
		cmocka_unit_test(several_targets_share_an_agent),
		cmocka_unit_test(pausing_is_not_catching_up),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
