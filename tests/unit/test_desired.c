/* SPDX-License-Identifier: MIT */
/* What is wanted of the fleet, over restarts: with a real fleet and schedule, and a store of the
 * test's own. */
#include "test.h"

#include "fake_loop.h"
#include "supervisor/desired.h"
#include "supervisor/fleet_waits.h"
#include "supervisor/kept.h"

/* --- the store ------------------------------------------------------------------------- */

static struct {
	char *texts[16], *keys[16];
	unsigned int count, writes;
	const char *unreadable;
	struct err failed;
} store;

static unsigned int find_key(const char *key)
{
	for (unsigned int i = 0; i < store.count; i++) {
		if (!strcmp(store.keys[i], key))
			return i;
	}
	return store.count;
}

static const char *stored(const char *key)
{
	unsigned int i = find_key(key);

	return i < store.count ? store.texts[i] : NULL;
}

void fleet_store_meta_set(struct fleet_store *s, const char *key, const char *value)
{
	unsigned int i = find_key(key);

	(void)s;
	if (i == store.count)
		store.keys[store.count++] = x_strdup(key);
	free(store.texts[i]);
	store.texts[i] = x_strdup(value);
	store.writes++;
}

enum found fleet_store_meta_get(
	struct fleet_store *s, const char *key, char **value, struct err *err)
{
	(void)s;
	if (store.unreadable && !strcmp(store.unreadable, key)) {
		err_code_set(err, ERR_CORRUPT, "database disk image is malformed");
		return FOUND_ERROR;
	}
	if (!stored(key))
		return NOT_FOUND;
	*value = x_strdup(stored(key));
	return FOUND;
}

void fleet_store_fail(struct fleet_store *s, const struct err *err)
{
	(void)s;
	store.failed = *err;
}

/* --- one supervisor after the other -------------------------------------------------------- */

static struct conf conf;
static struct kept *kept;
static struct fleet *fleet;
static struct schedule *schedule;
static struct desired *desired;

static void start(bool option, bool again)
{
	const struct fleet_config config = {.max_slots = 8,
		.min_delay_ms = 100,
		.max_delay_ms = 1000,
		.drain_timeout_ms = 5000};

	kept = kept_load(NULL);
	fleet = fleet_new(&config);
	schedule = schedule_new(8, SCHEDULE_SPREAD);
	desired = desired_new(&(struct desired_parts){&conf, kept, fleet, schedule}, option, again);
}

static void end(void)
{
	desired_free(desired);
	schedule_free(schedule);
	fleet_free(fleet);
	kept_free(kept);
	desired = NULL;
}

static void restart(bool option, bool again)
{
	end();
	start(option, again);
}

static unsigned int wanted(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 8; i++)
		n += fleet_slot(fleet, i)->wanted;
	return n;
}

static int set_up(void **state)
{
	(void)state;
	fake_loop_reset();
	memset(&store, 0, sizeof(store));
	conf.workers = 2;
	conf.max_workers = 8;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (desired)
		end();
	for (unsigned int i = 0; i < store.count; i++) {
		free(store.keys[i]);
		free(store.texts[i]);
	}
	return 0;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void the_first_start_takes_the_file(void **state)
{
	(void)state;
	start(false, false);
	assert_int_equal(desired_count(desired), 2);
	assert_int_equal(desired_revision(desired), 0);
	assert_false(desired_is_paused(desired));
	assert_string_equal(stored("desired"), "2 0");
	assert_string_equal(stored("workers_in_file"), "2");
	/* Nothing is done before the workers are known. */
	assert_int_equal(wanted(), 0);
	desired_begin(desired);
	assert_int_equal(wanted(), 2);
}

/* What was kept x the option -n x whether it is a later supervisor of the same keeper x a
 * changed file. */
static void the_count_of_a_restart(void **state)
{
	static const struct {
		const char *kept, *in_file;
		bool option, again;
		int64_t workers;
		unsigned int count;
		int64_t revision;
	} cases[] = {
		/* The same file: what was scaled to stays. */
		{"5 9", "2", false, false, 2, 5, 9},
		/* A changed file wins, by a newer revision. */
		{"5 9", "2", false, false, 3, 3, 10},
		/* Changed to what it is anyway: nothing to tell anybody. */
		{"3 9", "2", false, false, 3, 3, 9},
		/* -n wins, at the first supervisor of the keeper only. */
		{"5 9", "2", true, false, 4, 4, 10},
		{"5 9", "2", true, true, 4, 5, 9},
		/* No more than max_workers. */
		{"100 9", "2", false, false, 2, 8, 9},
		/* Nothing. */
		{NULL, NULL, false, false, 2, 2, 0},
		{"5 9", NULL, false, false, 2, 2, 10},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned int k = 0; k < store.count; k++) {
			free(store.keys[k]);
			free(store.texts[k]);
		}
		memset(&store, 0, sizeof(store));
		if (cases[i].kept)
			fleet_store_meta_set(NULL, "desired", cases[i].kept);
		if (cases[i].in_file)
			fleet_store_meta_set(NULL, "workers_in_file", cases[i].in_file);
		conf.workers = cases[i].workers;
		start(cases[i].option, cases[i].again);
		if (desired_count(desired) != cases[i].count ||
			desired_revision(desired) != cases[i].revision)
			fail_msg("case %zu: %u %lld", i, desired_count(desired),
				(long long)desired_revision(desired));
		/* -n is for this start only. */
		if (cases[i].option)
			assert_string_equal(stored("workers_in_file"), "2");
		end();
	}
}

