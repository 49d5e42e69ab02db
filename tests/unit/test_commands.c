/* SPDX-License-Identifier: MIT */
/* The dashboard's commands: each is carried out once, whatever is sent twice, refused for now,
 * or dies in between. */
#include "test.h"

#include <jansson.h>

#include "common/json.h"
#include "fake_loop.h"
#include "supervisor/commands.h"

/* --- neighbours ------------------------------------------------------------------------------ */

static struct {
	char *kept; /* ids that are stored */
	bool unreadable, busy;
	const char *forbidden;
	unsigned int ordered, agents, cancelled_all, cancelled, pauses, resumes;
	bool now, sync, dies;
	char kept_at_order[256];
} world;

enum found fleet_store_meta_get(
	struct fleet_store *s, const char *key, char **value, struct err *err)
{
	(void)s;
	if (world.unreadable)
		return err_code_set(err, ERR_CORRUPT, "malformed"), FOUND_ERROR;
	if (strcmp(key, "commands_done") != 0 || !world.kept)
		return NOT_FOUND;
	*value = x_strdup(world.kept);
	return FOUND;
}

void fleet_store_meta_set(struct fleet_store *s, const char *key, const char *value)
{
	(void)s;
	assert_string_equal(key, "commands_done");
	free(world.kept);
	world.kept = x_strdup(value);
}

void fleet_store_fail(struct fleet_store *s, const struct err *err)
{
	(void)s;
	(void)err;
}

static struct target *target;

const struct target *targets_find(const struct targets *t, const char *id)
{
	(void)t;
	return strcmp(id, "t1") != 0 ? NULL : target;
}

const char *agents_forbidden(const struct agents *a, const struct target *t)
{
	(void)a;
	(void)t;
	return world.forbidden;
}

json_t *orders_run(
	const struct orders_parts *parts, const struct order_request *rq, struct err *err)
{
	(void)parts;
	assert_true(rq->at_most);
	assert_string_equal(rq->who, "dashboard");
	if (world.busy) {
		err_code_set(err, ERR_BUSY, "no agent is idle");
		return NULL;
	}
	/* The id is queued for the store before the records of the runs. */
	rq->on_accepted(rq->arg);
	snprintf(world.kept_at_order, sizeof(world.kept_at_order), "%s",
		world.kept ? world.kept : "");
	world.ordered++;
	world.agents = rq->agents;
	world.sync = rq->sync;
	return json_pack("{}");
}

int agents_find_run(const struct agents *a, const char *run_id)
{
	(void)a;
	return strcmp(run_id, "r1") != 0 ? -1 : 2;
}

void agents_cancel(struct agents *a, unsigned int slot)
{
	(void)a;
	assert_int_equal(slot, 2);
	world.cancelled++;
}

void agents_cancel_all(struct agents *a)
{
	(void)a;
	world.cancelled_all++;
}

void desired_pause(struct desired *d, bool paused, bool now, const char *who)
{
	(void)d;
	assert_string_equal(who, "dashboard");
	world.pauses += paused;
	world.resumes += !paused;
	world.now = now;
}

/* --- one supervisor after the other -------------------------------------------------------- */

static struct kept *kept;
static struct commands *commands;

static void start(void)
{
	kept = kept_load(NULL);
	commands = commands_new(&(struct commands_parts){.kept = kept});
}

static void end(void)
{
	commands_free(commands);
	kept_free(kept);
}

static int set_up(void **state)
{
	(void)state;
	fake_loop_reset();
	memset(&world, 0, sizeof(world));
	target = target_new();
	start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end();
	free(world.kept);
	target_free(target);
	return 0;
}

