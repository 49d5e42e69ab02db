/* SPDX-License-Identifier: MIT */
/* A run in all its forms: the texts of records and lists to the byte, the message of the worker
 * with a hostile sender, every complaint about a sender's object, and what the table must keep
 * to. */
#include "test.h"

#include <math.h>
#include <unistd.h>

#include "common/json.h"
#include "common/json_fast.h"
#include "common/json_text.h"
#include "common/msg.h"
#include "common/run_json.h"
#include "ctl/render.h"
#include "supervisor/runs.h"

#define NOW INT64_C(1800000000000)
#define ID "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"

/* --- texts ------------------------------------------------------------------------------ */

static struct run *begin(void)
{
	struct target *t = target_new();
	struct run *run;

	free(t->id);
	t->id = x_strdup("t-1");
	free(t->label);
	t->label = x_strdup("sh\xffop \"x\"");
	run = runs_make("web1-0", "web1", t, 30000, NOW, NOW + 7);
	target_free(t);
	assert_int_equal(strlen(run->id), strlen(ID));
	run_set_text(&run->id, ID);
	return run;
}

static void fill(struct run *r)
{
	run_init(r);
	r->id = x_strdup(ID);
	r->status = RUN_FAILED;
	r->reason = RUN_REASON_THRESHOLDS;
	r->exit_code = 99;
	r->started_ms = NOW + 20;
	r->finished_ms = NOW + 30020;
	r->message = x_strdup("thresholds crossed: a\tb");
	r->p50_ms = 12;
	r->p95_ms = 0.1 + 0.2;
	r->p99_ms = 1e21;
	r->avg_ms = 1.0 / 3;
	r->error_rate = 0;
	r->rps = 1e-7;
	r->data_received_bytes = 123456789012.0;
	r->iterations = 2.5;
	r->http_reqs = 1e16;
	r->checks_passed = 0;
	r->quantiles = x_calloc(QUANTILES, sizeof(double));
	for (int i = 0; i < QUANTILES; i++)
		r->quantiles[i] = i < 3 ? i * 1e-5 : i > 98 ? i * 123456789.123 : i * 1.2345678912;
	run_add_threshold(r, "http_req_duration", "p(95)<1", false);
	run_add_threshold(r, "che\xc3", "rate>0 \x01/", true);
	r->cpu_ms = 3;
	r->max_rss_bytes = 1 << 20;
	r->tmp_bytes = 4096;
	r->log = x_strdup("line\n\xe2\x82 end");
}

#define WHO \
	"{\"id\":\"" ID \
	"\",\"agent\":\"web1-0\",\"host\":\"web1\",\"targetId\":\"t-1\",\"targetLabel\":\"sh\xef\xbf\xbdop \\\"x\\\"\"," \
	"\"status\":"
#define SCHEDULED "\"scheduledAt\":\"2027-01-15T08:00:00.000Z\","
#define SCHEDULED_HERE SCHEDULED "\"scheduledAtMs\":1800000000000,"
#define NO_METRICS \
	"{\"p50_ms\":null,\"p95_ms\":null,\"p99_ms\":null,\"avg_ms\":null,\"error_rate\":null,\"rps\":null," \
	"\"data_received_bytes\":null,\"iterations\":null,\"http_reqs\":null,\"http_reqs_answered\":null," \
	"\"checks_passed\":null,\"checks_failed\":null,\"vus\":null}"
#define QUANTILES_TEXT \
	"[0.0,1e-5,2e-5,3.70370367,4.93827156,6.17283946,7.40740735,8.64197524,9.87654313,11.111111,12.3456789," \
	"13.5802468,14.8148147,16.0493826,17.2839505,18.5185184,19.7530863,20.9876542,22.222222,23.4567899,24.6913578," \
	"25.9259257,27.1604936,28.3950615,29.6296294,30.8641973,32.0987652,33.3333331,34.567901,35.8024688,37.0370367," \
	"38.2716046,39.5061725,40.7407404,41.9753083,43.2098762,44.4444441,45.679012,46.9135799,48.1481478,49.3827156," \
	"50.6172835,51.8518514,53.0864193,54.3209872,55.5555551,56.790123,58.0246909,59.2592588,60.4938267,61.7283946," \
	"62.9629625,64.1975303,65.4320982,66.6666661,67.901234,69.1358019,70.3703698,71.6049377,72.8395056,74.0740735," \
	"75.3086414,76.5432093,77.7777771,79.012345,80.2469129,81.4814808,82.7160487,83.9506166,85.1851845,86.4197524," \
	"87.6543203,88.8888882,90.1234561,91.3580239,92.5925918,93.8271597,95.0617276,96.2962955,97.5308634,98.7654313," \
	"99.9999992,101.234567,102.469135,103.703703,104.938271,106.172839,107.407407,108.641974,109.876542,111.11111," \
	"112.345678,113.580246,114.814814,116.049382,117.28395,118.518518,119.753085,120.987653,12222222100.0," \
	"12345678900.0]"
