/* SPDX-License-Identifier: MIT */
/*
 * Log lines on standard error: "subject: event key=value ...", as text, as JSON, or where
 * standard error is the journal as entries with fields of their own, failing that with the <N>
 * priorities of sd-daemon(3). What a reader may want to search for is passed as a field, never
 * parsed out of a text.  Control characters are escaped here, once, so that no peer can forge a
 * line or a field.  Nothing secret may be passed in.
 */
#ifndef K6FLEET_LOG_H
#define K6FLEET_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Choices of log_level and log_format in the config files, in enum order, ended by NULL. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

/* Sets what the lines begin with, the least important level that is written, and their form.
 * May be called again after a change of the configuration.  program must stay valid. */
void log_init(const char *program, enum log_level level, bool json);
/* Entries go to the journal by this socket of journal_open(); -1: to standard error again. */
void log_use_journal(int fd);
/* Returns that socket, or -1. */
int log_journal_fd(void);
/* Returns whether lines of this level are written. */
bool log_wants(enum log_level level);

/* --- events with fields ---------------------------------------------------------- */

/* How the text form shows a field.  JSON has each as the member `name`, the journal as
 * K6FLEET_NAME=, agent and run as AGENT= and RUN=. */
enum log_shape {
	LOG_SHAPE_END,    /* of the list */
	LOG_SHAPE_HIDDEN, /* not at all: subject or event say it already */
	LOG_SHAPE_WORD,   /* name=value */
	LOG_SHAPE_QUOTED, /* name="value" */
	LOG_SHAPE_BARE,   /* value */
	LOG_SHAPE_NUMBER, /* name=12; in JSON a number */
	LOG_SHAPE_YES_NO, /* name=yes; in JSON true */
	LOG_SHAPE_TAIL,   /* ": value" */
};

struct log_field {
	/* Lower case and _; not one of time, level, program, pid, subject, event, msg. */
	const char *name;
	enum log_shape shape;
	const char *text; /* NULL: this line is without the field */
	int64_t number;
};

/* clang-format off */
#define LOG_WORD(n, value)   {.name = (n), .shape = LOG_SHAPE_WORD, .text = (value)}
/* For texts that somebody outside has chosen, as labels are. */
#define LOG_QUOTED(n, value) {.name = (n), .shape = LOG_SHAPE_QUOTED, .text = (value)}
#define LOG_BARE(n, value)   {.name = (n), .shape = LOG_SHAPE_BARE, .text = (value)}
#define LOG_HIDDEN(n, value) {.name = (n), .shape = LOG_SHAPE_HIDDEN, .text = (value)}
#define LOG_INT(n, value)    {.name = (n), .shape = LOG_SHAPE_NUMBER, .number = (int64_t)(value)}
#define LOG_YES_NO(n, value) {.name = (n), .shape = LOG_SHAPE_YES_NO, .number = (value)}
#define LOG_RUN(id)          LOG_WORD("run", id)
#define LOG_AGENT(agent)     LOG_HIDDEN("agent", agent)
/* The last field: a longer text. */
#define LOG_TAIL(n, value)   {.name = (n), .shape = LOG_SHAPE_TAIL, .text = (value)}
#define LOG_ERROR(why)       LOG_TAIL("error", why)
/* clang-format on */

/* Writes a line about an event: a fixed text, without numbers or names, so that it can be
 * searched for.
 *   log_event(LOG_LEVEL_INFO, "fleet", "scale", LOG_INT("from", 1), LOG_INT("to", 2),
 *   LOG_WORD("by", who));
 * is "fleet: scale from=1 to=2 by=uid=0 pid=77".  At least one field. */
#define log_event(level, subject, event, ...) \
	log_emit_event(level, subject, event, \
		(const struct log_field[]){__VA_ARGS__, {.shape = LOG_SHAPE_END}})
/* The same about an agent, whose name is the subject and the field "agent". */
#define log_agent_event(level, agent, event, ...) \
	log_event(level, agent, event, LOG_AGENT(agent), __VA_ARGS__)
void log_emit_event(enum log_level level, const char *subject, const char *event,
	const struct log_field fields[]);

/* --- sentences, with nothing in them to search for ------------------------------- */

void log_emit(enum log_level level, const char *subject, const char *fmt, ...) _printf_(3, 4);
/* The same about an agent. */
void log_emit_agent(enum log_level level, const char *agent, const char *fmt, ...) _printf_(3, 4);

#define log_error(...) log_emit(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_emit(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_emit(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_agent_error(...) log_emit_agent(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_debug(...) \
	do { \
		if (log_wants(LOG_LEVEL_DEBUG)) \
			log_emit(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

/* --- limits ---------------------------------------------------------------------- */

/* What a peer can trigger goes through a limit: `burst` lines in ten seconds, then one line that
 * counts the lines left out.  Starts as zeroes. */
struct log_limit {
	int64_t window_start_ms;
	unsigned int count;
	unsigned int suppressed;
};

/* Returns whether the caller may write one more line. */
bool log_limit_allows(struct log_limit *limit, unsigned int burst);

/* Start-up only: writes one line to standard error, "PROGRAM: message", and exits with the
 * status. */
__attribute__((noreturn, format(printf, 2, 3))) void fatal(int status, const char *fmt, ...);

#endif
