/* SPDX-License-Identifier: MIT */
/* The talk with the dashboard, with a simulated loop and clock, a dashboard that answers what
 * the test says, and neighbours that note what they were told. */
#include "test.h"

#include <jansson.h>

#include "common/json.h"
#include "fake_loop.h"
#include "supervisor/http_client.h"
#include "supervisor/sync.h"

/* --- the dashboard ---------------------------------------------------------------------- */

#define REQUESTS_MAX 16

struct request {
	char path[128];
	json_t *body; /* NULL: GET */
	char etag[32];
	http_done *done;
	void *arg;
};

static struct {
	struct request open[REQUESTS_MAX];
	unsigned int count;
	bool refuse_to_connect;
	unsigned int freed;
} http;

struct http_client {
	int unused;
};
static struct http_client client;

struct http_client *http_client_new(
	struct ev_loop *loop, const struct http_client_config *config, struct err *err)
{
	(void)loop;
	assert_string_equal(config->bearer, "secret");
	if (!http.refuse_to_connect)
		return &client;
	err_set(err, "bad certificate");
	return NULL;
}

void http_client_free(struct http_client *c)
{
	http.freed += c != NULL;
	for (unsigned int i = 0; i < http.count; i++)
		json_decref(http.open[i].body);
	http.count = 0;
}

void http_client_send(struct http_client *c, const char *path, const char *body, const char *etag,
	http_done *done, void *arg)
{
	struct request *r = &http.open[http.count++];

	assert_ptr_equal(c, &client);
	assert_in_range(http.count, 1, REQUESTS_MAX);
	snprintf(r->path, sizeof(r->path), "%s", path);
	snprintf(r->etag, sizeof(r->etag), "%s", etag ? etag : "");
	r->body = body ? json_loads(body, 0, NULL) : NULL;
	assert_true(!body || r->body);
	r->done = done;
	r->arg = arg;
}

/* The open request whose path begins so; NULL: there is none. */
static struct request *request(const char *path)
{
	for (unsigned int i = 0; i < http.count; i++) {
		if (!strncmp(http.open[i].path, path, strlen(path)))
			return &http.open[i];
	}
	return NULL;
}

static void reply_with(const char *path, const struct http_reply *reply)
{
	struct request *open = request(path), r;

	if (!open)
		fail_msg("no request for %s is open", path);
	r = *open;
	*open = http.open[--http.count];
	r.done(r.arg, reply);
	json_decref(r.body);
}

static void reply(const char *path, int status, const char *body)
{
	reply_with(path,
		&(struct http_reply){.status = status,
			.body = body,
			.body_len = strlen(body),
			.etag = status == 200 ? "\"v1\"" : "",
			.error = status ? "" : "connection refused"});
}

#define REGISTER "/api/k6/agents/register"
#define HEARTBEAT "/api/k6/agents/heartbeat"
#define TARGETS "/api/k6/targets"
#define RUNS "/api/k6/runs"
#define SCALE "/api/k6/hosts/"

/* --- neighbours --------------------------------------------------------------------------- */

static struct {
	unsigned int count, max_set;
	int64_t revision;
	unsigned int sets, targets_applied, commands_taken, commands_retried;
	bool bad_targets, command_done;
	int64_t outbox;
	int fetch_limit;
	fleet_store_result *fetched;
	void *fetched_arg;
	fleet_store_done *acked;
	void *acked_arg;
	json_t *acks, *acknowledged;
	unsigned int requests[600];
} world;

unsigned int desired_count(const struct desired *d)
{
	(void)d;
	return world.count;
}

int64_t desired_revision(const struct desired *d)
{
	(void)d;
	return world.revision;
}

void desired_set(struct desired *d, unsigned int count, int64_t revision, bool now, const char *who)
{
	(void)d;
	assert_false(now);
	assert_string_equal(who, "dashboard");
	world.count = count;
	world.revision = revision;
	world.sets++;
}

json_t *agents_registrations(const struct agents *a)
{
	(void)a;
	return json_pack("[{s:s, s:i}]", "name", "web-0", "slot", 0);
}

json_t *agents_heartbeats(struct agents *a)
{
	(void)a;
	return json_pack("[{s:s, s:s}]", "name", "web-0", "status", "idle");
}

int targets_apply(struct targets *t, const json_t *list, struct err *err)
{
	(void)t;
	if (world.bad_targets || !json_is_array(list))
		return err_set(err, "bad targets");
	world.targets_applied++;
	return 0;
}

