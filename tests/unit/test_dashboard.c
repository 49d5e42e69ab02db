/* SPDX-License-Identifier: MIT */
/* The dashboard's store with a simulated clock: the reaper's four rules, migrations from each
 * earlier schema, the counts behind the pages compared with a count of all rows, login attempts. */
#include "test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/mem.h"
#include "dashboard/counts.h"
#include "dashboard/events.h"
#include "dashboard/quantile_lists.h"
#include "dashboard/store.h"
#include "dashboard/store_agents.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_lists.h"
#include "dashboard/store_reaper.h"
#include "dashboard/store_rollup.h"
#include "dashboard/store_run_row.h"
#include "dashboard/store_runs.h"
#include "dashboard/store_series.h"
#include "dashboard/stream.h"
#include "dashboard/throttle.h"

#define NOW INT64_C(1800000000000)
#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)

static char path[] = "/tmp/k6fleet-test-dashboard.XXXXXX";

static struct dash_store *open_new(void)
{
	struct err err;
	struct dash_store *s;
	char wal[64];

	unlink(path);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	unlink(wal);
	s = dash_store_open(path, &err);
	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static void put(struct dash_store *s, const char *id, const char *agent, const char *target,
	const char *status, int64_t started, int64_t planned)
{
	struct dash_store_upserted out;
	struct err err;
	struct dash_store_run run = {.started_ms = started};

	run_init(&run.run);
	run.run.id = x_strdup(id);
	run.run.host = x_strdup("h");
	run_set_text(&run.run.agent, agent);
	run_set_text(&run.run.target_id, target);
	run.run.status = (enum run_status)run_find_name(run_status_names, RUN_STATUS_COUNT, status);
	run.run.planned_ms = planned;
	run.run.started_ms = started;
	assert_int_equal(dash_store_begin(s, &err), 0);
	if (dash_store_upsert_run(s, &run, &out, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(dash_store_commit(s, &err), 0);
	free(out.text);
	run_clear(&run.run);
}

/* A list is taken out exactly where a JSON parser finds it under this key. */
static void lists_are_lifted_where_they_stand(void **state)
{
	static const struct {
		const char *before, *after;
		bool lifted;
		size_t lists;
	} cases[] = {
		{"{\"runs\":[{\"latencyQuantiles\":@},{\"latencyQuantiles\" : @ }]}",
			"{\"runs\":[{\"latencyQuantiles\":0},{\"latencyQuantiles\" : 1 }]}", true,
			2},
		{"{\"latencyQuantiles\":null,\"log\":\"\\\"latencyQuantiles\\\":@\"}", NULL, true,
			0},
		{"{\"log\":\"latencyQuantiles\",\"x\":@}", NULL, true, 0},
		{"[\"latencyQuantiles\",@]", NULL, true, 0},
		{"{\"latencyQuantiles\":[1,2]}", NULL, true, 0},
		{"{\"latencyQuantiles\":@", "{\"latencyQuantiles\":0", true, 1},
		{"{\"latencyQuantiles", NULL, true, 0},
		{"{\"latencyQuantiles\":", NULL, false, 0},
		{"{\"latencyQuantiles\":@,\"a\":{\"latencyQuantiles\":0}}", NULL, false, 0},
		{"{\"latencyQuantiles\":-1}", NULL, false, 0},
		{"{\"latency\\u0051uantiles\":0,\"latencyQuantiles\":@}", NULL, false, 0},
	};
	char list[101 * 24] = "[", before[8192], after[8192];
	struct quantile_lists l;
	size_t n = 1;

	(void)state;
	for (int i = 0; i < 101; i++)
		n += (size_t)sprintf(list + n, i % 2 ? "%d.5," : " %d.25e0 ,", i);
	list[n - 1] = ']';
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *from = cases[i].before;
		char *to = before;

		for (; *from; from++)
			to += *from == '@' ? sprintf(to, "%s", list) : sprintf(to, "%c", *from);
		snprintf(after, sizeof(after), "%s", cases[i].after ? cases[i].after : before);
		assert_int_equal(quantile_lists_lift(&l, before, strlen(before)), cases[i].lifted);
		assert_int_equal(l.count, cases[i].lists);
		if (cases[i].lifted) {
			assert_int_equal(l.len, strlen(after));
			assert_memory_equal(l.text, after, l.len);
		}
		for (size_t k = 0; k < cases[i].lists; k++) {
			double *q = quantile_lists_take(&l, (long long)k);

			assert_true(q[0] == 0.25 && q[99] == 99.5 && q[100] == 100.25);
			assert_null(quantile_lists_take(&l, (long long)k));
			free(q);
		}
		quantile_lists_free(&l);
	}
}

/* The fast reader returns the same numbers as strtod(). */
static void numbers_of_lists_are_those_of_strtod(void **state)
{
	char body[101 * 40 + 64], number[40];
	struct quantile_lists l;
	double *q;

	(void)state;
	for (unsigned seed = 0; seed < 300; seed++) {
		double x = (double)rand_r(&seed) / 1000, expected[101];
		size_t n = (size_t)sprintf(body, "{\"latencyQuantiles\":[");

		for (int i = 0; i < 101; i++) {
			x += (double)rand_r(&seed) / 1e9;
			snprintf(number, sizeof(number),
				i % 3 == 0           ? "%.17g"
					: i % 3 == 1 ? "%.9g"
						     : "%.14e",
				x);
			expected[i] = strtod(number, NULL);
			if (i && expected[i] < expected[i - 1])
				snprintf(number, sizeof(number), "%.17g",
					expected[i] = expected[i - 1]);
			n += (size_t)sprintf(body + n, "%s%c", number, i < 100 ? ',' : ']');
		}
		assert_true(quantile_lists_lift(&l, body, n));
		q = quantile_lists_take(&l, 0);
		assert_non_null(q);
		assert_memory_equal(q, expected, sizeof(expected));
		free(q);
		quantile_lists_free(&l);
	}
}

static void add_agent(struct dash_store *s, const char *name, const char *run_id, int64_t seen)
{
	const struct body_agent_registration a = {.name = name, .slot = BODY_UNKNOWN};
	const struct body_agent_heartbeat beat = {.name = name,
		.status = "running",
		.current_run_id = run_id,
		.restarts = BODY_UNKNOWN,
		.rss_bytes = BODY_UNKNOWN};
	struct err err;
	char id[64];
	bool news;

	assert_int_equal(dash_store_begin(s, &err), 0);
	assert_int_equal(dash_store_register_agent(s, "h", &a, seen, id, &err), 0);
	assert_int_equal(dash_store_heartbeat(s, "h", &beat, seen, &news, &err), 1);
	assert_int_equal(dash_store_commit(s, &err), 0);
}

static struct dash_store_reaped reap(struct dash_store *s, int64_t now, bool keep_runs)
{
	const struct dash_store_rules rules = {5 * MINUTE, 5 * MINUTE, HOUR, keep_runs};
	struct dash_store_reaped r;
	json_t *changed = json_array();
	struct err err;

	if (dash_store_reap(s, &rules, now, &r, changed, &err) < 0)
		fail_msg("%s", err.msg);
	json_decref(changed);
	return r;
}

static int64_t count(struct dash_store *s, const char *agent, const char *status)
{
	const struct dash_store_run_filter f = {
		.agent = agent, .status = status, .page = 1, .page_size = 500};
	struct err err;
	json_t *list;
	int64_t n;

	assert_int_equal(dash_store_list_runs(s, &f, &list, &err), 0);
	n = json_get_int(list, "total", -1);
	/* The counts are those of the rows. */
	assert_int_equal(n, json_array_size(json_object_get(list, "items")));
	json_decref(list);
	return n;
}

static void the_reaper_has_four_rules(void **state)
{
	struct dash_store *s = open_new();
	struct dash_store_reaped r;
	struct err err;
	json_t *agent, *run;

	(void)state;
	/* Rule 1: a run times out five minutes after its planned end, not earlier. */
	put(s, "late", "a", "t", "running", NOW, 10 * MINUTE);
	put(s, "unplanned", "a", "t", "running", NOW, 0);
	add_agent(s, "a", "late", NOW + 15 * MINUTE);
	r = reap(s, NOW + 5 * MINUTE, false);
	assert_int_equal(r.runs_timed_out, 0);
	r = reap(s, NOW + 5 * MINUTE + 1, false);
	assert_int_equal(r.runs_timed_out, 1);
	r = reap(s, NOW + 15 * MINUTE, false);
	assert_int_equal(r.runs_timed_out, 0);
	assert_int_equal(count(s, NULL, "running"), 1);
	/* Rule 2: an agent's current run is cleared if that run has ended, and kept if it runs. */
	assert_int_equal(dash_store_get_agent(s, "h", "a", &agent, &err), FOUND);
	assert_string_equal(json_get_text(agent, "currentRunId", ""), "late");
	json_decref(agent);
	r = reap(s, NOW + 15 * MINUTE + 1, false);
	assert_int_equal(r.runs_timed_out, 1);
	assert_int_equal(dash_store_get_agent(s, "h", "a", &agent, &err), FOUND);
	assert_true(json_is_null(json_object_get(agent, "currentRunId")));
	json_decref(agent);
	assert_int_equal(dash_store_get_run(s, "late", &run, &err), FOUND);
	assert_string_equal(json_get_text(run, "reason", ""), "reaped");
	assert_true(json_get_text(run, "errorMessage", "")[0] != '\0');
	json_decref(run);
	/* A late result corrects the run, once. */
	put(s, "late", "a", "t", "success", NOW, 10 * MINUTE);
	assert_int_equal(count(s, "a", "success"), 1);
	assert_int_equal(count(s, "a", "error"), 1);
	put(s, "late", "a", "t", "running", NOW, 10 * MINUTE);
	assert_int_equal(count(s, "a", "running"), 0);
	/* Rule 3: an agent that is silent for over five minutes is offline. */
	r = reap(s, NOW + 20 * MINUTE, false);
	assert_int_equal(r.agents_offline, 0);
	r = reap(s, NOW + 20 * MINUTE + 1, false);
	assert_int_equal(r.agents_offline, 1);
	/* Rule 4: an agent that is silent for over an hour is deleted with its runs. */
	r = reap(s, NOW + 75 * MINUTE, false);
	assert_int_equal(r.agents_deleted, 0);
	r = reap(s, NOW + 75 * MINUTE + 1, false);
	assert_int_equal(r.agents_deleted, 1);
	assert_int_equal(count(s, NULL, NULL), 0);
	dash_store_close(s);
}

static void kept_runs_lose_their_agent_only(void **state)
{
	struct dash_store *s = open_new();

	(void)state;
	put(s, "one", "a", "t", "success", NOW, 0);
	put(s, "two", "b", "t", "success", NOW, 0);
	add_agent(s, "a", NULL, NOW);
	add_agent(s, "b", NULL, NOW + HOUR);
	reap(s, NOW + 6 * MINUTE, true);
	assert_int_equal(reap(s, NOW + HOUR + 1, true).agents_deleted, 1);
	assert_int_equal(count(s, NULL, NULL), 2);
	assert_int_equal(count(s, "a", NULL), 0);
	assert_int_equal(count(s, "b", NULL), 1);
	dash_store_close(s);
}

/* --- migrations ------------------------------------------------------------------------ */

static const char schema_1[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('revision', 4);"
	"CREATE TABLE hosts (host TEXT PRIMARY KEY, managed INTEGER NOT NULL, max_agents INTEGER NOT NULL,"
	" desired INTEGER NOT NULL, revision INTEGER NOT NULL, version TEXT, k6_version TEXT, sandbox TEXT,"
	" last_seen_at INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO hosts VALUES ('h', 1, 10, 3, 4, '0.1', 'v1', 'namespaces', 1000);"
	"CREATE TABLE k6_agents (id TEXT PRIMARY KEY, host TEXT NOT NULL, name TEXT NOT NULL, slot INTEGER,"
	" status TEXT NOT NULL, current_run_id TEXT, last_seen_at INTEGER NOT NULL,"
	" registered_at INTEGER NOT NULL, version TEXT, k6_version TEXT, restarts INTEGER, rss_bytes INTEGER,"
	" progress TEXT, UNIQUE (host, name)) WITHOUT ROWID;"
	"CREATE TABLE k6_targets (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL,"
	" json TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);"
	"CREATE TABLE k6_runs (id TEXT PRIMARY KEY, agent TEXT, host TEXT NOT NULL, target_id TEXT,"
	" status TEXT NOT NULL, reason TEXT, started_at INTEGER NOT NULL, planned_ms INTEGER NOT NULL,"
	" p95_ms REAL, error_rate REAL, lag_ms INTEGER, error_message TEXT, json TEXT NOT NULL,"
	" quantiles TEXT, log TEXT) WITHOUT ROWID;"
	"CREATE INDEX k6_runs_started ON k6_runs (started_at);"
	"CREATE INDEX k6_runs_target ON k6_runs (target_id, started_at);"
	"CREATE INDEX k6_runs_agent ON k6_runs (host, agent, started_at);"
	"CREATE INDEX k6_runs_running ON k6_runs (started_at) WHERE status = 'running';"
	"PRAGMA user_version = 1;";
static const char schema_2[] =
	"CREATE TABLE k6_commands (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, host TEXT NOT NULL,"
	" type TEXT NOT NULL, target_id TEXT, run_id TEXT, agents INTEGER NOT NULL, sync INTEGER NOT NULL,"
	" created_at INTEGER NOT NULL);"
	"CREATE INDEX k6_commands_host ON k6_commands (host, seq);"
	"INSERT INTO k6_commands VALUES (1, 'c', 'h', 'run', 't', NULL, 1, 0, 1800000000000);"
	"PRAGMA user_version = 2;";

static void make_old(int version)
{
	_cleanup_free_ char *quantiles = NULL, *sql = NULL;
	size_t size;
	FILE *f = open_memstream(&quantiles, &size);
	sqlite3 *db;
	char *msg = NULL;

	fputc('[', f);
	for (int i = 0; i <= 100; i++)
		fprintf(f, "%s%d.5", i ? "," : "", i);
	fputc(']', f);
	fclose(f);
	sql = x_asprintf(
		"INSERT INTO k6_runs VALUES ('r1', 'a', 'h', 't', 'success', NULL, %lld, 10, 95.5, 0.5, 3, NULL,"
		" '{\"id\":\"r1\",\"agent\":\"a\",\"status\":\"success\",\"startedAt\":\"2027-01-15T08:00:00.000Z\","
		"\"metrics\":{\"http_reqs\":200,\"http_reqs_answered\":150,\"rps\":20,\"p95_ms\":95.5}}', '%s', 'the log');"
		"INSERT INTO k6_runs VALUES ('r2', NULL, 'h', NULL, 'error', 'reaped', %lld, 10, NULL, NULL, NULL, 'why',"
		" '{\"id\":\"r2\",\"metrics\":null}', NULL, NULL);",
		(long long)NOW, quantiles, (long long)NOW + 1);
	unlink(path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, schema_1, NULL, NULL, &msg) ||
		sqlite3_exec(db, sql, NULL, NULL, &msg) ||
		(version > 1 && sqlite3_exec(db, schema_2, NULL, NULL, &msg)))
		fail_msg("%s", msg);
	sqlite3_close(db);
}

static void earlier_schemas_are_taken_over(void **state)
{
	(void)state;
	for (int version = 1; version <= 2; version++) {
		const struct dash_store_range range = {
			NOW - NOW % HOUR, NOW - NOW % HOUR + HOUR, HOUR};
		const struct dash_store_run_filter f = {
			.target_id = "t", .page = 1, .page_size = 10};
		struct dash_store *s;
		struct err err;
		json_t *list, *run, *series, *point;

		make_old(version);
		s = dash_store_open(path, &err);
		if (!s)
			fail_msg("schema %d: %s", version, err.msg);
		assert_int_equal(count(s, NULL, NULL), 2);
		assert_int_equal(count(s, "a", "success"), 1);
		assert_int_equal(dash_store_list_runs(s, &f, &list, &err), 0);
		assert_int_equal(json_get_int(list, "total", 0), 1);
		json_decref(list);
		assert_int_equal(dash_store_get_run(s, "r1", &run, &err), FOUND);
		assert_string_equal(json_get_text(run, "log", ""), "the log");
		assert_int_equal(json_array_size(json_object_get(run, "latencyQuantiles")), 101);
		assert_true(json_number_value(json_array_get(
				    json_object_get(run, "latencyQuantiles"), 95)) == 95.5);
		json_decref(run);
		/* The hour is rolled up from the columns of the old schema. */
		for (int i = 0; i < 10 && dash_store_rollup_step(s, NOW + 2 * HOUR, &err) > 0; i++)
			;
		assert_int_equal(dash_store_series(s, "t", &range, &series, &err), 0);
		point = json_array_get(json_object_get(series, "points"), 0);
		assert_int_equal(json_get_int(point, "runs", 0), 1);
		assert_true(json_number_value(json_object_get(point, "error_rate")) == 0.5);
		assert_true(json_number_value(json_object_get(point, "rps")) == 20);
		assert_true(json_number_value(json_object_get(point, "p95_ms")) > 94);
		json_decref(series);
		assert_int_equal(dash_store_list_commands(s, "h", NOW + 1, &list, &err), 0);
		assert_int_equal(json_array_size(list), version - 1);
		json_decref(list);
		dash_store_close(s);
	}
}

/* --- rows of runs --------------------------------------------------------------------------- */

/* The text of the columns that a list reads is written by hand; its order is that of the table. */
static void columns_are_those_of_the_table(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int n = 1;

	(void)state;
	fputs("json", f);
	for (size_t i = 0; i < run_field_count; i++) {
		if (!run_fields[i].column_wins)
			continue;
		fprintf(f, ", %s", run_fields[i].column);
		n++;
	}
	fputs(", id", f);
	fclose(f);
	assert_string_equal(DASH_STORE_RUN_COLUMNS, text);
	assert_int_equal(DASH_STORE_RUN_COLUMN_COUNT, n + 1);
}

/* --- counts -------------------------------------------------------------------------------- */

#define MODEL 20000

static void counts_as_a_plain_count(void **state)
{
	static struct counts_key model[MODEL];
	static bool agents[50];
	struct counts *c = counts_new();

	(void)state;
	for (int i = 0; i < MODEL; i++) {
		model[i] = (struct counts_key){.target = (uint32_t)random() % 20,
			.agent = (uint32_t)random() % 50,
			.day = (uint16_t)(1 + random() % 100),
			.status = (uint8_t)(random() % 4)};
		counts_add(c, &model[i], 1);
		if (random() % 10 == 0) {
			/* The transaction is rolled back, as if the disk were full. */
			counts_rollback(c);
			i--;
			continue;
		}
		counts_commit(c);
		if (i > 100 && random() % 3 == 0) {
			int k = (int)(random() % i);

			counts_add(c, &model[k], -1);
			counts_commit(c);
			model[k] = model[i--];
		}
	}
	for (int round = 0; round < 300; round++) {
		struct counts_filter f = {.target = random() % 2 ? random() % 20 : -1,
			.status = random() % 2 ? (int)(random() % 4) : -1};
		uint16_t first = (uint16_t)(1 + random() % 100),
			 last = (uint16_t)(1 + random() % 100);
		const struct counts_days days = {first, last};
		int64_t want = 0, per_day[102] = {0}, offset, left;
		bool newest = random() % 2;
		uint16_t day = 0;

		for (int i = 0; i < 50; i++)
			agents[i] = random() % 3 == 0;
		if (random() % 2) {
			f.agents = agents;
			f.agent_count = 50;
		}
		for (int i = 0; i < MODEL; i++) {
			if (model[i].day < first || model[i].day > last ||
				(f.target >= 0 && model[i].target != f.target) ||
				(f.status >= 0 && model[i].status != f.status) ||
				(f.agents && !agents[model[i].agent]))
				continue;
			want++;
			per_day[model[i].day]++;
		}
		assert_int_equal(counts_total(c, &f, days), want);
		offset = left = want ? random() % (2 * want) : 0;
		if (offset >= want) {
			assert_false(counts_find_day(c, &f, days, newest, &offset, &day));
			continue;
		}
		assert_true(counts_find_day(c, &f, days, newest, &offset, &day));
		for (int d = newest ? last : first; d != day; d += newest ? -1 : 1)
			left -= per_day[d];
		assert_int_equal(offset, left);
		assert_true(left >= 0 && left < per_day[day]);
	}
	counts_free(c);
}

/* --- guesses --------------------------------------------------------------------------- */

static void guesses_leak_out_one_by_one(void **state)
{
	struct throttle *t = throttle_new(3);
	int64_t now = 1000;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(throttle_wait_s(t, "a", now), 0);
		throttle_failed(t, "a", now);
	}
	assert_int_equal(throttle_wait_s(t, "a", now), 6);
	assert_int_equal(throttle_wait_s(t, "b", now), 0);
	assert_int_equal(throttle_wait_s(t, "a", now + 5999), 1);
	assert_int_equal(throttle_wait_s(t, "a", now + 6000), 0);
	throttle_failed(t, "a", now + 6000);
	assert_int_equal(throttle_wait_s(t, "a", now + 6000), 6);
	assert_int_equal(throttle_wait_s(t, "a", now + 60000), 0);
	throttle_free(t);
}

/* --- events --------------------------------------------------------------------------------- */

static const char *read_all(struct stream *stream)
{
	static char text[1024];
	ssize_t n = stream->read(stream->state, text, sizeof(text) - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

/* An object that could not be read for a moment must be read again; one that is damaged cannot. */
static void a_lost_event_is_a_reset(void **state)
{
	struct events *e = events_new(1);
	struct stream *reader = events_open(e, NULL);
	struct err err;

	(void)state;
	read_all(reader);
	err_code_set(&err, ERR_CORRUPT, "damaged");
	events_lost(e, &err);
	assert_string_equal(read_all(reader), "");
	err_code_set(&err, ERR_IO, "the device fails");
	events_lost(e, &err);
	assert_non_null(strstr(read_all(reader), "event: reset\ndata: {}\n\n"));
	reader->close(reader->state);
	events_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reaper_has_four_rules),
		cmocka_unit_test(kept_runs_lose_their_agent_only),
		cmocka_unit_test(earlier_schemas_are_taken_over),
		cmocka_unit_test(columns_are_those_of_the_table),
		cmocka_unit_test(counts_as_a_plain_count),
		cmocka_unit_test(lists_are_lifted_where_they_stand),
		cmocka_unit_test(numbers_of_lists_are_those_of_strtod),
		cmocka_unit_test(guesses_leak_out_one_by_one),
		cmocka_unit_test(a_lost_event_is_a_reset),
	};
	int fd = mkstemp(path), rc;
	char wal[64], shm[64];

	if (fd < 0)
		return 1;
	close(fd);
	srandom(1);
	rc = cmocka_run_group_tests_name("dashboard", tests, NULL, NULL);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(shm, sizeof(shm), "%s-shm", path);
	unlink(path);
	unlink(wal);
	unlink(shm);
	return rc;
}
