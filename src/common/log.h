/* SPDX-License-Identifier: MIT */
/*
 * Log lines on stderr: "subject: event key=value ...", as text, as JSON, or where stderr is the
 * journal as entries with fields of their own, failing that with the <N> priorities of sd-daemon(3).
 * Control characters are escaped here, once, so that no peer can forge a line.  Nothing secret may
 * be passed in.
 */
#ifndef K6FLEET_LOG_H
#define K6FLEET_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Choices of log_level in the config files, in enum order, ended by NULL. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

void log_init(const char *program, enum log_level level, bool json);
/* Entries go to the journal by this socket (journal_open()), from which -1 goes back to stderr. */
void log_use_journal(int fd);
int log_journal_fd(void);
void log_emit(enum log_level level, const char *subject, const char *fmt, ...) _printf_(3, 4);
/* The same about an agent, whose name can be asked for: "agent" in JSON, AGENT= in the journal.  So can
 * the run of a "run=ID" in the message. */
void log_emit_agent(enum log_level level, const char *agent, const char *fmt, ...) _printf_(3, 4);
bool log_wants(enum log_level level);

#define log_error(...) log_emit(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_emit(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_emit(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_agent_error(...) log_emit_agent(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_agent_warn(...) log_emit_agent(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_agent_info(...) log_emit_agent(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) \
	do { \
		if (log_wants(LOG_LEVEL_DEBUG)) \
			log_emit(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

/* What a peer can trigger goes through a limit: `burst` lines per ten seconds, then one line
 * that counts what was left out. */
struct log_limit {
	int64_t window_start_ms;
	unsigned int count;
	unsigned int suppressed;
};

bool log_limit_allows(struct log_limit *limit, unsigned int burst);

/* Start-up only: one line on stderr, "PROGRAM: message", and exit with the status. */
__attribute__((noreturn, format(printf, 2, 3))) void fatal(int status, const char *fmt, ...);

#endif
