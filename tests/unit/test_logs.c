/* SPDX-License-Identifier: MIT */
/* Clients that read the output of k6: with workers that answer what the test says, and clients
 * that may be slow. */
#include "test.h"

#include <jansson.h>

#include "common/json.h"
#include "fake_loop.h"
#include "supervisor/logs.h"

/* --- workers -------------------------------------------------------------------------------- */

#define SLOTS 4

static struct {
	bool there;
	enum msg_log asked; /* last */
	unsigned int times;
} workers[SLOTS];

bool agents_ask_log(struct agents *a, unsigned int slot, enum msg_log what)
{
	(void)a;
	if (slot >= SLOTS || !workers[slot].there)
		return false;
	workers[slot].asked = what;
	workers[slot].times++;
	return true;
}

const char *agents_name(const struct agents *a, unsigned int slot)
{
	static const char *const names[SLOTS] = {"web-0", "web-1", "web-2", "web-3"};

	(void)a;
	return names[slot];
}

/* --- clients --------------------------------------------------------------------------------- */

static struct {
	bool gone, behind;
	unsigned int answers, pieces;
	json_t *answer;
	char last[4096];
	size_t bytes;
} clients[4];

bool control_is_open(struct control_ticket ticket)
{
	return !clients[ticket.client].gone;
}

bool control_is_behind(struct control_ticket ticket)
{
	return clients[ticket.client].gone || clients[ticket.client].behind;
}

void control_respond(struct control_ticket ticket, json_t *data)
{
	clients[ticket.client].answers++;
	json_decref(clients[ticket.client].answer);
	clients[ticket.client].answer = data;
}

void control_progress(struct control_ticket ticket, json_t *data)
{
	const char *text = json_get_text(data, "text", "?");

	clients[ticket.client].pieces++;
	clients[ticket.client].bytes += strlen(text);
	snprintf(clients[ticket.client].last, sizeof(clients[0].last), "%s", text);
	json_decref(data);
}

static struct logs *logs;

static void watch(unsigned int client, bool follow, unsigned int count)
{
	const unsigned int slots[SLOTS] = {0, 1, 2, 3};

	logs_watch(logs, (struct control_ticket){NULL, client}, slots, count, follow);
}

static void say(unsigned int slot, bool first, const char *text)
{
	logs_take(logs, slot, "run", first, text, strlen(text));
}

