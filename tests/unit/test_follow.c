/* SPDX-License-Identifier: MIT */
/* Clients that wait for runs: each gets one response, in the order of its ids, whatever the
 * store and the client do. */
#include "test.h"

#include <jansson.h>

#include "common/json.h"
#include "supervisor/follow.h"

/* --- agents: runs that go on ---------------------------------------------------------------- */

static const char *running[4];

int agents_find_run(const struct agents *a, const char *run_id)
{
	(void)a;
	for (int i = 0; i < (int)ARRAY_SIZE(running); i++) {
		if (running[i] && !strcmp(running[i], run_id))
			return i;
	}
	return -1;
}

json_t *agents_progress(const struct agents *a, const json_t *ids)
{
	json_t *list = json_array(), *id;
	size_t i;

	(void)a;
	json_array_foreach (ids, i, id) {
		if (agents_find_run(NULL, json_string_value(id)) >= 0)
			json_array_append_new(list, json_pack("{s:O}", "id", id));
	}
	return list;
}

/* --- the store: reads wait until the test lets them ---------------------------------------- */

#define READS_MAX 16

static struct {
	char id[16];
	fleet_store_result *done;
	void *arg;
} reads[READS_MAX];
static unsigned int read_count;
static bool at_once; /* as with a full queue: the callback comes from inside the call */

void fleet_store_get_run(struct fleet_store *s, const char *id, fleet_store_result *done, void *arg)
{
	struct err err;

	(void)s;
	if (at_once) {
		err_set(&err, "the queue is full");
		done(arg, NULL, &err);
		return;
	}
	assert_in_range(read_count, 0, READS_MAX - 1);
	snprintf(reads[read_count].id, sizeof(reads[0].id), "%s", id);
	reads[read_count].done = done;
	reads[read_count++].arg = arg;
}

/* Answers all reads in their order, as the store does. */
static void answer_reads(void)
{
	unsigned int n = read_count;

	read_count = 0;
	for (unsigned int i = 0; i < n; i++) {
		_cleanup_json_ json_t *record = strcmp(reads[i].id, "gone") != 0
			? json_pack("{s:s, s:s}", "id", reads[i].id, "status", "success")
			: json_null();

		reads[i].done(reads[i].arg, record, NULL);
	}
}

/* --- clients ---------------------------------------------------------------------------------- */

static struct {
	bool gone;
	unsigned int answers, progress;
	json_t *answer;
} clients[4];

bool control_is_open(struct control_ticket ticket)
{
	return !clients[ticket.client].gone;
}

void control_respond(struct control_ticket ticket, json_t *data)
{
	clients[ticket.client].answers++;
	json_decref(clients[ticket.client].answer);
	clients[ticket.client].answer = data;
}

void control_progress(struct control_ticket ticket, json_t *data)
{
	clients[ticket.client].progress++;
	json_decref(data);
}

static struct follow *follow;

static void ask(unsigned int client, json_t *ids)
{
	follow_runs(follow, (struct control_ticket){NULL, client}, ids);
	json_decref(ids);
}

static const char *answered(unsigned int client, size_t i, const char *key)
{
	return json_get_text(
		json_array_get(json_object_get(clients[client].answer, "runs"), i), key, "?");
}