bool commands_take(struct commands *c, const json_t *list)
{
	(void)c;
	(void)list;
	world.commands_taken++;
	return world.command_done;
}

bool commands_retry(struct commands *c)
{
	(void)c;
	world.commands_retried++;
	return world.command_done;
}

json_t *commands_done(const struct commands *c)
{
	(void)c;
	return world.command_done ? json_pack("[s]", "c1") : json_array();
}

void commands_acknowledged(struct commands *c, const json_t *ids)
{
	(void)c;
	json_decref(world.acknowledged);
	world.acknowledged = json_deep_copy(ids);
}

int64_t fleet_store_outbox_count(const struct fleet_store *s)
{
	(void)s;
	return world.outbox;
}

void fleet_store_fetch_outbox(struct fleet_store *s, int limit, fleet_store_result *done, void *arg)
{
	(void)s;
	assert_null(world.fetched);
	world.fetch_limit = limit;
	world.fetched = done;
	world.fetched_arg = arg;
}

void fleet_store_ack(struct fleet_store *s, json_t *acks, fleet_store_done *done, void *arg)
{
	(void)s;
	assert_null(world.acked);
	json_decref(world.acks);
	world.acks = json_deep_copy(acks);
	world.acked = done;
	world.acked_arg = arg;
}

static void count_request(void *arg, int status)
{
	(void)arg;
	world.requests[status]++;
}

/* The store hands out so many records. */
static void give_outbox(int n)
{
	fleet_store_result *done = world.fetched;
	_cleanup_json_ json_t *rows = json_array();

	assert_non_null(done);
	for (int i = 0; i < n; i++) {
		char id[16];

		snprintf(id, sizeof(id), "run-%d", i);
		json_array_append_new(
			rows, json_pack("{s:i, s:{s:s}}", "rev", i + 1, "run", "id", id));
	}
	world.fetched = NULL;
	done(world.fetched_arg, rows, NULL);
}

static void give_acked(const struct err *err)
{
	fleet_store_done *done = world.acked;

	assert_non_null(done);
	world.acked = NULL;
	done(world.acked_arg, err);
}

/* --- the part under test ------------------------------------------------------------------- */

static struct conf conf;
static struct host_facts host;
static struct sync *dash;

static int set_up(void **state)
{
	struct sync_parts parts = {
		.loop = fake_loop(), .conf = &conf, .host = &host, .count_request = count_request};
	struct err err;

	(void)state;
	memset(&http, 0, sizeof(http));
	memset(&world, 0, sizeof(world));
	fake_loop_reset();
	srandom(1);
	conf.host_name = x_strdup("web");
	conf.max_workers = 8;
	conf.dashboard.url = x_strdup("http://dash");
	conf.dashboard.poll_ms = 10000;
	conf.dashboard.heartbeat_ms = 5000;
	snprintf(host.k6_version, sizeof(host.k6_version), "v2.2.0");
	host.sandbox_level = SANDBOX_USER_NAMESPACE;
	world.count = 3;
	world.revision = 7;
	dash = sync_new(&parts, "secret", &err);
	assert_non_null(dash);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sync_free(dash);
	assert_int_equal(fake_watchers(), 0);
	json_decref(world.acks);
	json_decref(world.acknowledged);
	free(conf.host_name);
	free(conf.dashboard.url);
	memset(&conf, 0, sizeof(conf));
	return 0;
}

#define DESIRED(agents, revision) \
	"{\"desired\":{\"agents\":" #agents ",\"revision\":" #revision "}}"

static void connect_it(void)
{
	sync_start(dash);
	fake_advance(0);
	reply(REGISTER, 200, "{}");
	fake_advance(0);
}

static void registers_first_then_talks(void **state)
{
	const struct request *r;

	(void)state;
	assert_int_equal(sync_state(dash), SYNC_CONNECTING);
	assert_int_equal(sync_last_contact_ms(dash), -1);
	/* Nothing is said before the workers are known. */
	sync_agents_changed(dash);
	sync_scaled(dash);
	fake_advance(60000);
	assert_int_equal(http.count, 0);
	sync_start(dash);
	fake_advance(0);
	assert_int_equal(http.count, 1);
	r = request(REGISTER);
	assert_non_null(r);
	assert_string_equal(json_get_text(r->body, "host", ""), "web");
	assert_string_equal(json_get_text(r->body, "sandbox", ""), "user-namespace");
	assert_string_equal(json_get_text(r->body, "k6Version", ""), "v2.2.0");
	assert_int_equal(json_get_int(json_object_get(r->body, "desired"), "agents", 0), 3);
	assert_int_equal(json_get_int(json_object_get(r->body, "desired"), "revision", 0), 7);
	reply(REGISTER, 200, "{}");
	assert_int_equal(sync_state(dash), SYNC_CONNECTED);
	fake_advance(0);
	assert_non_null(request(TARGETS "?host=web"));
	assert_non_null(request(HEARTBEAT));
	assert_non_null(world.fetched);
	fake_advance(1234);
	assert_int_equal(sync_last_contact_ms(dash), 1234);
	assert_int_equal(world.requests[200], 1);
}