static void all_of_it_outlives_restarts(void **state)
{
	(void)state;
	start(false, false);
	desired_begin(desired);
	desired_set(desired, 4, 3, false, "test");
	desired_pause(desired, true, false, "test");
	desired_hold(desired, 1, "web-1", "test");
	desired_hold(desired, 3, "web-3", "test");
	restart(false, true);
	assert_int_equal(desired_count(desired), 4);
	assert_int_equal(desired_revision(desired), 3);
	assert_true(desired_is_paused(desired));
	desired_begin(desired);
	assert_true(fleet_slot(fleet, 1)->held);
	assert_true(fleet_slot(fleet, 3)->held);
	assert_int_equal(wanted(), 2);
	/* A restart releases one, a scale all. */
	desired_restart(desired, (unsigned int[]){1}, 1, true, "test");
	assert_string_equal(stored("held"), "[3]");
	desired_set(desired, 5, 4, false, "test");
	assert_string_equal(stored("held"), "[]");
	assert_int_equal(wanted(), 5);
	desired_pause(desired, false, false, "test");
	restart(false, true);
	assert_false(desired_is_paused(desired));
	assert_int_equal(desired_count(desired), 5);
}

static void held_slots_that_do_not_exist_are_left_out(void **state)
{
	(void)state;
	fleet_store_meta_set(NULL, "held", "[0, 99]");
	fleet_store_meta_set(NULL, "desired", "3 1");
	fleet_store_meta_set(NULL, "workers_in_file", "2");
	start(false, false);
	desired_begin(desired);
	assert_int_equal(wanted(), 2);
	assert_true(fleet_slot(fleet, 0)->held);
}

static void what_cannot_be_read_is_neither_guessed_nor_overwritten(void **state)
{
	static const char *const keys[] = {"desired", "workers_in_file", "paused", "held",
		"commands_done", "dashboard_targets"};

	(void)state;
	start(false, false);
	desired_begin(desired);
	desired_set(desired, 6, 12, false, "test");
	desired_pause(desired, true, false, "test");
	desired_hold(desired, 2, "web-2", "test");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		unsigned int writes = store.writes;

		store.unreadable = keys[i];
		restart(false, true);
		assert_non_null(kept_error(kept));
		assert_int_equal(store.failed.code, ERR_CORRUPT);
		assert_non_null(strstr(store.failed.msg, "cannot read "));
		/* Paused, whatever the others say: nobody knows what belongs together. */
		assert_true(desired_is_paused(desired));
		desired_begin(desired);
		assert_int_equal(desired_count(desired), 2);
		/* What is asked for now holds and is not written. */
		desired_set(desired, 3, 13, false, "test");
		assert_int_equal(wanted(), 3);
		desired_hold(desired, 0, "web-0", "test");
		desired_pause(desired, false, false, "test");
		assert_false(desired_is_paused(desired));
		assert_int_equal(store.writes, writes);
	}
	/* After the repair all is as it was. */
	store.unreadable = NULL;
	restart(false, true);
	desired_begin(desired);
	assert_int_equal(desired_count(desired), 6);
	assert_true(desired_is_paused(desired));
	assert_true(fleet_slot(fleet, 2)->held);
}

