/* SPDX-License-Identifier: MIT */
/* Runs by order: on as many agents as asked for, or on none; with a real schedule and agents of
 * the test's own. */
#include "test.h"

#include <jansson.h>

#include "common/json.h"
#include "fake_loop.h"
#include "supervisor/orders.h"

/* --- agents ---------------------------------------------------------------------------------- */

#define SLOTS 8

static struct {
	bool idle[SLOTS];
	struct order *given[SLOTS];
	unsigned int desired, accepted;
	int accepted_before_given;
	const char *obstacle, *forbidden;
} world;

bool agents_is_idle(const struct agents *a, unsigned int slot)
{
	(void)a;
	return world.idle[slot];
}

void agents_begin_order(struct agents *a, unsigned int slot, struct order *order, char id[UUID_MAX])
{
	(void)a;
	assert_true(world.idle[slot]);
	world.idle[slot] = false;
	world.given[slot] = order;
	order->refs++;
	snprintf(id, UUID_MAX, "run-%u", slot);
	if (!world.accepted)
		world.accepted_before_given = 0;
}

void agents_order_unref(struct order *order)
{
	if (!order || --order->refs)
		return;
	target_free(order->target);
	free(order);
}

const char *agents_forbidden(const struct agents *a, const struct target *t)
{
	(void)a;
	(void)t;
	return world.forbidden;
}

const char *agents_name(const struct agents *a, unsigned int slot)
{
	static char name[16];

	(void)a;
	snprintf(name, sizeof(name), "web-%u", slot);
	return name;
}

unsigned int desired_count(const struct desired *d)
{
	(void)d;
	return world.desired;
}

const char *obstacle_to_run(const struct obstacle_sources *from)
{
	(void)from;
	return world.obstacle;
}

char *targets_host(const struct target *t)
{
	return x_strdup(t->url ? "example.test" : t->id);
}

int64_t targets_cost(const struct targets *t, const struct target *target)
{
	(void)t;
	(void)target;
	return 100;
}

static void on_accepted(void *arg)
{
	assert_ptr_equal(arg, &world);
	world.accepted++;
}

/* --- the part under test ------------------------------------------------------------------- */

static struct schedule *schedule;
static struct target *target;
static struct err err;

static int set_up(void **state)
{
	(void)state;
	fake_loop_reset();
	memset(&world, 0, sizeof(world));
	world.desired = 5;
	world.accepted_before_given = 1;
	for (unsigned int i = 0; i < SLOTS; i++)
		world.idle[i] = true;
	schedule = schedule_new(SLOTS, SCHEDULE_SPREAD);
	schedule_set_agents(schedule, 5, fake_now_ms);
	target = target_new();
	free(target->id);
	target->id = x_strdup("t1");
	target->url = x_strdup("http://example.test/");
	target->vus = 2;
	target->duration_ms = 10000;
	err = (struct err){0};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SLOTS; i++)
		agents_order_unref(world.given[i]);
	schedule_free(schedule);
	target_free(target);
	return 0;
}

static json_t *run(struct order_request *rq)
{
	const struct orders_parts parts = {.schedule = schedule};

	rq->target = rq->target ? rq->target : target;
	rq->who = "test";
	rq->on_accepted = on_accepted;
	rq->arg = &world;
	return orders_run(&parts, rq, &err);
}

static unsigned int given(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SLOTS; i++)
		n += world.given[i] != NULL;
	return n;
}

/* --- tests --------------------------------------------------------------------------------- */

static void it_runs_on_the_lowest_idle_agents(void **state)
{
	_cleanup_json_ json_t *started = NULL;
	const json_t *runs;

	(void)state;
	world.idle[0] = world.idle[2] = false;
	started = run(&(struct order_request){.agents = 2});
	assert_non_null(started);
	assert_int_equal(world.accepted, 1);
	assert_int_equal(world.accepted_before_given, 1);
	assert_non_null(world.given[1]);
	assert_non_null(world.given[3]);
	assert_int_equal(given(), 2);
	runs = json_object_get(started, "runs");
	assert_string_equal(json_get_text(json_array_get(runs, 0), "id", ""), "run-1");
	assert_string_equal(json_get_text(json_array_get(runs, 1), "agent", ""), "web-3");
	assert_true(json_is_null(json_object_get(started, "startAt")));
	assert_int_equal(world.given[1]->start_wall_ms, 0);
	/* The target is a copy: the fleet's may go or change. */
	assert_ptr_not_equal(world.given[1]->target, target);
	assert_int_equal(world.given[1]->target->duration_ms, 10000);
}