static void failures_back_off_with_jitter(void **state)
{
	int64_t expected = 500;

	(void)state;
	sync_start(dash);
	fake_advance(0);
	for (int i = 0; i < 10; i++) {
		int64_t delay;

		reply(REGISTER, 0, "");
		assert_int_equal(sync_state(dash), SYNC_UNREACHABLE);
		assert_string_equal(sync_last_error(dash), "connection refused");
		delay = fake_next_timer();
		assert_in_range(delay, expected / 2, expected);
		fake_advance(delay - 1);
		assert_int_equal(http.count, 0);
		fake_advance(1);
		assert_int_equal(http.count, 1);
		expected = expected * 2 > 15000 ? 15000 : expected * 2;
	}
	assert_int_equal(world.requests[0], 10);
	reply(REGISTER, 200, "{}");
	assert_string_equal(sync_last_error(dash), "");
}

static void statuses_that_are_no_success(void **state)
{
	static const struct {
		int status;
		const char *body, *error;
	} cases[] = {
		{503, "", "the dashboard answered register with 503"},
		{404, "{}", "the dashboard answered register with 404"},
		{409, "{}", "the dashboard answered register with 409"},
		{401, "{}", "the dashboard does not accept the secret (401)"},
		{304, "", "the dashboard answered register with 304"},
		{200, "<html>", "register with 200: an answer that is not a JSON object"},
		{200, "[]", "an answer that is not a JSON object"},
		{200, "{\"a\":1,\"a\":2}", "an answer that is not a JSON object"},
		{200, "", "an answer that is not a JSON object"},
	};

	(void)state;
	sync_start(dash);
	fake_advance(0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		reply(REGISTER, cases[i].status, cases[i].body);
		assert_int_equal(sync_state(dash), SYNC_REFUSED);
		if (!strstr(sync_last_error(dash), cases[i].error))
			fail_msg("\"%s\" lacks \"%s\"", sync_last_error(dash), cases[i].error);
		assert_int_equal(sync_last_contact_ms(dash), 0);
		fake_advance(15000);
		assert_int_equal(http.count, 1);
	}
	assert_int_equal(world.sets, 0);
}

static void retry_after_is_obeyed(void **state)
{
	(void)state;
	sync_start(dash);
	fake_advance(0);
	reply_with(REGISTER,
		&(struct http_reply){.status = 503,
			.body = "",
			.etag = "",
			.error = "",
			.retry_after_ms = 42000});
	assert_int_equal(fake_next_timer(), 42000);
}

static void polls_with_etag_and_keeps_bad_targets_out(void **state)
{
	unsigned int taken;

	(void)state;
	connect_it();
	assert_string_equal(request(TARGETS)->etag, "");
	reply(TARGETS, 200, "{\"targets\":[],\"commands\":[]}");
	assert_int_equal(world.targets_applied, 1);
	assert_int_equal(world.commands_taken, 1);
	fake_advance(10000);
	assert_string_equal(request(TARGETS)->etag, "\"v1\"");
	/* Nothing has changed: what could not be done before is tried again. */
	reply(TARGETS, 304, "");
	assert_int_equal(sync_state(dash), SYNC_CONNECTED);
	assert_int_equal(world.targets_applied, 1);
	assert_int_equal(world.commands_retried, 1);
	/* A list that is none changes nothing, and its ETag is not kept. */
	fake_advance(10000);
	reply_with(TARGETS,
		&(struct http_reply){.status = 200,
			.body = "{\"targets\":7}",
			.body_len = 13,
			.etag = "\"v2\"",
			.error = ""});
	fake_advance(10000);
	assert_string_equal(request(TARGETS)->etag, "\"v1\"");
	/* The dashboard cannot read its targets: the last ones stay, commands are taken. */
	taken = world.commands_taken;
	reply_with(TARGETS,
		&(struct http_reply){.status = 200,
			.body = "{\"commands\":[]}",
			.body_len = 15,
			.etag = "",
			.error = ""});
	assert_int_equal(world.targets_applied, 1);
	assert_int_equal(world.commands_taken, taken + 1);
	assert_int_equal(sync_state(dash), SYNC_CONNECTED);
	fake_advance(10000);
	assert_string_equal(request(TARGETS)->etag, "\"v1\"");
}