/* A bad sector within a text changes its bytes and SQLite says nothing. */
static void what_makes_no_sense_counts_as_unreadable(void **state)
{
	static const struct {
		const char *key, *text, *what;
	} cases[] = {
		{"paused", "", "whether the fleet is paused"},
		{"paused", "3", "whether the fleet is paused"},
		{"paused", "1 ", "whether the fleet is paused"},
		{"paused", "q", "whether the fleet is paused"},
		{"desired", "many", "the desired count"},
		{"desired", "6", "the desired count"},
		{"desired", "6 ", "the desired count"},
		{"desired", " 6 12", "the desired count"},
		{"desired", "6 12x", "the desired count"},
		{"desired", "6 12 ", "the desired count"},
		{"desired", "06 12", "the desired count"},
		{"desired", "-6 12", "the desired count"},
		{"desired", "6  12", "the desired count"},
		{"desired", "6666666666666 12", "the desired count"},
		{"desired", "10001 12", "the desired count"},
		{"desired", "6 99999999999999999999", "the desired count"},
		{"workers_in_file", "", "the count that the configuration file had"},
		{"workers_in_file", "2 ", "the count that the configuration file had"},
		{"workers_in_file", "B", "the count that the configuration file had"},
		{"held", "", "which agents are drained"},
		{"held", "[2", "which agents are drained"},
		{"held", "{}", "which agents are drained"},
		{"held", "[2.0]", "which agents are drained"},
		{"held", "[-2]", "which agents are drained"},
		{"held", "[\"2\"]", "which agents are drained"},
		{"commands_done", "", "which commands of the dashboard were carried out"},
		{"commands_done", "[\"c1\"", "which commands of the dashboard were carried out"},
		{"commands_done", "[\"c1\",2]", "which commands of the dashboard were carried out"},
		{"commands_done", "[\"c\xff\"]",
			"which commands of the dashboard were carried out"},
		{"dashboard_targets", "", "the dashboard's targets"},
		{"dashboard_targets", "[{\"id\":\"t1\"}", "the dashboard's targets"},
		{"dashboard_targets", "{\"id\":\"t1\"}", "the dashboard's targets"},
	};

	(void)state;
	start(false, false);
	desired_set(desired, 6, 12, false, "test");
	fleet_store_meta_set(NULL, "paused", "0");
	fleet_store_meta_set(NULL, "held", "[2]");
	fleet_store_meta_set(NULL, "commands_done", "[\"c1\"]");
	fleet_store_meta_set(NULL, "dashboard_targets", "[{\"id\":\"t1\"}]");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *sound = x_strdup(stored(cases[i].key));
		unsigned int writes;

		fleet_store_meta_set(NULL, cases[i].key, cases[i].text);
		writes = store.writes;
		store.failed = (struct err){0};
		restart(false, true);
		if (!kept_error(kept) || !strstr(kept_error(kept), cases[i].what))
			fail_msg("%s \"%s\" is taken", cases[i].key, cases[i].text);
		assert_int_equal(store.failed.code, ERR_CORRUPT);
		assert_true(desired_is_paused(desired));
		assert_null(kept_get(kept, KEPT_DESIRED));
		desired_begin(desired);
		desired_set(desired, 3, 13, false, "test");
		desired_pause(desired, false, false, "test");
		assert_int_equal(store.writes, writes);
		assert_string_equal(stored(cases[i].key), cases[i].text);
		fleet_store_meta_set(NULL, cases[i].key, sound);
	}
	restart(false, true);
	assert_null(kept_error(kept));
	assert_false(desired_is_paused(desired));
	assert_int_equal(desired_count(desired), 6);
}

static void a_reload_changes_the_count_that_the_file_changes(void **state)
{
	struct conf same = conf, changed = conf, lower = conf;

	(void)state;
	start(false, false);
	desired_begin(desired);
	desired_set(desired, 5, 1, false, "test");
	/* Another key: the count that somebody has set stays. */
	assert_false(desired_reconfigure(desired, &same));
	assert_int_equal(desired_count(desired), 5);
	changed.workers = 3;
	assert_true(desired_reconfigure(desired, &changed));
	assert_int_equal(desired_count(desired), 3);
	assert_int_equal(desired_revision(desired), 2);
	assert_string_equal(stored("workers_in_file"), "3");
	/* A lower ceiling. */
	lower.workers = 3;
	lower.max_workers = 1;
	assert_true(desired_reconfigure(desired, &lower));
	assert_int_equal(desired_count(desired), 1);
}