static void all_or_none(void **state)
{
	static const struct {
		unsigned int idle, agents;
		bool at_most;
		unsigned int expected;
	} cases[] = {
		{5, 5, false, 5},
		{4, 5, false, 0},
		{0, 1, false, 0},
		{4, 5, true, 4},
		{1, 5, true, 1},
		{0, 5, true, 0},
		/* More idle agents than the desired count covers do not count. */
		{8, 6, false, 0},
		{8, 6, true, 5},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ json_t *started = NULL;

		for (unsigned int slot = 0; slot < SLOTS; slot++) {
			agents_order_unref(world.given[slot]);
			world.given[slot] = NULL;
			world.idle[slot] = slot < cases[i].idle;
		}
		world.accepted = 0;
		started = run(&(struct order_request){
			.agents = cases[i].agents, .at_most = cases[i].at_most});
		if (given() != cases[i].expected)
			fail_msg("case %zu: %u runs", i, given());
		assert_int_equal(world.accepted, cases[i].expected > 0);
		assert_int_equal(started != NULL, cases[i].expected > 0);
		if (!started)
			assert_int_equal(err.code, ERR_BUSY);
	}
}

static void limits_hold_for_orders_too(void **state)
{
	const struct schedule_limits limits = {.max_runs = 3, .max_per_host = 2};
	_cleanup_json_ json_t *started = NULL;

	(void)state;
	schedule_set_limits(schedule, &limits);
	assert_null(run(&(struct order_request){.agents = 3}));
	assert_non_null(strstr(err.msg, "the limits have room for 2 more runs"));
	assert_int_equal(err.code, ERR_BUSY);
	assert_int_equal(given(), 0);
	started = run(&(struct order_request){.agents = 3, .at_most = true});
	assert_int_equal(given(), 2);
}

static void an_obstacle_stops_it(void **state)
{
	(void)state;
	world.obstacle = "the fleet is paused";
	world.forbidden = "not in allowed_hosts";
	assert_null(run(&(struct order_request){.agents = 1}));
	assert_string_equal(err.msg, "the fleet is paused");
	assert_int_equal(err.code, ERR_BUSY);
	world.obstacle = NULL;
	assert_null(run(&(struct order_request){.agents = 1}));
	assert_string_equal(err.msg, "not in allowed_hosts");
	assert_int_equal(err.code, ERR_FORBIDDEN);
	assert_int_equal(given(), 0);
	assert_int_equal(world.accepted, 0);
}

static void vus_and_duration_are_for_this_order(void **state)
{
	_cleanup_json_ json_t *a = NULL, *b = NULL;

	(void)state;
	target->timeout_ms = 20000;
	a = run(&(struct order_request){.agents = 1, .vus = 7, .duration_ms = 60000});
	assert_int_equal(world.given[0]->target->vus, 7);
	assert_int_equal(world.given[0]->target->duration_ms, 60000);
	/* The timeout that fits the planned duration would cut a longer one. */
	assert_int_equal(world.given[0]->target->timeout_ms, 60000);
	assert_int_equal(target->vus, 2);
	/* A script takes them beside its own. */
	free(target->url);
	target->url = NULL;
	target->script = x_strdup("export default function () {}");
	b = run(&(struct order_request){.agents = 1, .vus = 7, .duration_ms = 5000});
	assert_int_equal(world.given[1]->vus, 7);
	assert_int_equal(world.given[1]->duration_ms, 5000);
	assert_int_equal(world.given[1]->target->duration_ms, 10000);
	assert_int_equal(world.given[1]->target->timeout_ms, 20000);
}

static void a_common_start_leaves_time_to_get_ready(void **state)
{
	_cleanup_json_ json_t *started = NULL;
	int64_t in_ms;

	(void)state;
	started = run(&(struct order_request){.agents = 5, .sync = true});
	in_ms = world.given[0]->start_wall_ms - (fake_now_ms + FAKE_WALL_MS);
	assert_in_range(in_ms, 2000, 10000);
	assert_ptr_equal(world.given[0], world.given[4]);
	assert_true(json_is_string(json_object_get(started, "startAt")));
}

static void a_script_of_the_operators_own(void **state)
{
	struct target *t = orders_make_target("smoke", "export default function () {}", &err);
	char label[400] = "";

	(void)state;
	assert_non_null(t);
	assert_string_equal(t->id, "script:smoke");
	assert_string_equal(t->label, "smoke");
	target_free(t);
	memset(label, 'x', sizeof(label) - 1);
	assert_null(orders_make_target(label, "export default function () {}", &err));
	assert_non_null(strstr(err.msg, "label"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST_OF(it_runs_on_the_lowest_idle_agents),
		TEST_OF(all_or_none),
		TEST_OF(limits_hold_for_orders_too),
		TEST_OF(an_obstacle_stops_it),
		TEST_OF(vus_and_duration_are_for_this_order),
		TEST_OF(a_common_start_leaves_time_to_get_ready),
		TEST_OF(a_script_of_the_operators_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