static void desired_counts_win_by_revision(void **state)
{
	(void)state;
	sync_start(dash);
	fake_advance(0);
	/* Older: ignored.  The same revision: the dashboard's wins with a registration only. */
	reply(REGISTER, 200, DESIRED(5, 6));
	assert_int_equal(world.sets, 0);
	fake_advance(0);
	reply(HEARTBEAT, 200, DESIRED(5, 7));
	assert_int_equal(world.sets, 0);
	fake_advance(5000);
	reply(HEARTBEAT, 200, DESIRED(5, 8));
	assert_int_equal(world.sets, 1);
	assert_int_equal(world.count, 5);
	assert_int_equal(world.revision, 8);
	/* Above max_workers: as many as there may be. */
	fake_advance(5000);
	reply(HEARTBEAT, 200, DESIRED(100, 9));
	assert_int_equal(world.count, 8);
	assert_int_equal(world.revision, 9);
	/* Nonsense. */
	fake_advance(5000);
	reply(HEARTBEAT, 200, "{\"desired\":{\"agents\":-1,\"revision\":99}}");
	fake_advance(5000);
	reply(HEARTBEAT, 200, "{\"desired\":\"many\"}");
	assert_int_equal(world.sets, 2);
}

static void own_count_is_told_before_others_are_taken(void **state)
{
	(void)state;
	connect_it();
	world.count = 4;
	world.revision = 8;
	sync_scaled(dash);
	fake_advance(0);
	assert_int_equal(json_get_int(request(SCALE "web/scale")->body, "agents", 0), 4);
	/* An answer that crossed the request does not undo it. */
	reply(HEARTBEAT, 200, DESIRED(1, 20));
	assert_int_equal(world.count, 4);
	reply(SCALE, 200, DESIRED(4, 21));
	assert_int_equal(world.revision, 21);
	/* A refused one is told with the next registration instead. */
	world.count = 6;
	sync_scaled(dash);
	fake_advance(0);
	reply(SCALE, 404, "{}");
	fake_advance(15000);
	assert_null(request(SCALE));
	assert_int_equal(
		json_get_int(json_object_get(request(REGISTER)->body, "desired"), "agents", 0), 6);
}

static void heartbeats_acknowledge_and_notice_that_they_are_unknown(void **state)
{
	(void)state;
	connect_it();
	reply(HEARTBEAT, 200, "{}");
	/* A command was carried out: told at once, not with the next heartbeat. */
	world.command_done = true;
	reply(TARGETS, 200, "{\"targets\":[],\"commands\":[{\"id\":\"c1\"}]}");
	fake_advance(0);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(request(HEARTBEAT)->body, "commandsDone"), 0)),
		"c1");
	/* Not acknowledged unless it was heard. */
	json_decref(world.acknowledged);
	world.acknowledged = NULL;
	reply(HEARTBEAT, 503, "");
	assert_null(world.acknowledged);
	fake_advance(5000);
	reply(HEARTBEAT, 200, "{\"unknown\":[\"web-0\"]}");
	assert_int_equal(json_array_size(world.acknowledged), 1);
	fake_advance(0);
	assert_non_null(request(REGISTER));
}

static void outbox_is_posted_in_batches_and_acknowledged_once(void **state)
{
	(void)state;
	connect_it();
	assert_int_equal(world.fetch_limit, 500);
	give_outbox(3);
	assert_int_equal(json_array_size(json_object_get(request(RUNS)->body, "runs")), 3);
	/* One request at a time, however often it is asked for. */
	sync_kick_outbox(dash);
	sync_kick_outbox(dash);
	fake_advance(1000);
	assert_null(world.fetched);
	world.outbox = 2;
	reply(RUNS, 200, "{\"rejected\":[{\"id\":\"run-1\",\"error\":\"no\"}]}");
	/* All three: one that is refused for good is not sent again. */
	assert_int_equal(json_array_size(world.acks), 3);
	assert_int_equal(json_integer_value(json_array_get(json_array_get(world.acks, 2), 1)), 3);
	fake_advance(1000);
	assert_null(world.fetched);
	give_acked(NULL);
	fake_advance(1000);
	give_outbox(0);
	assert_null(request(RUNS));
	/* A record that is written later is gathered with others for 50 ms. */
	sync_kick_outbox(dash);
	assert_int_equal(fake_next_timer() <= 50, 1);
	fake_advance(50);
	give_outbox(1);
	assert_non_null(request(RUNS));
}

