/* SPDX-License-Identifier: MIT */
/* One write(2) a line of less than PIPE_BUF, so that lines of several processes on one standard
 * error never mix. */
#include "common/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/mem.h"
#include "common/units.h"
#include "common/utf8.h"

#define LINE_MAX_BYTES 4096
#define MESSAGE_MAX_BYTES 2048
/* A longer value is cut in its field and in the text. */
#define VALUE_MAX_BYTES 512
/* Fields of a JSON line leave so much to the message. */
#define JSON_MESSAGE_LEAST 1024
#define JOURNAL_NAME_MAX 64

const char *const log_level_names[] = {"error", "warn", "info", "debug", NULL};
const char *const log_format_names[] = {"text", "json", NULL};

/* syslog(3) priorities in enum order, for the journal. */
static const int priorities[] =
	{[LOG_LEVEL_ERROR] = 3, [LOG_LEVEL_WARN] = 4, [LOG_LEVEL_INFO] = 6, [LOG_LEVEL_DEBUG] = 7};

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

/* --- texts in a buffer that does not grow ------------------------------------------ */

struct line {
	char *text;
	size_t len, cap; /* cap bytes may be used, one of them for the NUL */
};

/* Appends these bytes, or none if they do not fit. */
static bool line_put(struct line *l, const char *s, size_t n)
{
	if (l->len + n >= l->cap)
		return false;
	memcpy(l->text + l->len, s, n);
	l->len += n;
	l->text[l->len] = '\0';
	return true;
}

static bool line_puts(struct line *l, const char *s)
{
	return line_put(l, s, strlen(s));
}