#define FAILED_METRICS \
	"{\"p50_ms\":12.0,\"p95_ms\":0.3,\"p99_ms\":1e21,\"avg_ms\":0.333333333333333,\"error_rate\":0.0,\"rps\":1e-7," \
	"\"data_received_bytes\":123456789012,\"iterations\":2.5,\"http_reqs\":1e16,\"http_reqs_answered\":null," \
	"\"checks_passed\":0,\"checks_failed\":null,\"vus\":null}"
#define FAILED_THRESHOLDS \
	"[{\"metric\":\"http_req_duration\",\"expression\":\"p(95)<1\",\"ok\":false}," \
	"{\"metric\":\"che\xef\xbf\xbd\",\"expression\":\"rate>0 \\u0001/\",\"ok\":true}]"
#define FAILED_RESOURCES "{\"cpuMs\":3,\"maxRssBytes\":1048576,\"tmpBytes\":4096}"
#define FAILED_TIMES \
	"\"startedAt\":\"2027-01-15T08:00:00.020Z\",\"finishedAt\":\"2027-01-15T08:00:30.020Z\",\"lagMs\":20," \
	"\"errorMessage\":\"thresholds crossed: a\\tb\",\"metrics\":"

/* Written down before there was a table: nobody who reads records or lists shall see a
 * difference. */
static const char started_text[] = WHO
	"\"running\",\"reason\":null,\"plannedMs\":30000," SCHEDULED_HERE
	"\"startedAt\":\"2027-01-15T08:00:00.007Z\",\"finishedAt\":null,\"lagMs\":7,\"errorMessage\":null,"
	"\"metrics\":null,\"latencyQuantiles\":null,\"thresholds\":[],\"resources\":null,\"exitCode\":null}";
static const char failed_text[] = WHO
	"\"failed\",\"reason\":\"thresholds\",\"plannedMs\":30000," SCHEDULED_HERE FAILED_TIMES
		FAILED_METRICS ",\"latencyQuantiles\":" QUANTILES_TEXT
	",\"thresholds\":" FAILED_THRESHOLDS ",\"resources\":" FAILED_RESOURCES ",\"exitCode\":99}";
static const char failed_list_text[] =
	WHO "\"failed\",\"reason\":\"thresholds\",\"plannedMs\":30000," SCHEDULED FAILED_TIMES
		FAILED_METRICS ",\"thresholds\":" FAILED_THRESHOLDS
	    ",\"resources\":" FAILED_RESOURCES ",\"exitCode\":99}";
static const char success_text[] = WHO
	"\"success\",\"reason\":null,\"plannedMs\":30000," SCHEDULED_HERE
	"\"startedAt\":\"2027-01-15T08:00:00.007Z\",\"finishedAt\":\"2027-01-15T08:00:00.009Z\",\"lagMs\":7,"
	"\"errorMessage\":null,\"metrics\":" NO_METRICS
	",\"latencyQuantiles\":null,\"thresholds\":[],"
	"\"resources\":{\"cpuMs\":0,\"maxRssBytes\":0,\"tmpBytes\":0},\"exitCode\":0}";
static const char abandoned_text[] = WHO
	"\"error\",\"reason\":\"lost\",\"plannedMs\":30000," SCHEDULED_HERE
	"\"startedAt\":\"2027-01-15T08:00:00.007Z\",\"finishedAt\":\"2027-01-15T08:00:00.007Z\",\"lagMs\":7,"
	"\"errorMessage\":\"gone\",\"metrics\":" NO_METRICS
	",\"latencyQuantiles\":null,\"thresholds\":[],\"resources\":null,\"exitCode\":null}";