static int set_up(void **state)
{
	(void)state;
	fake_loop_reset();
	memset(workers, 0, sizeof(workers));
	memset(clients, 0, sizeof(clients));
	for (int i = 0; i < SLOTS; i++)
		workers[i].there = true;
	logs = logs_new(NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	logs_free(logs);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		json_decref(clients[i].answer);
	return 0;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_look_ends_when_all_have_answered(void **state)
{
	const json_t *pieces;

	(void)state;
	watch(1, false, 2);
	assert_int_equal(workers[0].asked, MSG_LOG_ONCE);
	assert_int_equal(workers[2].times, 0);
	say(0, true, "one\n");
	/* What comes later is of somebody who follows. */
	say(0, false, "later\n");
	say(3, true, "not asked for\n");
	assert_int_equal(clients[1].answers, 0);
	say(1, true, "");
	assert_int_equal(clients[1].answers, 1);
	pieces = json_object_get(clients[1].answer, "logs");
	assert_int_equal(json_array_size(pieces), 2);
	assert_string_equal(json_get_text(json_array_get(pieces, 0), "agent", ""), "web-0");
	assert_string_equal(json_get_text(json_array_get(pieces, 0), "text", ""), "one\n");
	say(0, true, "again\n");
	assert_int_equal(clients[1].answers, 1);
}

static void without_workers_it_ends_at_once(void **state)
{
	(void)state;
	workers[0].there = workers[1].there = false;
	watch(1, false, 2);
	assert_int_equal(clients[1].answers, 1);
	assert_int_equal(json_array_size(json_object_get(clients[1].answer, "logs")), 0);
}

static void a_silent_worker_is_not_waited_for(void **state)
{
	(void)state;
	watch(1, false, 2);
	say(0, true, "one\n");
	fake_advance(3000);
	logs_tick(logs);
	assert_int_equal(clients[1].answers, 0);
	fake_advance(1);
	logs_tick(logs);
	assert_int_equal(clients[1].answers, 1);
	assert_int_equal(json_array_size(json_object_get(clients[1].answer, "logs")), 1);
	/* Its late answer finds nobody. */
	say(1, true, "late\n");
}

static void who_follows_gets_each_piece_until_it_leaves(void **state)
{
	(void)state;
	watch(1, true, 1);
	assert_int_equal(workers[0].asked, MSG_LOG_FOLLOW);
	/* Not before what there was: that would be out of order. */
	say(0, false, "from an earlier follower\n");
	assert_int_equal(clients[1].pieces, 0);
	say(0, true, "old\n");
	say(0, false, "new\n");
	say(0, false, "");
	assert_int_equal(clients[1].pieces, 2);
	assert_string_equal(clients[1].last, "new\n");
	/* A look of somebody else does not end it. */
	watch(2, false, 1);
	assert_int_equal(workers[0].asked, MSG_LOG_FOLLOW);
	say(0, true, "old\nnew\n");
	assert_int_equal(clients[2].answers, 1);
	assert_int_equal(clients[1].pieces, 2);
	fake_advance(60000);
	logs_tick(logs);
	assert_int_equal(clients[1].answers, 0);
	clients[1].gone = true;
	logs_tick(logs);
	assert_int_equal(workers[0].asked, MSG_LOG_STOP);
}

static void the_last_follower_stops_it(void **state)
{
	(void)state;
	watch(1, true, 2);
	watch(2, true, 1);
	clients[1].gone = true;
	logs_tick(logs);
	assert_int_equal(workers[0].asked, MSG_LOG_FOLLOW);
	assert_int_equal(workers[1].asked, MSG_LOG_STOP);
	clients[2].gone = true;
	logs_tick(logs);
	assert_int_equal(workers[0].asked, MSG_LOG_STOP);
}

static void a_new_worker_is_asked_again(void **state)
{
	(void)state;
	workers[0].there = false;
	watch(1, true, 1);
	assert_int_equal(workers[0].times, 0);
	workers[0].there = true;
	logs_worker_came(logs, 0);
	assert_int_equal(workers[0].asked, MSG_LOG_FOLLOW);
	say(0, true, "a\n");
	say(0, false, "b\n");
	logs_worker_came(logs, 0);
	assert_int_equal(workers[0].times, 2);
	say(0, true, "c\n");
	assert_int_equal(clients[1].pieces, 3);
	/* Nobody follows this one. */
	logs_worker_came(logs, 1);
	assert_int_equal(workers[1].times, 0);
}

static void a_slow_reader_misses_pieces_and_is_told(void **state)
{
	static char block[65536 + 1];
	size_t before;

	(void)state;
	memset(block, 'x', sizeof(block) - 1);
	watch(1, true, 1);
	say(0, true, "begin\n");
	clients[1].behind = true;
	before = clients[1].bytes;
	/* 64 MiB of output, of which nothing is kept. */
	for (int i = 0; i < 1024; i++)
		say(0, false, block);
	assert_int_equal(clients[1].bytes, before);
	assert_int_equal(clients[1].pieces, 1);
	clients[1].behind = false;
	say(0, false, "end\n");
	assert_int_equal(clients[1].pieces, 3);
	assert_string_equal(clients[1].last, "end\n");
	assert_in_range(clients[1].bytes, 1, 200);
	say(0, false, "more\n");
	assert_int_equal(clients[1].pieces, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST_OF(a_look_ends_when_all_have_answered),
		TEST_OF(without_workers_it_ends_at_once),
		TEST_OF(a_silent_worker_is_not_waited_for),
		TEST_OF(who_follows_gets_each_piece_until_it_leaves),
		TEST_OF(the_last_follower_stops_it),
		TEST_OF(a_new_worker_is_asked_again),
		TEST_OF(a_slow_reader_misses_pieces_and_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
