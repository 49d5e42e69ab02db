/* SPDX-License-Identifier: MIT */
/* The options behind a verb.  Each means the same wherever it is taken; which verb takes which, and what
 * it does there, is in the table of verbs. */
#ifndef K6FLEET_CTL_OPTIONS_H
#define K6FLEET_CTL_OPTIONS_H

#include <stdbool.h>

#include "ctl/ctl.h"

enum option_id {
	OPTION_END, /* of a list */
	OPTION_NOW,
	OPTION_WAIT,
	OPTION_WATCH,
	OPTION_CHECK,
	OPTION_ROLLING,
	OPTION_BINARY,
	OPTION_COUNT,
	OPTION_TARGET,
	OPTION_AGENT,
	OPTION_FAILED,
	OPTION_AGENTS,
	OPTION_SYNC,
	OPTION_FOLLOW,
	OPTION_SCRIPT,
	OPTION_VUS,
	OPTION_DURATION,
	/* Every verb takes these. */
	OPTION_JSON,
	OPTION_NO_COLOR,
	OPTION_HELP,
	OPTIONS,
};

/* What a word on the command line names. */
enum word_kind {
	WORD_NONE,
	WORD_NUMBER,
	WORD_DURATION,
	WORD_FILE,
	WORD_AGENT,
	WORD_TARGET,
	WORD_RUN,
	WORD_RUN_GOING_ON,
};

struct option_def {
	const char *name; /* without "--"; NULL: only the letter */
	const char *arg;  /* as the help calls it; NULL: takes none */
	enum word_kind kind;
	char letter; /* 0: none */
};

/* By option_id. */
extern const struct option_def options[OPTIONS];

/* One of the options of a verb, and what it does there. */
struct verb_option {
	enum option_id id;
	const char *text;
};

#define VERB_OPTIONS_MAX 6

struct verb {
	const char *name;
	const char *arguments; /* as the help shows them, "" for none */
	const char *text;
	struct verb_option options[VERB_OPTIONS_MAX + 1];
	enum word_kind kind; /* of its arguments */
	int least, most;     /* so many arguments */
	int (*fn)(struct ctl *ctl, const struct verb *verb);
};

/* What stood behind the verb. */
struct arguments {
	bool given[OPTIONS];
	const char *values[OPTIONS];
	int count;
	char **words;
};

extern struct arguments arguments;

static inline bool given(enum option_id id)
{
	return arguments.given[id];
}

/* Reads argv, whose first word is the verb's name, into `arguments`.  CTL_OK, or CTL_USAGE after a
 * message. */
int options_read(const struct verb *verb, int argc, char **argv);
/* "--script FILE", "-f, --follow"; buf. */
const char *options_spell(enum option_id id, char *buf, size_t size);
/* "k6fleetctl scale N [--now] [--wait]" less the first word; the caller frees. */
char *options_synopsis(const struct verb *verb);

#endif