static void the_end_is_for_good(void **state)
{
	(void)state;
	start(false, false);
	desired_stop(desired, false);
	assert_true(desired_is_stopping(desired));
	desired_begin(desired);
	assert_int_equal(wanted(), 0);
	desired_set(desired, 4, 1, false, "test");
	assert_int_equal(wanted(), 0);
	/* The next start knows of it, not of the stop. */
	restart(false, false);
	assert_false(desired_is_stopping(desired));
	assert_int_equal(desired_count(desired), 4);
}

/* --- clients that wait for a count ------------------------------------------------------- */

static struct {
	bool open, unsent;
	unsigned int progress;
	int64_t answered; /* "running" of the response; -1: none */
} caller;

bool control_is_open(struct control_ticket ticket)
{
	(void)ticket;
	return caller.open;
}

bool control_has_unsent(struct control_ticket ticket)
{
	(void)ticket;
	return caller.unsent;
}

void control_respond(struct control_ticket ticket, json_t *data)
{
	(void)ticket;
	assert_int_equal(caller.answered, -1);
	caller.answered = json_integer_value(json_object_get(data, "running"));
	json_decref(data);
}

void control_progress(struct control_ticket ticket, json_t *data)
{
	(void)ticket;
	caller.progress++;
	json_decref(data);
}

/* Starts whatever the fleet asks for, so many. */
static void say_hello(unsigned int slot)
{
	struct fleet_action action;

	while (fleet_take(fleet, &action))
		;
	fleet_event(fleet, slot, FLEET_EV_HELLO, fake_now_ms);
}

static void who_waits_for_a_count_is_told_once(void **state)
{
	struct fleet_waits *waits;

	(void)state;
	start(false, false);
	desired_begin(desired);
	waits = fleet_waits_new(fleet, desired);
	caller.open = true;
	caller.unsent = false;
	caller.progress = 0;
	caller.answered = -1;
	fleet_waits_add(waits, (struct control_ticket){0}, false);
	assert_int_equal(caller.progress, 0);
	fleet_waits_settle(waits);
	fleet_waits_settle(waits);
	assert_int_equal(caller.progress, 1);
	/* A slow reader gets fewer lines. */
	say_hello(0);
	caller.unsent = true;
	fleet_waits_settle(waits);
	assert_int_equal(caller.progress, 1);
	caller.unsent = false;
	fleet_waits_settle(waits);
	assert_int_equal(caller.progress, 2);
	say_hello(1);
	fleet_waits_settle(waits);
	assert_int_equal(caller.answered, 2);
	fleet_waits_settle(waits);
	/* With renewals: not before each worker has been replaced. */
	caller.answered = -1;
	fleet_renew(fleet, 0, FLEET_RENEW_IDLE, fake_now_ms);
	fleet_waits_add(waits, (struct control_ticket){0}, true);
	fleet_waits_settle(waits);
	assert_int_equal(caller.answered, -1);
	/* Who has left is forgotten. */
	caller.open = false;
	fleet_waits_settle(waits);
	caller.open = true;
	fleet_tick(fleet, fake_now_ms);
	fleet_event(fleet, 0, FLEET_EV_EXIT, fake_now_ms);
	say_hello(0);
	fleet_waits_settle(waits);
	assert_int_equal(caller.answered, -1);
	fleet_waits_free(waits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST_OF(the_first_start_takes_the_file),
		TEST_OF(the_count_of_a_restart),
		TEST_OF(all_of_it_outlives_restarts),
		TEST_OF(held_slots_that_do_not_exist_are_left_out),
		TEST_OF(what_cannot_be_read_is_neither_guessed_nor_overwritten),
		TEST_OF(what_makes_no_sense_counts_as_unreadable),
		TEST_OF(a_reload_changes_the_count_that_the_file_changes),
		TEST_OF(the_end_is_for_good),
		TEST_OF(who_waits_for_a_count_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