__attribute__((format(printf, 2, 3))) static bool line_printf(struct line *l, const char *fmt, ...)
{
	char buf[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	return line_puts(l, buf);
}

enum escape {
	ESCAPE_NOTHING,
	ESCAPE_QUOTES,   /* what would end a quoted value */
	ESCAPE_CONTROLS, /* what could forge a line or garble a terminal */
	ESCAPE_JSON,     /* as RFC 8259 wants it */
};

/* Spells one character of n bytes (0: a byte that is not UTF-8) into buf; returns the length. */
static size_t spell(const char *s, size_t n, enum escape escape, char buf[8])
{
	unsigned char c = (unsigned char)*s;
	bool control = c < 0x20 || c == 0x7f;

	if ((c == '"' || c == '\\') && (escape == ESCAPE_JSON || escape == ESCAPE_QUOTES))
		return (size_t)snprintf(buf, 8, "\\%c", c);
	if (control && escape == ESCAPE_JSON)
		return (size_t)snprintf(buf, 8, "\\u%04x", c);
	if (control && escape == ESCAPE_CONTROLS)
		return (size_t)snprintf(buf, 8, "\\x%02x", c);
	if (!n && escape == ESCAPE_JSON)
		return (size_t)snprintf(buf, 8, "\\ufffd");
	memcpy(buf, s, n ? n : 1);
	return n ? n : 1;
}

/* Appends up to max bytes of s; never splits a UTF-8 character. */
static void line_escape(struct line *l, const char *s, size_t max, enum escape escape)
{
	size_t len = strnlen(s, max);

	for (size_t i = 0; i < len;) {
		size_t n = utf8_length(s + i, len - i);
		char buf[8];

		if (!n && (unsigned char)s[i] >= 0xc0 && len == max && len - i < 4)
			return; /* cut there */
		if (!line_put(l, buf, spell(s + i, n, escape, buf)))
			return;
		i += n ? n : 1;
	}
}

/* --- an event in its three forms --------------------------------------------------- */

struct event {
	enum log_level level;
	const char *subject;
	const char *name; /* NULL: a sentence */
	const struct log_field *fields;
	const char *message; /* the text without its subject */
};

static void text_field(struct line *l, const struct log_field *f)
{
	switch (f->shape) {
	case LOG_SHAPE_END:
	case LOG_SHAPE_HIDDEN: return;
	case LOG_SHAPE_NUMBER: line_printf(l, " %s=%lld", f->name, (long long)f->number); return;
	case LOG_SHAPE_YES_NO: line_printf(l, " %s=%s", f->name, f->number ? "yes" : "no"); return;
	case LOG_SHAPE_WORD:
	case LOG_SHAPE_QUOTED: line_printf(l, " %s=", f->name); break;
	case LOG_SHAPE_BARE: line_puts(l, " "); break;
	case LOG_SHAPE_TAIL: line_puts(l, ": "); break;
	}
	if (f->shape == LOG_SHAPE_QUOTED) {
		line_puts(l, "\"");
		line_escape(l, f->text, VALUE_MAX_BYTES, ESCAPE_QUOTES);
		line_puts(l, "\"");
	} else {
		line_escape(l, f->text, VALUE_MAX_BYTES, ESCAPE_NOTHING);
	}
}

static bool is_left_out(const struct log_field *f)
{
	if (f->shape == LOG_SHAPE_TAIL && f->text && !*f->text)
		return true;
	return !f->text && f->shape != LOG_SHAPE_NUMBER && f->shape != LOG_SHAPE_YES_NO;
}

static void json_text_member(struct line *l, const char *name, const char *value, size_t max)
{
	line_printf(l, ",\"%s\":\"", name);
	line_escape(l, value, max, ESCAPE_JSON);
	line_puts(l, "\"");
}

static void json_field(struct line *l, const struct log_field *f)
{
	if (f->shape == LOG_SHAPE_NUMBER)
		line_printf(l, ",\"%s\":%lld", f->name, (long long)f->number);
	else if (f->shape == LOG_SHAPE_YES_NO)
		line_printf(l, ",\"%s\":%s", f->name, f->number ? "true" : "false");
	else
		json_text_member(l, f->name, f->text, VALUE_MAX_BYTES);
}

/* Members that every line has; a field that repeats one is in the message only. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = {
		"time", "level", "program", "pid", "subject", "event", "msg"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(names[i], name))
			return true;
	}
	return false;
}

static void to_json(struct line *l, const struct event *e, const char *when)
{
	size_t cap = l->cap;

	line_printf(l, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d", when,
		log_level_names[e->level], state.program, (int)getpid());
	json_text_member(l, "subject", e->subject, VALUE_MAX_BYTES);
	if (e->name)
		json_text_member(l, "event", e->name, VALUE_MAX_BYTES);
	for (const struct log_field *f = e->fields; f->shape != LOG_SHAPE_END; f++) {
		size_t before = l->len;

		if (is_left_out(f) || is_reserved(f->name))
			continue;
		json_field(l, f);
		if (l->len + JSON_MESSAGE_LEAST > cap)
			l->len = before;
	}
	l->cap = cap - sizeof("\"}\n"); /* so the end fits in any case */
	line_puts(l, ",\"msg\":\"");
	line_escape(l, e->message, MESSAGE_MAX_BYTES, ESCAPE_JSON);
	l->cap = cap;
	line_puts(l, "\"}\n");
}

static void to_text(struct line *l, const struct event *e, const char *when)
{
	size_t cap = l->cap;

	l->cap -= sizeof("\n");
	if (!state.journal)
		line_printf(l, "%s %-5s ", when, log_level_names[e->level]);
	line_escape(l, e->subject, VALUE_MAX_BYTES, ESCAPE_CONTROLS);
	line_puts(l, ": ");
	line_escape(l, e->message, MESSAGE_MAX_BYTES, ESCAPE_CONTROLS);
	l->cap = cap;
	line_puts(l, "\n");
}

/* "target" is K6FLEET_TARGET; agent and run are known by their bare names. */
static void journal_name(const char *name, char out[JOURNAL_NAME_MAX])
{
	bool bare = !strcmp(name, "agent") || !strcmp(name, "run");

	snprintf(out, JOURNAL_NAME_MAX, "%s%s", bare ? "" : "K6FLEET_", name);
	for (char *p = out; *p; p++)
		*p = (char)toupper((unsigned char)*p);
}

static void journal_text(struct journal_entry *entry, const char *name, const char *value)
{
	char text[VALUE_MAX_BYTES * 4 + 1], field[JOURNAL_NAME_MAX];
	struct line l = {.text = text, .cap = sizeof(text)};

	text[0] = '\0';
	line_escape(&l, value, VALUE_MAX_BYTES, ESCAPE_CONTROLS);
	journal_name(name, field);
	journal_add(entry, field, text);
}

