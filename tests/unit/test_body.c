/* SPDX-License-Identifier: MIT */
/* Registration and heartbeat: what the supervisor writes is what the dashboard reads, in both
 * shapes, and a body of another make never fails for a member that it has not or has
 * differently. */
#include "test.h"

#include "common/body.h"
#include "common/json.h"

static json_t *parse(const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	return o;
}

static void want(json_t *made, const char *text)
{
	_cleanup_free_ char *got = json_compact(made);

	assert_string_equal(got, text);
	json_decref(made);
}

static void a_registration_reads_back(void **state)
{
	_cleanup_json_ json_t *agents = json_array(), *body = NULL;
	const struct body_agent_registration agent = {
		.name = "k6agent-0", .slot = 0, .pid = BODY_UNKNOWN, .k6_version = "v2.2.0"};
	const struct body_registration sent = {
		.host = "web1",
		.managed = true,
		.max_agents = 1000,
		.version = "1.0",
		.k6_version = "v2.2.0",
		.sandbox = "namespaces",
		.desired = {.known = true, .agents = 3, .revision = 7},
		.agents = agents,
	};
	struct body_registration got;
	struct body_agent_registration first;

	(void)state;
	json_array_append_new(agents, body_agent_registration_json(&agent));
	body = body_registration_json(&sent);
	body_registration_read(body, &got);
	assert_string_equal(got.host, "web1");
	assert_true(got.managed);
	assert_int_equal(got.max_agents, 1000);
	assert_string_equal(got.sandbox, "namespaces");
	assert_true(got.desired.known);
	assert_int_equal(got.desired.agents, 3);
	assert_int_equal(got.desired.revision, 7);
	body_agent_registration_read(json_array_get(got.agents, 0), &first);
	assert_string_equal(first.name, "k6agent-0");
	assert_int_equal(first.slot, 0);
	assert_int_equal(first.pid, BODY_UNKNOWN);
	assert_null(first.version);
	want(json_incref(body),
		"{\"host\":\"web1\",\"managed\":true,\"maxAgents\":1000,\"version\":\"1.0\",\"k6Version\":\"v2.2.0\","
		"\"sandbox\":\"namespaces\",\"desired\":{\"agents\":3,\"revision\":7},"
		"\"agents\":[{\"name\":\"k6agent-0\",\"slot\":0,\"pid\":null,\"k6Version\":\"v2.2.0\"}]}");
}

static void a_heartbeat_reads_back(void **state)
{
	const struct body_agent_heartbeat idle = {.name = "a-0",
						  .status = "idle",
						  .rss_bytes = BODY_UNKNOWN,
						  .restarts = 2},
					  busy = {.name = "a-1",
						  .status = "running",
						  .current_run_id = "r1",
						  .rss_bytes = 5,
						  .restarts = 0,
						  .progress = {true, 1, 2, 3, BODY_UNKNOWN}};
	_cleanup_json_ json_t *body = body_agent_heartbeat_json(&busy);
	struct body_agent_heartbeat got;

	(void)state;
	want(body_agent_heartbeat_json(&idle),
		"{\"name\":\"a-0\",\"status\":\"idle\",\"currentRunId\":null,\"rssBytes\":null,\"restarts\":2}");
	body_agent_heartbeat_read(body, &got);
	assert_string_equal(got.current_run_id, "r1");
	assert_int_equal(got.rss_bytes, 5);
	assert_true(got.progress.known);
	assert_int_equal(got.progress.duration_ms, 2);
	assert_int_equal(got.progress.iterations, BODY_UNKNOWN);
	want(json_incref(body),
		"{\"name\":\"a-1\",\"status\":\"running\",\"currentRunId\":\"r1\",\"rssBytes\":5,\"restarts\":0,"
		"\"progress\":{\"elapsedMs\":1,\"durationMs\":2,\"vus\":3}}");
}

static void one_agent_is_a_body_of_its_own(void **state)
{
	_cleanup_json_ json_t *o =
		parse("{\"name\":\"solo\",\"host\":\"h\",\"slot\":4,\"version\":\"x\"}");
	struct body_registration host;
	struct body_agent_registration agent;

	(void)state;
	body_registration_read(o, &host);
	body_agent_registration_read(o, &agent);
	assert_string_equal(host.host, "h");
	assert_null(host.agents);
	assert_int_equal(host.max_agents, BODY_UNKNOWN);
	assert_string_equal(agent.name, "solo");
	assert_int_equal(agent.slot, 4);
	assert_string_equal(agent.version, "x");
}

static void other_types_are_unknown(void **state)
{
	static const char *const odd[] = {"null", "[]", "\"text\"", "{}",
		"{\"name\":5,\"slot\":\"4\",\"pid\":1.5}",
		"{\"desired\":[],\"agents\":{},\"managed\":1,\"maxAgents\":null,\"progress\":7}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		_cleanup_json_ json_t *o = json_loads(odd[i], JSON_DECODE_ANY, NULL);
		struct body_registration host;
		struct body_agent_registration agent;
		struct body_agent_heartbeat beat;
		struct body_heartbeat all;

		body_registration_read(o, &host);
		body_agent_registration_read(o, &agent);
		body_agent_heartbeat_read(o, &beat);
		body_heartbeat_read(o, &all);
		assert_false(host.managed || host.desired.known || host.agents || host.host);
		assert_int_equal(host.desired.revision, BODY_UNKNOWN);
		assert_null(agent.name);
		assert_int_equal(agent.slot, BODY_UNKNOWN);
		assert_int_equal(agent.pid, BODY_UNKNOWN);
		assert_false(beat.progress.known);
		assert_null(all.commands_done);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_registration_reads_back),
		cmocka_unit_test(a_heartbeat_reads_back),
		cmocka_unit_test(one_agent_is_a_body_of_its_own),
		cmocka_unit_test(other_types_are_unknown),
	};

	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
