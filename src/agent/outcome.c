/* SPDX-License-Identifier: MIT */
/* The exit codes of k6 from v0.49 to v2 (errext/exitcodes in its sources). */
#include "agent/outcome.h"

#include <jansson.h>
#include <signal.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"

#define MESSAGE_LINE_MAX 600

static const struct code {
	int code;
	enum run_status status;
	enum run_reason reason;
	const char *text;
} codes[] = {
	{99, RUN_FAILED, RUN_REASON_THRESHOLDS, "thresholds were crossed"},
	{100, RUN_ERROR, RUN_REASON_TIMEOUT, "setup() took too long"},
	{101, RUN_ERROR, RUN_REASON_TIMEOUT, "teardown() took too long"},
	{102, RUN_ERROR, RUN_REASON_TIMEOUT, "k6 gave up waiting (exit code 102)"},
	{103, RUN_ERROR, RUN_REASON_SCRIPT_ERROR, "k6 could not start the test"},
	{104, RUN_ERROR, RUN_REASON_SCRIPT_ERROR, "k6 refused the options of the test"},
	{105, RUN_ERROR, RUN_REASON_KILLED, "k6 was stopped by a signal that k6fleet did not send"},
	{106, RUN_ERROR, RUN_REASON_SPAWN_FAILED, "k6 could not bind its API address"},
	{107, RUN_ERROR, RUN_REASON_SCRIPT_ERROR, "the script has an error"},
	{108, RUN_ERROR, RUN_REASON_SCRIPT_ERROR, "the script aborted the test (test.abort)"},
	{109, RUN_ERROR, RUN_REASON_KILLED, "k6 crashed (Go panic)"},
	{110, RUN_FAILED, RUN_REASON_CHECKS, "the script marked the test as failed (test.fail)"},
	{255, RUN_ERROR, RUN_REASON_SCRIPT_ERROR, "k6 could not load the script"},
};

char *outcome_last_error(const char *log)
{
	const char *end = log + strlen(log);
	_cleanup_free_ char *plain = NULL;

	while (end > log) {
		const char *start = end;

		while (start > log && start[-1] != '\n')
			start--;
		if (start < end) {
			_cleanup_json_ json_t *line =
				json_loadb(start, (size_t)(end - start), 0, NULL);
			const char *level = json_get_text(line, "level", "");
			const char *msg = json_get_text(line, "msg", "");
			const char *detail = json_get_text(line, "error", NULL);

			if (*msg && (!strcmp(level, "error") || !strcmp(level, "fatal")))
				return x_asprintf("%.*s%s%.*s", MESSAGE_LINE_MAX, msg,
					detail ? ": " : "", MESSAGE_LINE_MAX, detail ? detail : "");
			if (!plain && !line)
				plain = x_strndup(start,
					(size_t)(end - start) > MESSAGE_LINE_MAX
						? MESSAGE_LINE_MAX
						: (size_t)(end - start));
		}
		end = start > log ? start - 1 : log;
	}
	return plain ? steal_ptr(plain) : x_strdup("");
}

/* Replaces each sequence of white space by one space and removes it at the end. */
static void squeeze(char *text)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		if (!strchr("\r\n\t ", *p))
			*to++ = *p;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	while (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
}

static void say(struct run *r, enum run_status status, enum run_reason reason, char *message)
{
	r->status = status;
	r->reason = reason;
	free(r->message);
	r->message = message;
	/* One line, so that a message of k6 does not break a table. */
	squeeze(message);
}

static bool any_threshold_crossed(const struct run *r)
{
	for (size_t i = 0; i < r->thresholds.count; i++) {
		if (!r->thresholds.list[i].ok)
			return true;
	}
	return false;
}

static char *crossed_list(const struct run *r)
{
	char *text = x_strdup("thresholds crossed:");

	for (size_t i = 0; i < r->thresholds.count && strlen(text) < MESSAGE_LINE_MAX; i++) {
		if (!r->thresholds.list[i].ok) {
			char *longer = x_asprintf("%s %s %s;", text, r->thresholds.list[i].metric,
				r->thresholds.list[i].expression);

			free(text);
			text = longer;
		}
	}
	text[strlen(text) - 1] = '\0';
	return text;
}

static void judge_out_of_memory(const struct outcome_facts *f, struct run *r)
{
	char buf[UNITS_TEXT_MAX];

	say(r, RUN_ERROR, RUN_REASON_OOM,
		x_asprintf(
			"k6 ran out of memory at its limit of %s%s; raise limits.memory, or use fewer "
			"VUs or a shorter duration (k6 keeps every sample)",
			units_format_size(f->memory_bytes, buf),
			f->oom_killed ? " (memory.max, which counts the files in its tmpfs, too)"
				      : ""));
}

static void judge_disk_full(struct run *r)
{
	say(r, RUN_ERROR, RUN_REASON_DISK_FULL,
		x_strdup("k6 could not write its summary: its temporary space is full; raise "
			 "limits.tmp_size or limits.file_size, or let the script write less"));
}

