/* SPDX-License-Identifier: MIT */
/* One write(2) a line, so that lines of several processes on one stderr never mix. */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/units.h"
#include "common/uuid.h"

#define LINE_MAX_BYTES 4096

const char *const log_level_names[] = {"error", "warn", "info", "debug", NULL};
const char *const log_format_names[] = {"text", "json", NULL};

/* syslog(3) priorities in enum order, for the journal. */
static const int priorities[] = {3, 4, 6, 7};

static struct {
	const char *program;
	enum log_level level;
	bool json;
	bool journal;
	int journal_fd;
} state = {.program = "k6fleet", .level = LOG_LEVEL_INFO, .journal_fd = -1};

void log_init(const char *program, enum log_level level, bool json)
{
	state.program = program;
	state.level = level;
	state.json = json;
	state.journal = journal_has_stderr();
}

void log_use_journal(int fd)
{
	state.journal_fd = fd;
}

int log_journal_fd(void)
{
	return state.journal_fd;
}

bool log_wants(enum log_level level)
{
	return level <= state.level;
}

/* Appends s to the line, escaped: for JSON as RFC 8259 wants it, else only what could forge or
 * garble a terminal line.  UTF-8 above ASCII passes through. */
static size_t append_escaped(char *line, size_t len, size_t cap, const char *s, bool json)
{
	for (; *s && len + 8 < cap; s++) {
		unsigned char c = (unsigned char)*s;

		if (json && (c == '"' || c == '\\')) {
			line[len++] = '\\';
			line[len++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			len += (size_t)snprintf(
				line + len, cap - len, json ? "\\u%04x" : "\\x%02x", c);
		} else {
			line[len++] = (char)c;
		}
	}
	line[len] = '\0';
	return len;
}

/* The run that a message speaks of: the first "run=" and a UUID; false without one. */
static bool find_run(const char *msg, char run[UUID_MAX])
{
	const char *at = strstr(msg, "run=");

	if (!at || strlen(at + 4) < UUID_MAX - 1)
		return false;
	memcpy(run, at + 4, UUID_MAX - 1);
	run[UUID_MAX - 1] = '\0';
	return uuid_is_valid(run);
}

static bool to_journal(
	enum log_level level, const char *subject, const char *agent, const char *msg)
{
	char message[LINE_MAX_BYTES], run[UUID_MAX];
	struct journal_entry entry = {.priority = priorities[level],
		.program = state.program,
		.message = message,
		.subject = subject,
		.agent = agent,
		.run = find_run(msg, run) ? run : NULL};
	size_t len = append_escaped(message, 0, sizeof(message), subject, false);

	len = append_escaped(message, len, sizeof(message), ": ", false);
	append_escaped(message, len, sizeof(message), msg, false);
	return journal_send(state.journal_fd, &entry) == 0;
}

static size_t json_field(char *line, size_t len, size_t cap, const char *name, const char *value)
{
	len += (size_t)snprintf(line + len, cap - len, ",\"%s\":\"", name);
	len = append_escaped(line, len, cap, value, true);
	return len + (size_t)snprintf(line + len, cap - len, "\"");
}

__attribute__((format(printf, 4, 0))) static void emit(
	enum log_level level, const char *subject, const char *agent, const char *fmt, va_list ap)
{
	char msg[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES], when[UNITS_TIME_MAX], run[UUID_MAX];
	size_t len = 0, cap = sizeof(line) - 16;

	vsnprintf(msg, sizeof(msg), fmt, ap);
	if (state.journal_fd >= 0 && !state.json && to_journal(level, subject, agent, msg))
		return;
	units_format_time(units_now_wall_ms(), when);
	if (state.journal)
		len += (size_t)snprintf(line, cap, "<%d>", priorities[level]);
	if (state.json) {
		len += (size_t)snprintf(line + len, cap - len,
			"{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d", when,
			log_level_names[level], state.program, (int)getpid());
		len = json_field(line, len, cap, "subject", subject);
		if (agent)
			len = json_field(line, len, cap, "agent", agent);
		if (find_run(msg, run))
			len = json_field(line, len, cap, "run", run);
		len = json_field(line, len, cap, "msg", msg);
		len += (size_t)snprintf(line + len, sizeof(line) - len, "}\n");
	} else {
		if (!state.journal)
			len += (size_t)snprintf(
				line + len, cap - len, "%s %-5s ", when, log_level_names[level]);
		len = append_escaped(line, len, cap, subject, false);
		len = append_escaped(line, len, cap, ": ", false);
		len = append_escaped(line, len, cap, msg, false);
		line[len++] = '\n';
	}
	/* A log that cannot be written must not stop the daemon. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void log_emit(enum log_level level, const char *subject, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (log_wants(level))
		emit(level, subject, NULL, fmt, ap);
	va_end(ap);
}

void log_emit_agent(enum log_level level, const char *agent, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (log_wants(level))
		emit(level, agent, agent, fmt, ap);
	va_end(ap);
}

bool log_limit_allows(struct log_limit *limit, unsigned int burst)
{
	int64_t now = units_now_mono_ms();

	if (limit->window_start_ms == 0 || now - limit->window_start_ms >= 10000) {
		if (limit->suppressed)
			log_warn("log", "left out lines=%u in the last %lld s", limit->suppressed,
				(long long)((now - limit->window_start_ms) / 1000));
		limit->window_start_ms = now;
		limit->count = 0;
		limit->suppressed = 0;
	}
	if (limit->count >= burst) {
		limit->suppressed++;
		return false;
	}
	limit->count++;
	return true;
}

void fatal(int status, const char *fmt, ...)
{
	char raw[ERR_MAX + 256], line[LINE_MAX_BYTES];
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	len = (size_t)snprintf(
		line, sizeof(line), "%s%s: ", state.journal ? "<3>" : "", state.program);
	len = append_escaped(line, len, sizeof(line) - 4, raw, false);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		_exit(status);
	exit(status);
}
