/* SPDX-License-Identifier: MIT */
/* The schedule in simulated time: phases, no drift, waiting, missed runs, max_agents. */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "supervisor/schedule.h"

static void put(struct schedule *s, const char *id, int64_t origin, int64_t interval,
	unsigned int max_agents, bool fresh, int64_t now)
{
	schedule_put(s, &(struct schedule_plan){id, origin, interval, max_agents, fresh}, now);
}

static void spread_instants(void **state)
{
	static const int64_t v[] = {0, 500, 250, 750, 125, 625, 375, 875};

	(void)state;
	for (unsigned int rank = 0; rank < ARRAY_SIZE(v); rank++) {
		assert_int_equal(schedule_instant(SCHEDULE_SPREAD, "t", rank, 10000, 1000, 10000),
			10000 + v[rank]);
		/* Returns the first instant at or after now; the phase never changes. */
		assert_int_equal(
			schedule_instant(SCHEDULE_SPREAD, "t", rank, 10000, 1000, 987654321) % 1000,
			v[rank]);
		assert_int_equal(
			schedule_instant(SCHEDULE_ALIGNED, "t", rank, 10000, 1000, 10001), 11000);
	}
	/* With phase random the instant depends on agent and target only. */
	assert_int_equal(schedule_instant(SCHEDULE_RANDOM, "t", 3, 0, 100000, 0),
		schedule_instant(SCHEDULE_RANDOM, "t", 3, 0, 100000, 0));
	assert_int_not_equal(schedule_instant(SCHEDULE_RANDOM, "t", 3, 0, 100000, 0),
		schedule_instant(SCHEDULE_RANDOM, "u", 3, 0, 100000, 0));
}

/* Simulates until `end`; every run takes run_ms. Fills counts[slot] and the last due instant. */
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
	put(s, "t", 0, 1000, 0, false, 0);
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
	put(s, "t", 0, 1000, 0, false, 0);
	schedule_set_idle(s, 0, true);
	/* A run of 2.5 s every second starts at 0, 2500, 5000 ...: two instants pass during each
	 * run; one of them waits and runs late, the other is missed. */
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
	put(s, "t", 0, 1000, 0, false, 0);
	assert_int_equal(schedule_next_due(s, "t"), 0);
	schedule_set_agents(s, 2, 100);
	assert_int_equal(schedule_deadline(s), 0);
	schedule_set_agents(s, 4, 100);
	assert_int_equal(schedule_next_due(s, "t"), 0);
	put(s, "t", 0, 1000, 0, false, 100); /* Unchanged: no instant moves. */
	assert_int_equal(schedule_next_due(s, "t"), 0);
	put(s, "t", 0, 2000, 0, false, 100);
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
	put(s, "capped", 0, 1000, 3, false, 0);
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
	/* The target is known before there are agents, and is added a moment after its origin. */
	put(s, "t", 1000, 3600000, 0, true, 1003);
	schedule_set_agents(s, 2, 1040);
	schedule_set_idle(s, 0, true);
	assert_true(schedule_next(s, 1050, &due));
	assert_int_equal(due.due_ms, 1000);
	assert_int_equal(schedule_next_due(s, "t"), 1000 + 1800000);
	assert_int_equal(schedule_missed(s, "t"), 0);
	/* A target that was known before does not run at once: an earlier supervisor has run this
	 * instant. */
	put(s, "u", 1000, 3600000, 0, false, 1003);
	schedule_set_idle(s, 0, true);
	assert_false(schedule_next(s, 1060, &due));
	/* An agent that comes an hour later does not run the instants of that hour. */
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
	put(s, "t", 0, 1000, 0, false, 0);
	schedule_set_idle(s, 0, true);
	/* The host was suspended for a day: one run starts, not 86,400. */
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
	put(s, "a", 0, 10000, 0, false, 0);
	put(s, "b", 1, 10000, 0, false, 0);
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
	put(s, "t", 0, 1000, 0, false, 0);
	schedule_set_idle(s, 0, true);
	assert_true(schedule_next(s, 0, &due));
	schedule_set_idle(s, 0, true);
	schedule_set_paused(s, true);
	/* Three instants pass; the loop wakes for each and sleeps again. */
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

/* --- limits ---------------------------------------------------------------- */

static void all_idle(struct schedule *s, unsigned int agents)
{
	for (unsigned int i = 0; i < agents; i++)
		schedule_set_idle(s, i, true);
}

static void finish(struct schedule *s, unsigned int slot)
{
	schedule_end(s, slot);
	schedule_set_idle(s, slot, true);
}