/* The commands of a poll, as JSON with single quotes. */
static bool take(const char *text)
{
	_cleanup_free_ char *quoted = x_strdup(text);
	_cleanup_json_ json_t *list = NULL;

	for (char *p = quoted; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	list = json_loads(quoted, 0, NULL);
	assert_non_null(list);
	return commands_take(commands, list);
}

/* Whether exactly these ids wait to be acknowledged. */
static void expect_done(const char *text)
{
	_cleanup_json_ json_t *done = commands_done(commands);
	_cleanup_free_ char *have = json_compact(done);

	assert_string_equal(have, text);
}

#define RUN(id) "[{'id':'" id "','type':'run','targetId':'t1','agents':3,'sync':true}]"

/* --- tests --------------------------------------------------------------------------------- */

static void a_run_is_ordered_once(void **state)
{
	_cleanup_json_ json_t *heard = NULL;

	(void)state;
	assert_true(take(RUN("c1")));
	assert_int_equal(world.ordered, 1);
	assert_int_equal(world.agents, 3);
	assert_true(world.sync);
	assert_string_equal(world.kept_at_order, "[\"c1\"]");
	expect_done("[\"c1\"]");
	/* Sent again before the dashboard heard of it. */
	assert_false(take(RUN("c1")));
	assert_int_equal(world.ordered, 1);
	heard = json_pack("[s]", "c1");
	commands_acknowledged(commands, heard);
	expect_done("[]");
	/* And again after that: told once more, not done. */
	assert_true(take(RUN("c1")));
	assert_int_equal(world.ordered, 1);
	expect_done("[\"c1\"]");
}

static void a_supervisor_that_died_has_done_it(void **state)
{
	(void)state;
	take(RUN("c1"));
	end();
	start();
	/* Whether the dashboard has heard is not known: it is told again. */
	expect_done("[\"c1\"]");
	take(RUN("c1"));
	assert_int_equal(world.ordered, 1);
}

static void what_cannot_be_done_yet_is_tried_again(void **state)
{
	(void)state;
	world.busy = true;
	assert_false(take(RUN("c1")));
	expect_done("[]");
	assert_null(world.kept);
	assert_false(commands_retry(commands));
	world.busy = false;
	assert_true(commands_retry(commands));
	assert_int_equal(world.ordered, 1);
	assert_false(commands_retry(commands));
	assert_int_equal(world.ordered, 1);
	/* One that the dashboard lets expire is in no poll any more. */
	world.busy = true;
	take(RUN("c2"));
	take("[]");
	world.busy = false;
	assert_false(commands_retry(commands));
	assert_int_equal(world.ordered, 1);
}

static void what_can_never_be_done_is_done_with(void **state)
{
	static const char *const never[] = {
		"[{'id':'c1','type':'run','targetId':'nowhere'}]",
		"[{'id':'c2','type':'cancel','runId':'r9'}]",
		"[{'id':'c3','type':'dance'}]",
		"[{'id':'c4'}]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		assert_true(take(never[i]));
	world.forbidden = "not in allowed_hosts";
	assert_true(take(RUN("c5")));
	assert_int_equal(world.ordered, 0);
	expect_done("[\"c1\",\"c2\",\"c3\",\"c4\",\"c5\"]");
}

static void commands_without_an_id_are_left_out(void **state)
{
	(void)state;
	assert_false(take("[{'type':'run','targetId':'t1'}, 7, null, {'id':'','type':'pause'}]"));
	assert_false(take("{'id':'c1','type':'pause'}"));
	assert_int_equal(world.ordered + world.pauses, 0);
}

static void pause_resume_cancel(void **state)
{
	(void)state;
	take("[{'id':'c1','type':'pause'}]");
	assert_int_equal(world.pauses, 1);
	assert_int_equal(world.cancelled_all, 0);
	take("[{'id':'c2','type':'pause','now':true}]");
	assert_true(world.now);
	assert_int_equal(world.cancelled_all, 1);
	take("[{'id':'c3','type':'resume','now':true}]");
	assert_int_equal(world.resumes, 1);
	assert_int_equal(world.cancelled_all, 1);
	take("[{'id':'c4','type':'cancel','runId':'r1'}]");
	assert_int_equal(world.cancelled, 1);
}

static void numbers_of_agents_are_bounded(void **state)
{
	(void)state;
	take("[{'id':'c1','type':'run','targetId':'t1','agents':-5}]");
	assert_int_equal(world.agents, 1);
	take("[{'id':'c2','type':'run','targetId':'t1','agents':99999999999}]");
	assert_int_equal(world.agents, LIMIT_WORKERS);
	take("[{'id':'c3','type':'run','targetId':'t1'}]");
	assert_int_equal(world.agents, 1);
}

static void the_memory_is_bounded(void **state)
{
	_cleanup_json_ json_t *ids = NULL;

	(void)state;
	for (int i = 0; i < 1500; i++) {
		char text[64];

		snprintf(text, sizeof(text), "[{'id':'p%d','type':'pause'}]", i);
		take(text);
	}
	ids = json_loads(world.kept, 0, NULL);
	assert_int_equal(json_array_size(ids), 1000);
	assert_string_equal(json_string_value(json_array_get(ids, 0)), "p500");
}

static void ids_that_cannot_be_read_stop_what_brings_load(void **state)
{
	(void)state;
	take(RUN("c1"));
	end();
	world.unreadable = true;
	start();
	/* orders_run() refuses while the store fails; here it is busy. */
	world.busy = true;
	take(RUN("c1"));
	assert_int_equal(world.ordered, 1);
	/* It may have been carried out before a pause that cannot be read either. */
	take("[{'id':'c2','type':'resume'}]");
	assert_int_equal(world.resumes, 0);
	/* The kill switch works. */
	take("[{'id':'c3','type':'pause','now':true}]");
	assert_int_equal(world.pauses, 1);
	assert_int_equal(world.cancelled_all, 1);
	/* And nothing is written over the ids. */
	assert_string_equal(world.kept, "[\"c1\"]");
	end();
	world.unreadable = world.busy = false;
	start();
	take(RUN("c1"));
	assert_int_equal(world.ordered, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST_OF(a_run_is_ordered_once),
		TEST_OF(a_supervisor_that_died_has_done_it),
		TEST_OF(what_cannot_be_done_yet_is_tried_again),
		TEST_OF(what_can_never_be_done_is_done_with),
		TEST_OF(commands_without_an_id_are_left_out),
		TEST_OF(pause_resume_cancel),
		TEST_OF(numbers_of_agents_are_bounded),
		TEST_OF(the_memory_is_bounded),
		TEST_OF(ids_that_cannot_be_read_stop_what_brings_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