static void assert_text(const struct run *r, enum run_document document, const char *want)
{
	_cleanup_free_ char *text = run_to_text(r, document);

	assert_string_equal(text, want);
}

/* The text is read back to a run that has the same text. */
static void assert_reads_back(const char *text, enum run_document document)
{
	_cleanup_json_ json_t *json = json_loads(text, 0, NULL);
	struct run r;
	struct err err;

	if (run_from_json(json, NULL, NULL, &r, &err) < 0)
		fail_msg("%s", err.msg);
	assert_text(&r, document, text);
	run_clear(&r);
}

/* From the worker's struct through the message into r. */
static int send(const struct run *sent, struct run *r, struct err *err)
{
	struct msg_writer w = {0};
	struct msg_reader in;
	int rc;

	run_put(sent, &w);
	assert_in_range(w.len, 1, MSG_MAX_BYTES);
	assert_int_equal(msg_open(&in, w.data, w.len, MSG_TO_SUPERVISOR_W, err), MSG_AGENT_RESULT);
	rc = run_get(&in, r, err);
	msg_free(&w);
	return rc;
}

static void records_keep_their_text(void **state)
{
	struct run sent, got, *run = begin();
	struct err err;

	(void)state;
	assert_text(run, RUN_RECORD, started_text);
	fill(&sent);
	assert_int_equal(send(&sent, &got, &err), 0);
	runs_complete(run, &got, NOW + 1);
	assert_text(run, RUN_RECORD, failed_text);
	assert_text(run, RUN_LIST, failed_list_text);
	assert_string_equal(run->log, "line\n\xe2\x82 end");
	runs_free(run);
	run_clear(&got);

	/* Nothing measured, no end told, a log that nobody needs. */
	run_clear(&sent);
	sent.id = x_strdup(ID);
	sent.status = RUN_SUCCESS;
	sent.exit_code = sent.cpu_ms = sent.max_rss_bytes = sent.tmp_bytes = 0;
	sent.log = x_strdup("ignored");
	assert_int_equal(send(&sent, &got, &err), 0);
	run = begin();
	runs_complete(run, &got, NOW + 9);
	assert_text(run, RUN_RECORD, success_text);
	assert_null(run->log);
	runs_free(run);
	run_clear(&got);
	run_clear(&sent);

	run = begin();
	runs_abandon(run, RUN_REASON_LOST, "gone", NOW - 100);
	assert_text(run, RUN_RECORD, abandoned_text);
	runs_free(run);

	assert_reads_back(started_text, RUN_RECORD);
	assert_reads_back(failed_text, RUN_RECORD);
	assert_reads_back(failed_list_text, RUN_LIST);
	assert_reads_back(success_text, RUN_RECORD);
	assert_reads_back(abandoned_text, RUN_RECORD);
}

/* Runs of senders of other makes: what they left out is null, an integer stays one, times become
 * UTC. */