static void a_refused_batch_is_halved_until_the_culprit_is_alone(void **state)
{
	int sizes[] = {500, 250, 125, 62, 31, 15, 7, 3, 1};

	(void)state;
	connect_it();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(world.fetch_limit, sizes[i]);
		give_outbox(sizes[i]);
		reply(RUNS, 413, "too large");
		fake_advance(0);
	}
	/* Alone it is given up, and the batches grow again. */
	assert_int_equal(json_array_size(world.acks), 1);
	world.outbox = 10;
	give_acked(NULL);
	fake_advance(0);
	assert_int_equal(world.fetch_limit, 2);
	/* 503 is no reason for smaller ones. */
	give_outbox(2);
	reply(RUNS, 503, "");
	fake_advance(15000);
	assert_int_equal(world.fetch_limit, 2);
}

static void a_failed_acknowledgement_sends_again(void **state)
{
	struct err err;

	(void)state;
	connect_it();
	give_outbox(1);
	reply(RUNS, 200, "{}");
	world.outbox = 1;
	err_set(&err, "disk full");
	give_acked(&err);
	fake_advance(0);
	give_outbox(1);
	assert_non_null(request(RUNS));
}

static void a_new_configuration_begins_anew(void **state)
{
	struct conf other = conf;

	(void)state;
	connect_it();
	other.host_name = (char[]){"other"};
	/* A connection that cannot be made leaves the old one. */
	http.refuse_to_connect = true;
	sync_reconfigure(dash, &conf, "secret");
	assert_int_equal(http.freed, 0);
	assert_non_null(request(TARGETS));
	http.refuse_to_connect = false;
	sync_reconfigure(dash, &other, "secret");
	assert_int_equal(http.freed, 1);
	fake_advance(0);
	assert_int_equal(http.count, 1);
	assert_string_equal(json_get_text(request(REGISTER)->body, "host", ""), "other");
	/* What the store was asked for before comes and is posted when the dashboard knows us. */
	give_outbox(1);
	assert_non_null(request(RUNS));
	sync_reconfigure(dash, &conf, "secret");
}

static void without_a_dashboard_nothing_is_sent(void **state)
{
	struct conf none = conf;
	struct sync_parts parts = {
		.loop = fake_loop(), .conf = &none, .host = &host, .count_request = count_request};
	struct err err;
	struct sync *s;

	(void)state;
	none.dashboard.url = (char[]){""};
	s = sync_new(&parts, NULL, &err);
	sync_start(s);
	sync_kick_outbox(s);
	sync_scaled(s);
	sync_agents_changed(s);
	fake_advance(60000);
	assert_int_equal(http.count, 0);
	assert_int_equal(sync_state(s), SYNC_NONE);
	assert_int_equal(sync_state_for_keeper(sync_state(s)), MSG_DASHBOARD_NONE);
	/* A reload brings one. */
	sync_reconfigure(s, &conf, "secret");
	assert_int_equal(sync_state(s), SYNC_CONNECTING);
	fake_advance(0);
	assert_non_null(request(REGISTER));
	sync_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST_OF(registers_first_then_talks),
		TEST_OF(failures_back_off_with_jitter),
		TEST_OF(statuses_that_are_no_success),
		TEST_OF(retry_after_is_obeyed),
		TEST_OF(polls_with_etag_and_keeps_bad_targets_out),
		TEST_OF(desired_counts_win_by_revision),
		TEST_OF(own_count_is_told_before_others_are_taken),
		TEST_OF(heartbeats_acknowledge_and_notice_that_they_are_unknown),
		TEST_OF(outbox_is_posted_in_batches_and_acknowledged_once),
		TEST_OF(a_refused_batch_is_halved_until_the_culprit_is_alone),
		TEST_OF(a_failed_acknowledgement_sends_again),
		TEST_OF(a_new_configuration_begins_anew),
		TEST_OF(without_a_dashboard_nothing_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