static void short_places_go_round(void **state)
{
	struct schedule *s = schedule_new(16, SCHEDULE_ALIGNED);
	unsigned int counts[10] = {0};
	struct schedule_due due;

	(void)state;
	schedule_set_limits(s, &(struct schedule_limits){.max_runs = 2});
	schedule_set_agents(s, 10, 0);
	put(s, "t", 0, 1000, 0, false, 0);
	all_idle(s, 10);
	/* Ten runs are due each second and two may start: no agent starves. */
	for (int64_t now = 0; now < 50000; now += 1000) {
		unsigned int took[2];

		for (int i = 0; i < 2; i++) {
			assert_true(schedule_next(s, now, &due));
			took[i] = due.slot;
			counts[due.slot]++;
			assert_int_equal(due.due_ms, now);
		}
		assert_false(schedule_next(s, now, &due));
		assert_int_equal(schedule_load(s).block, SCHEDULE_BY_RUNS);
		assert_int_equal(schedule_load(s).queued, 8);
		finish(s, took[0]);
		finish(s, took[1]);
		/* The two free places go to other agents, whose runs end before the next second. */
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(counts[i], 9, 11);
	assert_int_equal(schedule_missed(s, "t"), 49 * 8);
	schedule_free(s);
}

static void one_full_host_does_not_hold_up_others(void **state)
{
	struct schedule *s = schedule_new(16, SCHEDULE_ALIGNED);
	struct schedule_due due;

	(void)state;
	schedule_set_limits(s, &(struct schedule_limits){.max_per_host = 1});
	schedule_set_agents(s, 4, 0);
	put(s, "a", 0, 60000, 0, false, 0);
	put(s, "b", 1, 60000, 0, false, 0);
	put(s, "c", 2, 60000, 0, false, 0);
	schedule_set_load(s, "a", "one.test", 0);
	schedule_set_load(s, "b", "one.test", 0);
	schedule_set_load(s, "c", "two.test", 0);
	all_idle(s, 4);
	assert_true(schedule_next(s, 10, &due));
	assert_string_equal(due.target_id, "a");
	assert_int_equal(schedule_room(s, "one.test", 1), 0);
	assert_int_equal(schedule_room(s, "two.test", 1), 1);
	assert_true(schedule_next(s, 10, &due));
	assert_string_equal(due.target_id, "c");
	assert_false(schedule_next(s, 10, &due));
	assert_int_equal(schedule_load(s).block, SCHEDULE_BY_HOST);
	finish(s, 0);
	assert_true(schedule_next(s, 11, &due));
	assert_string_equal(due.target_id, "a");
	/* A run by order counts, too. */
	finish(s, due.slot);
	schedule_begin(s, 9, "one.test", 0);
	assert_false(schedule_next(s, 12, &due));
	schedule_end(s, 9);
	assert_true(schedule_next(s, 12, &due));
	schedule_free(s);
}

static void memory_is_shared_out_in_order(void **state)
{
	struct schedule *s = schedule_new(64, SCHEDULE_ALIGNED);
	struct schedule_due due;
	unsigned int n = 0;

	(void)state;
	schedule_set_limits(s, &(struct schedule_limits){.budget_bytes = 200});
	schedule_set_agents(s, 40, 0);
	put(s, "t", 0, 60000, 0, false, 0);
	schedule_set_load(s, "t", "h", 48);
	all_idle(s, 40);
	while (schedule_next(s, 0, &due))
		n++;
	assert_int_equal(n, 4);
	assert_int_equal(schedule_load(s).block, SCHEDULE_BY_MEMORY);
	assert_int_equal(schedule_load(s).used_bytes, 192);
	/* A run uses more memory than expected: then one run less may start. */
	schedule_set_use(s, 0, 100);
	assert_int_equal(schedule_load(s).used_bytes, 244);
	finish(s, 1);
	assert_false(schedule_next(s, 1, &due));
	finish(s, 0);
	assert_true(schedule_next(s, 1, &due));
	assert_true(schedule_next(s, 1, &due));
	assert_false(schedule_next(s, 1, &due));
	/* A run that needs more than the whole budget runs alone. */
	schedule_set_load(s, "t", "h", 500);
	for (unsigned int i = 0; i < 40; i++)
		schedule_end(s, i);
	assert_int_equal(schedule_room(s, "h", 500), 1);
	assert_true(schedule_next(s, 2, &due));
	assert_false(schedule_next(s, 2, &due));
	assert_int_equal(schedule_load(s).active, 1);
	schedule_free(s);
}

/* --- against a model ------------------------------------------------------- */

/* A plain model of the same rules: it looks at every pair of target and agent in each millisecond,
 * and shares no code with the schedule. */
enum { MODEL_AGENTS = 7, MODEL_TARGETS = 5 };

struct model {
	struct {
		bool on;
		int64_t origin, interval, cost;
		int host;
	} targets[MODEL_TARGETS];
	struct {
		bool waits;
		int64_t waiting, since;
	} pairs[MODEL_TARGETS][MODEL_AGENTS];
	struct {
		bool runs;
		int64_t until, cost;
		int host;
	} agents[MODEL_AGENTS];
	struct schedule_limits limits;
	uint64_t missed;
};

/* The fractions of van der Corput's sequence, written out. */
static const double fractions[MODEL_AGENTS] = {0, 1. / 2, 1. / 4, 3. / 4, 1. / 8, 5. / 8, 3. / 8};

static void model_instants(struct model *m, int64_t now)
{
	for (int t = 0; t < MODEL_TARGETS; t++) {
		for (int a = 0; a < MODEL_AGENTS; a++) {
			int64_t first = m->targets[t].origin +
				(int64_t)(fractions[a] * (double)m->targets[t].interval);

			if (!m->targets[t].on || now < first ||
				(now - first) % m->targets[t].interval)
				continue;
			if (m->pairs[t][a].waits)
				m->missed++;
			else
				m->pairs[t][a].since = now;
			m->pairs[t][a].waits = true;
			m->pairs[t][a].waiting = now;
		}
	}
}

static bool model_next(struct model *m, int *target, int *agent)
{
	unsigned int active = 0, on_host[MODEL_TARGETS] = {0};
	int64_t used = 0, best = INT64_MAX;

	for (int a = 0; a < MODEL_AGENTS; a++) {
		if (!m->agents[a].runs)
			continue;
		active++;
		on_host[m->agents[a].host]++;
		used += m->agents[a].cost;
	}
	*target = -1;
	for (int a = 0; a < MODEL_AGENTS; a++) {
		for (int t = 0; t < MODEL_TARGETS; t++) {
			if (m->agents[a].runs || !m->pairs[t][a].waits ||
				m->pairs[t][a].since >= best)
				continue;
			if (m->limits.max_per_host &&
				on_host[m->targets[t].host] >= m->limits.max_per_host)
				continue;
			best = m->pairs[t][a].since;
			*target = t;
			*agent = a;
		}
	}
	if (*target < 0 || (m->limits.max_runs && active >= m->limits.max_runs))
		return false;
	return !m->limits.budget_bytes || !active ||
		used + m->targets[*target].cost <= m->limits.budget_bytes;
}

static void as_an_independent_model_says(void **state)
{
	static const char *const names[MODEL_TARGETS] = {"a", "b", "c", "d", "e"};
	static const char *const hosts[MODEL_TARGETS] = {"h0", "h1", "h2", "h3", "h4"};
	const char *given = getenv("SCHEDULE_SEED");
	unsigned int seed = given ? (unsigned int)atoi(given) : (unsigned int)time(NULL);
	uint64_t runs = 0;

	(void)state;
	print_message("SCHEDULE_SEED=%u\n", seed);
	srandom(seed);
	for (int round = 0; round < 60; round++) {
		struct schedule *s = schedule_new(16, SCHEDULE_SPREAD);
		struct model m = {0};
		struct schedule_due due;
		int t, a;

		m.limits = (struct schedule_limits){.max_runs = (unsigned int)(random() % 5),
			.max_per_host = (unsigned int)(random() % 4),
			.budget_bytes = random() % 3 ? 50 + random() % 200 : 0};
		schedule_set_limits(s, &m.limits);
		schedule_set_agents(s, MODEL_AGENTS, 0);
		all_idle(s, MODEL_AGENTS);
		for (t = 0; t < MODEL_TARGETS; t++) {
			m.targets[t].on = true;
			/* The origins are distinct, so that no two pairs have waited equally
			 * long. */
			m.targets[t].origin = 1 + t;
			m.targets[t].interval = 40 * (8 + random() % 12);
			m.targets[t].cost = 10 + random() % 90;
			m.targets[t].host = (int)(random() % 3);
			put(s, names[t], m.targets[t].origin, m.targets[t].interval, 0, false, 0);
			schedule_set_load(s, names[t], hosts[m.targets[t].host], m.targets[t].cost);
		}
		for (int64_t now = 0; now < 8000; now++) {
			for (a = 0; a < MODEL_AGENTS; a++) {
				if (m.agents[a].runs && m.agents[a].until == now) {
					m.agents[a].runs = false;
					finish(s, (unsigned int)a);
				}
			}
			model_instants(&m, now);
			while (model_next(&m, &t, &a)) {
				assert_true(schedule_next(s, now, &due));
				assert_string_equal(due.target_id, names[t]);
				assert_int_equal(due.slot, a);
				assert_int_equal(due.due_ms, m.pairs[t][a].waiting);
				m.pairs[t][a].waits = false;
				m.agents[a].runs = true;
				m.agents[a].cost = m.targets[t].cost;
				m.agents[a].host = m.targets[t].host;
				m.agents[a].until = now + 1 + random() % 700;
				runs++;
			}
			assert_false(schedule_next(s, now, &due));
		}
		assert_int_equal(schedule_missed_total(s), m.missed);
		schedule_free(s);
	}
	print_message("%llu runs\n", (unsigned long long)runs);
	assert_true(runs > 2000);
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
		cmocka_unit_test(short_places_go_round),
		cmocka_unit_test(one_full_host_does_not_hold_up_others),
		cmocka_unit_test(memory_is_shared_out_in_order),
		cmocka_unit_test(as_an_independent_model_says),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