static int set_up(void **state)
{
	(void)state;
	memset(running, 0, sizeof(running));
	memset(clients, 0, sizeof(clients));
	read_count = 0;
	at_once = false;
	follow = follow_new(NULL, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	follow_free(follow);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		json_decref(clients[i].answer);
	return 0;
}

/* --- tests --------------------------------------------------------------------------------- */

static void it_ends_once_when_all_have_ended(void **state)
{
	(void)state;
	running[0] = "a";
	running[1] = "b";
	ask(1, json_pack("[s, s]", "a", "b"));
	assert_int_equal(clients[1].answers, 0);
	follow_settle(follow);
	running[0] = NULL;
	follow_changed(follow);
	follow_settle(follow);
	assert_int_equal(read_count, 0);
	running[1] = NULL;
	follow_changed(follow);
	/* However often it is looked at: each record is read once. */
	follow_settle(follow);
	follow_changed(follow);
	follow_settle(follow);
	assert_int_equal(read_count, 2);
	answer_reads();
	assert_int_equal(clients[1].answers, 1);
	follow_changed(follow);
	follow_settle(follow);
	follow_tick(follow);
	assert_int_equal(read_count, 0);
	assert_int_equal(clients[1].answers, 1);
	assert_int_equal(clients[1].progress, 0);
}

static void nothing_is_read_while_nothing_changes(void **state)
{
	(void)state;
	running[0] = "a";
	ask(1, json_pack("[s]", "a"));
	follow_settle(follow);
	running[0] = NULL;
	follow_settle(follow);
	assert_int_equal(read_count, 0);
	follow_changed(follow);
	follow_settle(follow);
	assert_int_equal(read_count, 1);
	answer_reads();
}

static void records_are_in_the_order_of_the_ids(void **state)
{
	(void)state;
	/* "gone" has no record on this host. */
	ask(1, json_pack("[s, s, s]", "c", "gone", "a"));
	ask(2, json_pack("[s]", "b"));
	follow_settle(follow);
	answer_reads();
	assert_string_equal(answered(1, 0, "id"), "c");
	assert_string_equal(answered(1, 1, "id"), "gone");
	assert_string_equal(answered(1, 1, "status"), "unknown");
	assert_string_equal(answered(1, 2, "id"), "a");
	assert_string_equal(answered(2, 0, "id"), "b");
	assert_int_equal(clients[1].answers, 1);
	assert_int_equal(clients[2].answers, 1);
}

static void progress_comes_once_a_second_until_the_end(void **state)
{
	(void)state;
	running[0] = "a";
	ask(1, json_pack("[s]", "a"));
	follow_settle(follow);
	follow_tick(follow);
	follow_tick(follow);
	assert_int_equal(clients[1].progress, 2);
	running[0] = NULL;
	follow_changed(follow);
	follow_settle(follow);
	/* The records are on their way: nothing more to say before them. */
	follow_tick(follow);
	assert_int_equal(clients[1].progress, 2);
	answer_reads();
	assert_int_equal(clients[1].answers, 1);
}

static void a_client_that_leaves_costs_no_other_one(void **state)
{
	(void)state;
	running[0] = "a";
	running[1] = "b";
	ask(1, json_pack("[s]", "a"));
	ask(2, json_pack("[s]", "a"));
	ask(3, json_pack("[s]", "b"));
	follow_settle(follow);
	clients[2].gone = true;
	follow_tick(follow);
	assert_int_equal(clients[2].progress, 0);
	/* One that leaves while its records are read: the store still calls back. */
	running[0] = NULL;
	follow_changed(follow);
	follow_settle(follow);
	assert_int_equal(read_count, 1);
	clients[1].gone = true;
	follow_tick(follow);
	answer_reads();
	assert_int_equal(clients[1].answers, 1);
	running[1] = NULL;
	follow_changed(follow);
	follow_settle(follow);
	answer_reads();
	assert_int_equal(clients[3].answers, 1);
}

static void a_store_that_cannot_be_read_ends_it_too(void **state)
{
	(void)state;
	at_once = true;
	ask(1, json_pack("[s, s]", "a", "b"));
	assert_int_equal(clients[1].answers, 0);
	follow_settle(follow);
	assert_int_equal(clients[1].answers, 1);
	assert_string_equal(answered(1, 0, "id"), "a");
	assert_string_equal(answered(1, 1, "id"), "b");
	assert_string_equal(answered(1, 1, "errorMessage"), "the queue is full");
}

static void who_waits_at_the_end_is_forgotten(void **state)
{
	(void)state;
	running[0] = "a";
	ask(1, json_pack("[s]", "a"));
	ask(2, json_pack("[s]", "b"));
	follow_settle(follow);
	/* tear_down() frees; the address sanitizer sees what stays. */
	assert_int_equal(clients[1].answers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST_OF(it_ends_once_when_all_have_ended),
		TEST_OF(nothing_is_read_while_nothing_changes),
		TEST_OF(records_are_in_the_order_of_the_ids),
		TEST_OF(progress_comes_once_a_second_until_the_end),
		TEST_OF(a_client_that_leaves_costs_no_other_one),
		TEST_OF(a_store_that_cannot_be_read_ends_it_too),
		TEST_OF(who_waits_at_the_end_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
