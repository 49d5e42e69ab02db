/* SPDX-License-Identifier: MIT */
#include "test.h"

#include <jansson.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"

#define RUN_ID "01a21210-7c1f-7abc-8def-0123456789ab"

static int saved_stderr = -1, stderr_pipe[2];

static void capture(void)
{
	assert_int_equal(pipe(stderr_pipe), 0);
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(dup2(stderr_pipe[1], STDERR_FILENO) >= 0);
}

/* Gives standard error back and returns what was written to it since capture(). */
static const char *captured(char *buf, size_t size)
{
	ssize_t n;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(stderr_pipe[1]);
	n = read(stderr_pipe[0], buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	close(stderr_pipe[0]);
	return buf;
}

static json_t *captured_json(void)
{
	char buf[8192];
	json_error_t why;
	json_t *line = json_loads(captured(buf, sizeof(buf)), JSON_REJECT_DUPLICATES, &why);

	if (!line)
		print_error("%s: %s\n", why.text, buf);
	assert_non_null(line);
	assert_int_equal(buf[strlen(buf) - 1], '\n');
	assert_null(memchr(buf, '\n', strlen(buf) - 1));
	return line;
}

static void log_a_run(const char *label)
{
	log_agent_event(LOG_LEVEL_INFO, "k6agent-3", "run ended", LOG_RUN(RUN_ID),
		LOG_QUOTED("target", label), LOG_WORD("status", "error"),
		LOG_WORD("reason", "timeout"), LOG_INT("after_ms", -5), LOG_YES_NO("retry", true),
		LOG_ERROR("k6 was stopped"));
}

static void the_text_form_has_fields_in_their_order(void **state)
{
	char buf[8192];

	(void)state;
	log_init("k6fleetd", LOG_LEVEL_INFO, false);
	capture();
	log_a_run("Login");
	assert_string_equal(captured(buf, sizeof(buf)) + strlen("2026-11-25T17:00:00.000Z "),
		"info  k6agent-3: run ended run=" RUN_ID
		" target=\"Login\" status=error reason=timeout after_ms=-5 retry=yes: k6 was stopped\n");
	capture();
	log_event(LOG_LEVEL_WARN, "fleet", "died", LOG_BARE("how", "signal 9"),
		LOG_WORD("reason", NULL), LOG_HIDDEN("host", "h"), LOG_INT("restarts", 2),
		LOG_ERROR(""));
	assert_non_null(
		strstr(captured(buf, sizeof(buf)), "warn  fleet: died signal 9 restarts=2\n"));
}

static void a_quote_in_a_label_cannot_end_the_field(void **state)
{
	char buf[8192];

	(void)state;
	capture();
	log_a_run("x\" status=success \\");
	assert_non_null(strstr(
		captured(buf, sizeof(buf)), " target=\"x\\\" status=success \\\\\" status=error "));
	capture();
	log_a_run("x\nerror k6fleetd: forged\x1b[2J");
	captured(buf, sizeof(buf));
	assert_null(memchr(buf, '\n', strlen(buf) - 1));
	assert_non_null(strstr(buf, "x\\x0aerror k6fleetd: forged\\x1b[2J\""));
}

static void json_has_each_field_as_a_member(void **state)
{
	_cleanup_json_ json_t *line = NULL;

	(void)state;
	log_init("k6fleetd", LOG_LEVEL_INFO, true);
	capture();
	log_a_run("Login \"new\"");
	line = captured_json();
	assert_string_equal(json_get_text(line, "level", ""), "info");
	assert_string_equal(json_get_text(line, "program", ""), "k6fleetd");
	assert_string_equal(json_get_text(line, "subject", ""), "k6agent-3");
	assert_string_equal(json_get_text(line, "event", ""), "run ended");
	assert_string_equal(json_get_text(line, "agent", ""), "k6agent-3");
	assert_string_equal(json_get_text(line, "run", ""), RUN_ID);
	assert_string_equal(json_get_text(line, "target", ""), "Login \"new\"");
	assert_string_equal(json_get_text(line, "status", ""), "error");
	assert_string_equal(json_get_text(line, "reason", ""), "timeout");
	assert_string_equal(json_get_text(line, "error", ""), "k6 was stopped");
	assert_int_equal(json_get_int(line, "after_ms", 0), -5);
	assert_true(json_is_true(json_object_get(line, "retry")));
	assert_string_equal(json_get_text(line, "msg", ""),
		"run ended run=" RUN_ID
		" target=\"Login \\\"new\\\"\" status=error reason=timeout after_ms=-5 retry=yes: k6 was stopped");
}

static void a_run_inside_a_label_is_no_field(void **state)
{
	_cleanup_json_ json_t *sentence = NULL, *event = NULL;

	(void)state;
	capture();
	log_event(LOG_LEVEL_INFO, "targets", "created",
		LOG_QUOTED("label", "run=" RUN_ID "\",\"run\":\"x"));
	event = captured_json();
	assert_null(json_object_get(event, "run"));
	capture();
	log_emit_agent(LOG_LEVEL_INFO, "k6agent-1", "run=%s", RUN_ID);
	sentence = captured_json();
	assert_null(json_object_get(sentence, "run"));
	assert_null(json_object_get(sentence, "event"));
	assert_string_equal(json_get_text(sentence, "agent", ""), "k6agent-1");
}

static void a_member_that_every_line_has_is_not_written_twice(void **state)
{
	_cleanup_json_ json_t *line = NULL;

	(void)state;
	capture();
	log_event(LOG_LEVEL_INFO, "k6fleetd", "started", LOG_INT("pid", 1), LOG_WORD("msg", "x"));
	line = captured_json();
	assert_int_equal(json_get_int(line, "pid", 0), getpid());
	assert_string_equal(json_get_text(line, "msg", ""), "started pid=1 msg=x");
}

/* Any length, any bytes: the line is JSON in UTF-8 and at most 4095 bytes long. */
static void json_stays_json_at_every_length(void **state)
{
	static const char *const parts[] = {
		"a", "\"", "\n", "\xc3\xa9", "\xf0\x9f\x92\xa9", "\xff", "\xc3"};
	char text[3000];

	(void)state;
	for (size_t p = 0; p < ARRAY_SIZE(parts); p++) {
		for (size_t len = 1; len < sizeof(text) - 8; len += len < 64 || len > 480 ? 7 : 1) {
			size_t at = 0;

			while (at + strlen(parts[p]) <= len) {
				memcpy(text + at, parts[p], strlen(parts[p]));
				at += strlen(parts[p]);
			}
			text[at] = '\0';
			capture();
			log_event(LOG_LEVEL_INFO, text, "event", LOG_QUOTED("a", text),
				LOG_QUOTED("b", text), LOG_QUOTED("c", text), LOG_ERROR(text));
			json_decref(captured_json());
			capture();
			log_info("x", "%s", text);
			json_decref(captured_json());
		}
	}
}

static void the_journal_gets_each_field(void **state)
{
	char buf[16384];
	int pair[2];
	ssize_t n;

	(void)state;
	log_init("k6fleetd", LOG_LEVEL_INFO, false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	log_use_journal(pair[1]);
	log_a_run("x\nRUN=forged run=" RUN_ID);
	n = recv(pair[0], buf, sizeof(buf) - 1, MSG_DONTWAIT);
	buf[n > 0 ? n : 0] = '\0';
	assert_string_equal(buf,
		"PRIORITY=6\nSYSLOG_IDENTIFIER=k6fleetd\nK6FLEET_SUBJECT=k6agent-3\n"
		"AGENT=k6agent-3\nRUN=" RUN_ID "\n"
		"K6FLEET_TARGET=x\\x0aRUN=forged run=" RUN_ID "\n"
		"K6FLEET_STATUS=error\nK6FLEET_REASON=timeout\nK6FLEET_AFTER_MS=-5\nK6FLEET_RETRY=yes\n"
		"K6FLEET_ERROR=k6 was stopped\nK6FLEET_EVENT=run ended\n"
		"MESSAGE=k6agent-3: run ended run=" RUN_ID " target=\"x\\x0aRUN=forged run=" RUN_ID
		"\" status=error reason=timeout after_ms=-5 retry=yes: k6 was stopped\n");
	log_info("fleet", "run=%s", RUN_ID);
	n = recv(pair[0], buf, sizeof(buf) - 1, MSG_DONTWAIT);
	buf[n > 0 ? n : 0] = '\0';
	assert_null(strstr(buf, "\nRUN="));
	log_use_journal(-1);
	close(pair[0]);
	close(pair[1]);
}

static void a_journal_that_is_away_costs_no_line(void **state)
{
	char buf[8192];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	close(pair[0]);
	log_use_journal(pair[1]);
	capture();
	log_a_run("Login");
	assert_non_null(strstr(captured(buf, sizeof(buf)), "k6agent-3: run ended run="));
	log_use_journal(-1);
	close(pair[1]);
}

static void levels_are_kept(void **state)
{
	char buf[8192];

	(void)state;
	log_init("k6fleetd", LOG_LEVEL_WARN, false);
	capture();
	log_a_run("Login");
	log_info("x", "y");
	log_debug("x", "y");
	log_error("x", "last");
	captured(buf, sizeof(buf));
	assert_non_null(strstr(buf, "error x: last\n"));
	assert_null(strchr(strchr(buf, '\n') + 1, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_form_has_fields_in_their_order),
		cmocka_unit_test(a_quote_in_a_label_cannot_end_the_field),
		cmocka_unit_test(json_has_each_field_as_a_member),
		cmocka_unit_test(a_run_inside_a_label_is_no_field),
		cmocka_unit_test(a_member_that_every_line_has_is_not_written_twice),
		cmocka_unit_test(json_stays_json_at_every_length),
		cmocka_unit_test(the_journal_gets_each_field),
		cmocka_unit_test(a_journal_that_is_away_costs_no_line),
		cmocka_unit_test(levels_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