/* k6 finished by itself with exit code 0. */
static void judge_finished(const struct outcome_facts *f, struct run *r)
{
	double failed_checks = !isnan(r->checks_failed) ? r->checks_failed : 0;

	if (f->summary != OUTCOME_SUMMARY_OK && (f->saw_disk_full || f->tmp_full)) {
		judge_disk_full(r);
	} else if (f->summary == OUTCOME_SUMMARY_MISSING) {
		say(r, RUN_ERROR, RUN_REASON_NO_SUMMARY,
			x_strdup("k6 ended with exit code 0 but wrote no summary"));
	} else if (f->summary == OUTCOME_SUMMARY_BAD) {
		say(r, RUN_ERROR, RUN_REASON_BAD_SUMMARY, x_strdup(f->summary_error));
	} else if (any_threshold_crossed(r)) {
		say(r, RUN_FAILED, RUN_REASON_THRESHOLDS, crossed_list(r));
	} else if (f->checks_count && failed_checks > 0) {
		say(r, RUN_FAILED, RUN_REASON_CHECKS,
			x_asprintf("%.0f of %.0f checks failed", failed_checks,
				failed_checks + r->checks_passed));
	} else if (isnan(r->http_reqs) && isnan(r->iterations)) {
		say(r, RUN_SUCCESS, RUN_REASON_NONE,
			x_strdup(
				"no request was finished before the run ended: the target may hang"));
	} else if (f->late_ms > 0) {
		say(r, RUN_SUCCESS, RUN_REASON_NONE,
			x_asprintf("not ready at the common start, %lld ms late",
				(long long)f->late_ms));
	} else {
		say(r, RUN_SUCCESS, RUN_REASON_NONE, x_strdup(""));
	}
}

static void judge_signal(const struct outcome_facts *f, int sig, struct run *r)
{
	char buf[UNITS_TEXT_MAX];

	if (sig == SIGKILL && f->cpu_time_ms && r->cpu_ms >= f->cpu_time_ms)
		say(r, RUN_ERROR, RUN_REASON_KILLED,
			x_asprintf("k6 used up its CPU time of %s; raise limits.cpu_time",
				units_format_duration(f->cpu_time_ms, buf)));
	else
		say(r, RUN_ERROR, RUN_REASON_KILLED,
			x_asprintf("k6 was killed by signal %d (%s)%s", sig, strsignal(sig),
				sig == SIGKILL ? "; perhaps the kernel was short of memory" : ""));
}

static void judge_exit_code(const struct outcome_facts *f, int code, struct run *r)
{
	_cleanup_free_ char *last = outcome_last_error(f->log);

	if (code == 2) {
		if (f->saw_no_memory) {
			judge_out_of_memory(f, r);
			return;
		}
		if (f->saw_no_process)
			say(r, RUN_ERROR, RUN_REASON_KILLED,
				x_asprintf(
					"k6 died because it may have no more than %lld processes and "
					"threads; raise limits.processes, or use fewer VUs",
					(long long)f->processes));
		else
			say(r, RUN_ERROR, RUN_REASON_KILLED,
				x_asprintf("k6 died of a fatal error of the Go runtime: %s", last));
		return;
	}
	if (code == 99 && any_threshold_crossed(r)) {
		say(r, RUN_FAILED, RUN_REASON_THRESHOLDS, crossed_list(r));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i].code == code) {
			say(r, codes[i].status, codes[i].reason,
				x_asprintf("%s%s%s", codes[i].text, *last ? ": " : "", last));
			return;
		}
	}
	if (f->saw_disk_full || f->tmp_full)
		judge_disk_full(r);
	else
		say(r, RUN_ERROR, RUN_REASON_SCRIPT_ERROR,
			x_asprintf("k6 ended with the unknown exit code %d%s%s", code,
				*last ? ": " : "", last));
}

static enum run_reason reason_not_started(enum err_code code)
{
	switch (code) {
	case ERR_FORBIDDEN: return RUN_REASON_FORBIDDEN_TARGET;
	case ERR_NO_SPACE: return RUN_REASON_DISK_FULL;
	default: return RUN_REASON_SPAWN_FAILED;
	}
}

void outcome_judge(const struct outcome_facts *f, struct run *r)
{
	char buf[UNITS_TEXT_MAX];

	r->exit_code = RUN_NONE;
	if (f->why_not_started && f->why_not_started[0] && !f->cancelled) {
		say(r, RUN_ERROR, reason_not_started(f->not_started),
			x_asprintf("k6 could not be started: %s", f->why_not_started));
		return;
	}
	if (WIFEXITED(f->wait_status))
		r->exit_code = WEXITSTATUS(f->wait_status);
	/* A k6 that ended with 0 just before the signal came was neither cancelled nor stopped. */
	if (f->cancelled && r->exit_code != 0) {
		say(r, RUN_ERROR, RUN_REASON_CANCELLED, x_strdup("the run was cancelled"));
	} else if (f->deadline_passed && r->exit_code != 0) {
		say(r, RUN_ERROR, RUN_REASON_TIMEOUT,
			x_asprintf(
				"k6 was stopped: it still ran after %s (its timeout or what its scenarios "
				"take, and run_grace)",
				units_format_duration(f->deadline_ms, buf)));
	} else if (f->oom_killed && r->exit_code != 0) {
		judge_out_of_memory(f, r);
	} else if (WIFSIGNALED(f->wait_status)) {
		judge_signal(f, WTERMSIG(f->wait_status), r);
	} else if (r->exit_code == 0) {
		judge_finished(f, r);
	} else {
		judge_exit_code(f, WEXITSTATUS(f->wait_status), r);
	}
}