static bool to_journal(const struct event *e)
{
	const char priority[] = {(char)('0' + priorities[e->level]), '\0'};
	char text[LINE_MAX_BYTES], number[24];
	struct line l = {.text = text, .cap = sizeof(text)};
	struct journal_entry entry;

	journal_begin(&entry);
	journal_add(&entry, "PRIORITY", priority);
	journal_add(&entry, "SYSLOG_IDENTIFIER", state.program);
	journal_text(&entry, "subject", e->subject);
	for (const struct log_field *f = e->fields; f->shape != LOG_SHAPE_END; f++) {
		snprintf(number, sizeof(number), "%lld", (long long)f->number);
		if (f->shape == LOG_SHAPE_NUMBER)
			journal_text(&entry, f->name, number);
		else if (f->shape == LOG_SHAPE_YES_NO)
			journal_text(&entry, f->name, f->number ? "yes" : "no");
		else if (f->text)
			journal_text(&entry, f->name, f->text);
	}
	if (e->name)
		journal_text(&entry, "event", e->name);
	line_escape(&l, e->subject, VALUE_MAX_BYTES, ESCAPE_CONTROLS);
	line_puts(&l, ": ");
	line_escape(&l, e->message, MESSAGE_MAX_BYTES, ESCAPE_CONTROLS);
	journal_add(&entry, "MESSAGE", text);
	return journal_send(state.journal_fd, &entry) == 0;
}

static void emit(const struct event *e)
{
	char text[LINE_MAX_BYTES], when[UNITS_TIME_MAX];
	struct line l = {.text = text, .cap = sizeof(text)};

	if (state.journal_fd >= 0 && !state.json && to_journal(e))
		return;
	units_format_time(units_now_wall_ms(), when);
	if (state.journal)
		line_printf(&l, "<%d>", priorities[e->level]);
	if (state.json)
		to_json(&l, e, when);
	else
		to_text(&l, e, when);
	/* A log that cannot be written must not stop the daemon. */
	if (write(STDERR_FILENO, l.text, l.len) < 0)
		return;
}

void log_emit_event(enum log_level level, const char *subject, const char *event,
	const struct log_field fields[])
{
	char message[MESSAGE_MAX_BYTES];
	struct line l = {.text = message, .cap = sizeof(message)};

	if (!log_wants(level))
		return;
	message[0] = '\0';
	line_puts(&l, event);
	for (const struct log_field *f = fields; f->shape != LOG_SHAPE_END; f++) {
		if (!is_left_out(f))
			text_field(&l, f);
	}
	emit(&(const struct event){level, subject, event, fields, message});
}

__attribute__((format(printf, 4, 0))) static void emit_sentence(
	enum log_level level, const char *subject, const char *agent, const char *fmt, va_list ap)
{
	const struct log_field fields[] = {LOG_AGENT(agent), {.shape = LOG_SHAPE_END}};
	char message[MESSAGE_MAX_BYTES];

	vsnprintf(message, sizeof(message), fmt, ap);
	emit(&(const struct event){level, subject, NULL, fields, message});
}

void log_emit(enum log_level level, const char *subject, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (log_wants(level))
		emit_sentence(level, subject, NULL, fmt, ap);
	va_end(ap);
}

void log_emit_agent(enum log_level level, const char *agent, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (log_wants(level))
		emit_sentence(level, agent, agent, fmt, ap);
	va_end(ap);
}

bool log_limit_allows(struct log_limit *limit, unsigned int burst)
{
	int64_t now = units_now_mono_ms();

	if (limit->window_start_ms == 0 || now - limit->window_start_ms >= 10000) {
		if (limit->suppressed)
			log_event(LOG_LEVEL_WARN, "log", "left out",
				LOG_INT("lines", limit->suppressed),
				LOG_INT("in_ms", now - limit->window_start_ms));
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
	char raw[ERR_MAX + 256], text[LINE_MAX_BYTES];
	struct line l = {.text = text, .cap = sizeof(text) - 1};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	line_printf(&l, "%s%s: ", state.journal ? "<3>" : "", state.program);
	line_escape(&l, raw, sizeof(raw), ESCAPE_CONTROLS);
	l.cap++;
	line_puts(&l, "\n");
	if (write(STDERR_FILENO, l.text, l.len) < 0)
		_exit(status);
	exit(status);
}
