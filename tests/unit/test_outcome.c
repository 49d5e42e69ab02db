/* SPDX-License-Identifier: MIT */
/* Every exit code of k6 leads to its status and reason; the message says what the operator can
 * do. */
#include "test.h"

#include <signal.h>

#include "agent/outcome.h"

#define EXITED(code) ((code) << 8)

static struct outcome_facts facts_for(int wait_status)
{
	return (struct outcome_facts){.wait_status = wait_status,
		.summary = OUTCOME_SUMMARY_OK,
		.summary_error = "",
		.checks_count = true,
		.memory_bytes = 256 << 20,
		.deadline_ms = 60000,
		.log = ""};
}

static void expect(const struct outcome_facts *f, struct run *r, enum run_status status,
	enum run_reason reason, const char *says)
{
	outcome_judge(f, r);
	if (r->status != status || r->reason != reason || !strstr(r->message, says))
		fail_msg("status %s reason %s: %s (wanted %s %s: %s)", run_status_names[r->status],
			run_reason_names[r->reason], r->message, run_status_names[status],
			run_reason_names[reason], says);
}

static void exit_codes(void **state)
{
	static const struct {
		int code;
		enum run_status status;
		enum run_reason reason;
	} table[] = {
		{2, RUN_ERROR, RUN_REASON_KILLED},
		{99, RUN_FAILED, RUN_REASON_THRESHOLDS},
		{100, RUN_ERROR, RUN_REASON_TIMEOUT},
		{101, RUN_ERROR, RUN_REASON_TIMEOUT},
		{104, RUN_ERROR, RUN_REASON_SCRIPT_ERROR},
		{105, RUN_ERROR, RUN_REASON_KILLED},
		{106, RUN_ERROR, RUN_REASON_SPAWN_FAILED},
		{107, RUN_ERROR, RUN_REASON_SCRIPT_ERROR},
		{108, RUN_ERROR, RUN_REASON_SCRIPT_ERROR},
		{109, RUN_ERROR, RUN_REASON_KILLED},
		{110, RUN_FAILED, RUN_REASON_CHECKS},
		{255, RUN_ERROR, RUN_REASON_SCRIPT_ERROR},
		{42, RUN_ERROR, RUN_REASON_SCRIPT_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct outcome_facts f = facts_for(EXITED(table[i].code));
		struct run r;

		run_init(&r);
		f.log = "{\"level\":\"error\",\"msg\":\"boom here\"}\n";
		/* A message that lists the crossed thresholds needs no line of the log. */
		expect(&f, &r, table[i].status, table[i].reason, "boom here");
		assert_int_equal(r.exit_code, table[i].code);
		run_clear(&r);
	}
}

static void finished_runs(void **state)
{
	struct outcome_facts f = facts_for(EXITED(0));
	struct run r;

	(void)state;
	run_init(&r);
	r.http_reqs = 5;
	expect(&f, &r, RUN_SUCCESS, RUN_REASON_NONE, "");
	assert_string_equal(r.message, "");
	r.checks_passed = 3;
	r.checks_failed = 1;
	expect(&f, &r, RUN_FAILED, RUN_REASON_CHECKS, "1 of 4 checks failed");
	f.checks_count = false;
	expect(&f, &r, RUN_SUCCESS, RUN_REASON_NONE, "");
	run_add_threshold(&r, "http_reqs", "count>9", false);
	expect(&f, &r, RUN_FAILED, RUN_REASON_THRESHOLDS, "http_reqs count>9");
	f.summary = OUTCOME_SUMMARY_MISSING;
	expect(&f, &r, RUN_ERROR, RUN_REASON_NO_SUMMARY, "no summary");
	f.summary = OUTCOME_SUMMARY_BAD;
	f.summary_error = "the summary is empty";
	expect(&f, &r, RUN_ERROR, RUN_REASON_BAD_SUMMARY, "empty");
	f.saw_disk_full = true;
	expect(&f, &r, RUN_ERROR, RUN_REASON_DISK_FULL, "limits.tmp_size");
	run_clear(&r);

	run_init(&r);
	f = facts_for(EXITED(0));
	expect(&f, &r, RUN_SUCCESS, RUN_REASON_NONE, "may hang");
	run_clear(&r);
}

static void stopped_runs(void **state)
{
	struct outcome_facts f = facts_for(EXITED(105));
	struct run r;

	(void)state;
	run_init(&r);
	f.deadline_passed = true;
	expect(&f, &r, RUN_ERROR, RUN_REASON_TIMEOUT, "1m");
	f.cancelled = true;
	expect(&f, &r, RUN_ERROR, RUN_REASON_CANCELLED, "cancelled");
	f.wait_status = SIGKILL;
	expect(&f, &r, RUN_ERROR, RUN_REASON_CANCELLED, "cancelled");
	assert_int_equal(r.exit_code, RUN_NONE);
	/* A k6 that ended by itself at the same moment counts as ended. */
	f.wait_status = EXITED(0);
	r.http_reqs = 1;
	expect(&f, &r, RUN_SUCCESS, RUN_REASON_NONE, "");
	f = facts_for(SIGKILL);
	expect(&f, &r, RUN_ERROR, RUN_REASON_KILLED, "signal 9");
	f.cpu_time_ms = 1000;
	r.cpu_ms = 1000;
	expect(&f, &r, RUN_ERROR, RUN_REASON_KILLED, "limits.cpu_time");
	f = facts_for(EXITED(2));
	f.saw_no_memory = true;
	expect(&f, &r, RUN_ERROR, RUN_REASON_OOM, "256M; raise limits.memory");
	f = facts_for(EXITED(2));
	f.saw_no_process = true;
	f.processes = 512;
	expect(&f, &r, RUN_ERROR, RUN_REASON_KILLED,
		"512 processes and threads; raise limits.processes");
	f = facts_for(SIGKILL);
	f.oom_killed = true;
	expect(&f, &r, RUN_ERROR, RUN_REASON_OOM, "memory.max");
	f.why_not_started = "No such file";
	expect(&f, &r, RUN_ERROR, RUN_REASON_SPAWN_FAILED, "No such file");
	/* The code decides, not the text. */
	f.why_not_started = "a script called allowed_hosts, limits.tmp_size";
	expect(&f, &r, RUN_ERROR, RUN_REASON_SPAWN_FAILED, "allowed_hosts, limits.tmp_size");
	f.not_started = ERR_NO_SPACE;
	f.why_not_started = "the script cannot be written";
	expect(&f, &r, RUN_ERROR, RUN_REASON_DISK_FULL, "cannot be written");
	f.not_started = ERR_FORBIDDEN;
	f.why_not_started = "allowed_hosts does not name it";
	expect(&f, &r, RUN_ERROR, RUN_REASON_FORBIDDEN_TARGET, "allowed_hosts");
	f.cancelled = true;
	expect(&f, &r, RUN_ERROR, RUN_REASON_CANCELLED, "cancelled");
	run_clear(&r);
}

static void last_errors_of_real_logs(void **state)
{
	static const struct {
		const char *file, *says;
	} logs[] = {
		{"v2/syntax.stderr.jsonl", "Unexpected end of input"},
		{"v2/initthrow.stderr.jsonl", "init boom"},
		{"v2/setupthrow.stderr.jsonl", "setup boom"},
		{"v2/missing.stderr.jsonl", "couldn't be found on local disk"},
		{"v2/badopt.stderr.jsonl", "invalid syntax"},
		{"v2/abort.stderr.jsonl", "test aborted: nope"},
		{"v2/fail.stderr.jsonl", "marked as failed"},
		{"v1/syntax.stderr.jsonl", "Unexpected end of input"},
		{"v1/abort.stderr.jsonl", "nope"},
		{"v049/full.stderr", "have been crossed"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(logs); i++) {
		size_t len;
		_cleanup_free_ char *log = read_fixture(logs[i].file, &len);
		_cleanup_free_ char *last = outcome_last_error(log);

		if (!strstr(last, logs[i].says))
			fail_msg("%s: %s", logs[i].file, last);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(finished_runs),
		cmocka_unit_test(stopped_runs),
		cmocka_unit_test(last_errors_of_real_logs),
	};

	return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