static void lists_keep_their_text(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"{\"id\":\"a\",\"status\":\"running\",\"startedAt\":\"2026-11-23T10:00:01Z\"}",
			"{\"id\":\"a\",\"agent\":null,\"host\":\"\",\"targetId\":null,\"targetLabel\":null,"
			"\"status\":\"running\",\"reason\":null,\"plannedMs\":null,\"scheduledAt\":null,"
			"\"startedAt\":\"2026-11-23T10:00:01.000Z\",\"finishedAt\":null,\"lagMs\":null,"
			"\"errorMessage\":null,\"metrics\":null,\"thresholds\":[],\"resources\":null,\"exitCode\":null}"},
		{"{\"id\":\"a.B_-9\",\"status\":\"success\",\"agent\":\"\",\"host\":null,\"errorMessage\":\"\","
		 "\"finishedAt\":\"2026-11-23T12:00:01.5+02:00\",\"plannedMs\":0,\"lagMs\":null,\"exitCode\":-1,"
		 "\"metrics\":{\"p50_ms\":5,\"p95_ms\":5.0,\"error_rate\":1,\"rps\":1e300,\"vus\":12.0,"
		 "\"iterations\":8999999999999999,\"http_reqs\":-0.0,\"other\":1},\"thresholds\":[{\"metric\":\"m\","
		 "\"expression\":\"e\",\"ok\":true,\"more\":1}],\"resources\":{\"cpuMs\":1,\"x\":2},\"unknown\":1,"
		 "\"log\":null}",
			"{\"id\":\"a.B_-9\",\"agent\":\"\",\"host\":\"\",\"targetId\":null,\"targetLabel\":null,"
			"\"status\":\"success\",\"reason\":null,\"plannedMs\":0,\"scheduledAt\":null,\"startedAt\":null,"
			"\"finishedAt\":\"2026-11-23T10:00:01.500Z\",\"lagMs\":null,\"errorMessage\":\"\",\"metrics\":"
			"{\"p50_ms\":5,\"p95_ms\":5.0,\"p99_ms\":null,\"avg_ms\":null,\"error_rate\":1,\"rps\":1e300,"
			"\"data_received_bytes\":null,\"iterations\":8999999999999999,\"http_reqs\":-0.0,"
			"\"http_reqs_answered\":null,\"checks_passed\":null,\"checks_failed\":null,\"vus\":12.0},"
			"\"thresholds\":[{\"metric\":\"m\",\"expression\":\"e\",\"ok\":true}],\"resources\":{\"cpuMs\":1,"
			"\"maxRssBytes\":null,\"tmpBytes\":null},\"exitCode\":-1}"},
		{"{\"id\":\"a\",\"status\":\"error\",\"reason\":\"reaped\",\"scheduledAt\":\"2026-11-23T10:00:01Z\","
		 "\"latencyQuantiles\":null,\"metrics\":{},\"resources\":{},\"thresholds\":null,\"log\":\"x\"}",
			"{\"id\":\"a\",\"agent\":null,\"host\":\"\",\"targetId\":null,\"targetLabel\":null,"
			"\"status\":\"error\",\"reason\":\"reaped\",\"plannedMs\":null,"
			"\"scheduledAt\":\"2026-11-23T10:00:01.000Z\",\"startedAt\":null,\"finishedAt\":null,\"lagMs\":null,"
			"\"errorMessage\":null,\"metrics\":" NO_METRICS
			",\"thresholds\":[],\"resources\":{\"cpuMs\":null,\"maxRssBytes\":null,\"tmpBytes\":null},"
			"\"exitCode\":null}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ json_t *in = json_loads(cases[i].in, 0, NULL);
		struct run r;
		struct err err;

		if (run_from_json(in, NULL, NULL, &r, &err) < 0)
			fail_msg("%s: %s", cases[i].in, err.msg);
		assert_text(&r, RUN_LIST, cases[i].out);
		run_clear(&r);
	}
}

/* What a sender is told, as it always was. */
static void wrong_objects_are_named(void **state)
{
#define RUN(rest) "{\"id\":\"a\",\"status\":\"error\"," rest "}"
	static const char id[] = "id must be 1 to 64 letters, digits, '-', '_' or '.'";
	static const char status[] = "status must be running, success, failed or error";
	static const char reason[] = "reason is none of the known reasons";
	static const char lists[] = "latencyQuantiles must be 101 numbers or null";
	static const char counts[] = "resources must be an object of counts";
	static const struct {
		const char *in, *says;
	} cases[] = {
		{"5", "a run must be an object"},
		{"[]", "a run must be an object"},
		{"{}", id},
		{"{\"id\":5,\"status\":\"error\"}", id},
		{"{\"id\":\"a b\",\"status\":\"error\"}", id},
		{"{\"id\":\"" ID ID "\",\"status\":\"error\"}", id},
		{"{\"id\":\"a\"}", status},
		{"{\"id\":\"a\",\"status\":5}", status},
		{"{\"id\":\"a\",\"status\":\"done\"}", status},
		{"{\"id\":\"a\",\"status\":\"success\",\"reason\":\"oom\"}",
			"a success run has no reason"},
		{"{\"id\":\"a\",\"status\":\"running\",\"reason\":\"oom\"}",
			"a running run has no reason"},
		{RUN("\"reason\":\"\""), reason},
		{RUN("\"reason\":5"), reason},
		{RUN("\"reason\":\"x\""), reason},
		{RUN("\"agent\":5"), "agent must be a string"},
		{RUN("\"host\":[]"), "host must be a string"},
		{"{\"id\":\"a\",\"targetLabel\":true,\"status\":\"x\"}",
			"targetLabel must be a string"},
		{RUN("\"plannedMs\":-1"), "plannedMs must be an integer of at least 0"},
		{RUN("\"plannedMs\":1.5"), "plannedMs must be an integer of at least 0"},
		{RUN("\"lagMs\":\"1\""), "lagMs must be an integer of at least 0"},
		{RUN("\"exitCode\":-2"), "exitCode must be an integer of at least -1"},
		{RUN("\"scheduledAt\":5"), "scheduledAt must be an RFC 3339 time"},
		{RUN("\"startedAt\":\"now\""), "startedAt must be an RFC 3339 time"},
		{RUN("\"finishedAt\":\"2026-13-01T00:00:00Z\""),
			"finishedAt must be an RFC 3339 time"},
		{RUN("\"errorMessage\":5"), "errorMessage must be a string"},
		{RUN("\"metrics\":5"), "metrics must be an object"},
		{RUN("\"metrics\":{\"rps\":\"1\"}"),
			"metrics.rps must be a number that is not negative"},
		{RUN("\"metrics\":{\"p50_ms\":-1}"),
			"metrics.p50_ms must be a number that is not negative"},
		{RUN("\"metrics\":{\"error_rate\":1.1}"),
			"metrics.error_rate must be a number that is not negative and at most 1"},
		{RUN("\"latencyQuantiles\":[1]"), lists},
		{RUN("\"latencyQuantiles\":\"x\""), lists},
		{RUN("\"latencyQuantiles\":7"), lists},
		{RUN("\"thresholds\":5"), "thresholds must be an array of up to 1000"},
		{RUN("\"thresholds\":[{\"metric\":\"m\",\"expression\":\"e\",\"ok\":true},{\"metric\":\"m\",\"ok\":true}]"),
			"thresholds[1] must have metric, expression and ok"},
		{RUN("\"thresholds\":[{\"metric\":\"m\",\"expression\":\"e\",\"ok\":1}]"),
			"thresholds[0] must have metric, expression and ok"},
		{RUN("\"resources\":5"), counts},
		{RUN("\"resources\":{\"cpuMs\":-1}"), counts},
		{RUN("\"resources\":{\"tmpBytes\":0.5}"), counts},
		{RUN("\"log\":{}"), "log must be a string"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ json_t *in = json_loads(cases[i].in, JSON_DECODE_ANY, NULL);
		struct run r;
		struct err err = {0};

		assert_non_null(in);
		if (run_from_json(in, NULL, NULL, &r, &err) == 0)
			fail_msg("%s was taken", cases[i].in);
		if (strcmp(err.msg, cases[i].says) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", cases[i].in, err.msg, cases[i].says);
	}
}

static void quantiles_are_checked_and_texts_are_cut(void **state)
{
	json_t *in = json_pack("{s:s, s:s}", "id", "a", "status", "error"), *list = json_array();
	char name[300];
	struct run r;
	struct err err;

	(void)state;
	for (int i = 0; i < QUANTILES; i++)
		json_array_append_new(list, json_integer(i == 50 ? 0 : i));
	json_object_set_new(in, "latencyQuantiles", list);
	assert_int_equal(run_from_json(in, NULL, NULL, &r, &err), -1);
	assert_string_equal(err.msg, "latencyQuantiles must be numbers that do not fall");
	json_array_set_new(list, 50, json_real(49.5));
	memset(name, 'x', 254);
	strcpy(name + 254, "\xc3\xa9yz");
	json_object_set_new(in, "agent", json_string(name));
	assert_int_equal(run_from_json(in, NULL, NULL, &r, &err), 0);
	assert_true(r.quantiles[50] == 49.5);
	/* Within a character: what is left of it is replaced. */
	strcpy(name + 254, "\xef\xbf\xbd");
	assert_string_equal(r.agent, name);
	run_clear(&r);
	json_decref(in);
}

/* --- the message ------------------------------------------------------------------------ */

static void results_round_trip(void **state)
{
	struct run a, b;
	struct err err;

	(void)state;
	fill(&a);
	free(a.log);
	a.log = x_calloc(1, 2 * RUN_LOG_MAX + 1);
	memset(a.log, 'x', 2 * RUN_LOG_MAX - 1);
	strcat(a.log, "Z");
	for (int i = 0; i < 2 * RUN_WORKER_THRESHOLDS; i++)
		run_add_threshold(&a, "m", "e", true);
	assert_int_equal(send(&a, &b, &err), 0);
	assert_int_equal(b.status, RUN_FAILED);
	assert_int_equal(b.reason, RUN_REASON_THRESHOLDS);
	assert_int_equal(b.exit_code, 99);
	assert_string_equal(b.message, a.message);
	assert_true(b.p95_ms == a.p95_ms);
	assert_true(isnan(b.vus));
	assert_memory_equal(b.quantiles, a.quantiles, QUANTILES * sizeof(double));
	assert_int_equal(b.thresholds.count, RUN_WORKER_THRESHOLDS);
	assert_string_equal(b.thresholds.list[0].expression, "p(95)<1");
	assert_true(b.thresholds.list[1].ok);
	/* The end of the log is what is kept. */
	assert_int_equal(strlen(b.log), RUN_LOG_MAX);
	assert_int_equal(b.log[RUN_LOG_MAX - 1], 'Z');
	run_clear(&a);
	run_clear(&b);
}

/* A message with one field more, or with a field instead of the one of that name. */
struct forgery {
	const char *name;
	const void *value;
	size_t len;
	bool replaces;
};

static int forge(const struct forgery *forgery, struct err *err)
{
	struct msg_writer real = {0}, w = {0};
	struct msg_agent_result m;
	struct msg_reader in, fields = {0};
	struct run r;
	size_t all;
	int rc;

	fill(&r);
	run_put(&r, &real);
	run_clear(&r);
	assert_int_equal(
		msg_open(&in, real.data, real.len, MSG_TO_SUPERVISOR_W, err), MSG_AGENT_RESULT);
	msg_get_agent_result(&in, &m);
	fields.p = (const uint8_t *)m.fields.p;
	fields.end = fields.p + m.fields.len;
	msg_start(&w, MSG_AGENT_RESULT);
	all = msg_begin_bytes(&w);
	while (fields.p != fields.end) {
		_cleanup_free_ char *name = msg_get_str(&fields);
		size_t len;
		const uint8_t *p = msg_get_bytes(&fields, &len);

		if (forgery->replaces && !strcmp(name, forgery->name))
			continue;
		msg_put_str(&w, name);
		msg_put_bytes(&w, p, len);
	}
	if (forgery->value) {
		msg_put_str(&w, forgery->name);
		msg_put_bytes(&w, forgery->value, forgery->len);
	}
	msg_end_bytes(&w, all);
	assert_int_equal(msg_open(&in, w.data, w.len, MSG_TO_SUPERVISOR_W, err), MSG_AGENT_RESULT);
	rc = run_get(&in, &r, err);
	run_clear(&r);
	msg_free(&real);
	msg_free(&w);
	return rc;
}

static void forged_results_are_refused(void **state)
{
	static const double not_a_number = NAN, infinite = INFINITY, negative = -1, two = 2;
	static const uint64_t huge = UINT64_MAX, minus_two = (uint64_t)-2;
	static double quantiles[QUANTILES];
	const struct forgery refused[] = {
		{"id", NULL, 0, true},
		{"id", "../../etc/passwd", 16, true},
		{"id", ID "0", sizeof(ID), true},
		{"id", ID, sizeof(ID) - 1, false}, /* twice */
		{"status", "\0", 1, true},         /* running */
		{"status", "\4", 1, true},
		{"status", "\1", 1, true}, /* success, with a reason */
		{"status", NULL, 0, true},
		{"reason", NULL, 0, true},
		{"reason", "\x63", 1, true},
		{"reason", "\1\1", 2, true},
		{"rps", &not_a_number, 8, true},
		{"rps", &infinite, 8, true},
		{"rps", &negative, 8, true},
		{"rps", &two, 7, true},
		{"rps", &two, 8, false}, /* twice */
		{"startedAt", &huge, 8, true},
		{"cpuMs", &huge, 8, true},
		{"exitCode", &minus_two, 8, true},
		{"latencyQuantiles", quantiles, sizeof(quantiles) - 8, true},
		{"latencyQuantiles", quantiles, sizeof(quantiles),
			true}, /* one of them is no number */
		{"thresholds", "\1\0\0\0x", 5, true},
		{"agent", "web2-7", 6, false}, /* the supervisor's */
		{"scheduledAtMs", &two, 8, false},
	};
	const struct forgery taken[] = {
		{"newer", "anything", 8, false},
		{"", NULL, 0, false},
		{"log", "", 0, true},
		{"errorMessage", "\0hidden", 7, true},
		{"latencyQuantiles", NULL, 0, true},
	};
	struct err err;

	(void)state;
	quantiles[7] = NAN;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		if (forge(&refused[i], &err) == 0)
			fail_msg("case %zu: %s was taken", i, refused[i].name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		if (forge(&taken[i], &err) < 0)
			fail_msg("case %zu: %s: %s", i, taken[i].name, err.msg);
	}
}

/* Cut anywhere within its fields it is refused, or is a shorter list of whole fields. */
static void cut_results_are_refused(void **state)
{
	struct msg_writer real = {0};
	struct msg_agent_result m;
	struct msg_reader in;
	struct run r;
	struct err err;
	size_t taken = 0;

	(void)state;
	fill(&r);
	run_put(&r, &real);
	run_clear(&r);
	assert_int_equal(
		msg_open(&in, real.data, real.len, MSG_TO_SUPERVISOR_W, &err), MSG_AGENT_RESULT);
	msg_get_agent_result(&in, &m);
	for (size_t cut = 0; cut < m.fields.len; cut++) {
		const struct msg_agent_result shorter = {.fields = {m.fields.p, cut}};
		struct msg_writer w = {0};

		msg_put_agent_result(&w, &shorter);
		assert_int_equal(
			msg_open(&in, w.data, w.len, MSG_TO_SUPERVISOR_W, &err), MSG_AGENT_RESULT);
		taken += run_get(&in, &r, &err) == 0;
		run_clear(&r);
		msg_free(&w);
	}
	assert_in_range(taken, 1, run_field_count);
	msg_free(&real);
}

/* --- k6fleetctl --------------------------------------------------------------------------- */

/* Prints the text of a record as `k6fleetctl show` does.  The caller frees. */
static char *show(const char *text)
{
	_cleanup_json_ json_t *run = json_loads(text, 0, NULL);
	_cleanup_file_ FILE *f = tmpfile();
	char *out = x_calloc(1, 8192);
	int saved = dup(1);

	fflush(stdout);
	dup2(fileno(f), 1);
	render_run(NULL, run);
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	rewind(f);
	assert_true(fread(out, 1, 8191, f) > 0);
	return out;
}

static void show_keeps_its_lines(void **state)
{
	_cleanup_free_ char *started = show(started_text);
	_cleanup_free_ char *failed = show(failed_text);
	_cleanup_free_ char *abandoned = show(abandoned_text);

	(void)state;
	/* What is null as a whole has no line. */
	assert_string_equal(started,
		"id                     " ID "\n"
		"agent                  web1-0\n"
		"host                   web1\n"
		"targetLabel            sh\xef\xbf\xbdop \"x\"\n"
		"status                 running\n"
		"reason                 -\n"
		"errorMessage           -\n"
		"scheduledAt            2027-01-15T08:00:00.000Z\n"
		"startedAt              2027-01-15T08:00:00.007Z\n"
		"finishedAt             -\n"
		"lagMs                  7\n"
		"plannedMs              30000\n"
		"exitCode               -\n");
	assert_non_null(strstr(failed,
		"exitCode               99\n"
		"p50_ms                 12\n"
		"p95_ms                 0.3\n"
		"p99_ms                 1e+21\n"
		"avg_ms                 0.333333\n"
		"error_rate             0\n"
		"rps                    1e-07\n"
		"data_received_bytes    1.23457e+11\n"
		"iterations             2.5\n"
		"http_reqs              1e+16\n"
		"http_reqs_answered     -\n"
		"checks_passed          0\n"
		"checks_failed          -\n"
		"vus                    -\n"));
	assert_non_null(strstr(failed,
		"thresholds             http_req_duration p(95)<1: crossed\n"
		"                       che\xef\xbf\xbd rate>0 ?/: ok\n"
		"resources              3 ms CPU, 1 MiB, 4096 bytes of tmpfs\n"));
	assert_null(strstr(abandoned, "resources"));
	assert_non_null(strstr(abandoned, "vus                    -\n"));
}

/* --- the table -------------------------------------------------------------------------- */

static void the_table_is_in_order(void **state)
{
	const struct run_field *order[64];
	bool seen[RUN_GROUP_COUNT] = {0};
	size_t n;

	(void)state;
	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *f = &run_fields[i];
		size_t len = strlen(f->name);

		/* Fields of a group stand together, so that their object is written once. */
		if (f->group && (!i || run_fields[i - 1].group != f->group)) {
			assert_false(seen[f->group]);
			seen[f->group] = true;
		}
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(run_fields[k].name, f->name);
		/* The reader of a reason looks at the status. */
		if (f->kind == RUN_KIND_REASON)
			assert_int_equal(run_fields[i - 1].kind, RUN_KIND_STATUS);
		/* The log takes the room that is left in the message. */
		if (f->kind == RUN_KIND_LOG)
			assert_int_equal(i, run_field_count - 1);
		if (f->kind == RUN_KIND_ID || f->kind == RUN_KIND_TEXT || f->kind == RUN_KIND_LOG)
			assert_true(f->max > 0);
		/* A name says its unit. */
		if ((len > 2 && !strcmp(f->name + len - 2, "Ms")) ||
			(len > 3 && !strcmp(f->name + len - 3, "_ms")))
			assert_int_equal(f->unit, RUN_MS);
		if (len > 5 && !strcasecmp(f->name + len - 5, "bytes"))
			assert_int_equal(f->unit, RUN_BYTES);
	}
	n = run_order(offsetof(struct run_field, csv), order);
	assert_int_equal(n, 26);
	assert_string_equal(order[0]->name, "id");
	assert_string_equal(order[1]->name, "startedAt");
	assert_string_equal(order[13]->name, "p50_ms");
	assert_string_equal(order[25]->name, "vus");
	assert_string_equal(RUN_NAME(message), "errorMessage");
}

/* --- JSON ------------------------------------------------------------------------------- */

static void assert_like_jansson(const struct json_text *t, json_t *value)
{
	_cleanup_free_ char *want = json_compact(value);

	assert_string_equal(t->text, want);
	json_decref(value);
	free(t->text);
}

static void texts_are_those_of_jansson(void **state)
{
	static const double edges[] = {0, -0.0, 1, -1, 0.1, 1e-4, 1e-5, 99999999.5, 1e8, 123456789,
		1e9, 1e14, 1e15, 1e16, 1e21, 1e100, 1.7976931348623157e308, 5e-324,
		0.30000000000000004};
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct json_text t = {0}, s = {0}, r = {0};
		char text[24];
		double v = i < (int)ARRAY_SIZE(edges)
			? edges[i]
			: ldexp((double)rand_r(&seed) / 7, rand_r(&seed) % 100 - 50);
		size_t n = (size_t)rand_r(&seed) % sizeof(text);

		json_text_real(&r, v);
		assert_like_jansson(&r, json_real(v));
		json_text_short_real(&s, v);
		assert_like_jansson(&s, json_short_real(v, 9));
		for (size_t k = 0; k < n; k++)
			text[k] = (char)(1 + rand_r(&seed) % (k % 3 ? 255 : 40));
		text[n] = '\0';
		json_text_string(&t, text);
		assert_like_jansson(&t, json_text(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_keep_their_text),
		cmocka_unit_test(lists_keep_their_text),
		cmocka_unit_test(wrong_objects_are_named),
		cmocka_unit_test(quantiles_are_checked_and_texts_are_cut),
		cmocka_unit_test(results_round_trip),
		cmocka_unit_test(forged_results_are_refused),
		cmocka_unit_test(cut_results_are_refused),
		cmocka_unit_test(show_keeps_its_lines),
		cmocka_unit_test(the_table_is_in_order),
		cmocka_unit_test(texts_are_those_of_jansson),
	};

	return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
