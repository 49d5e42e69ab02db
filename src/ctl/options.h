/* SPDX-License-Identifier: MIT */
/* The options behind a verb.  An option means the same for each verb; the table of verbs says
 * which verb takes which options, and what the option does there. */
#ifndef K6FLEET_CTL_OPTIONS_H
#define K6FLEET_CTL_OPTIONS_H

#include <stdbool.h>

#include "ctl/client.h"

struct ctl;

enum option_id {
	OPTION_END, /* ends a list */
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
	/* Each verb takes these. */
	OPTION_JSON,
	OPTION_NO_COLOR,
	OPTION_HELP,
	OPTIONS,
};

/* The kinds of words on the command line, for completion. */
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
	const char *arg;  /* name of its value in the help; NULL: it has none */
	enum word_kind kind;
	char letter; /* 0: none */
};

/* Indexed by option_id. */
extern const struct option_def ctl_options[OPTIONS];

/* An option of a verb, and its effect for this verb. */
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
	int least, most;     /* numbers of arguments that it takes */
	enum ctl_exit (*fn)(struct ctl *ctl, const struct verb *verb);
};

/* The words behind the verb. */
struct arguments {
	bool given[OPTIONS];
	const char *values[OPTIONS];
	int count;
	char **words;
};

/* Filled by ctl_options_read(). */
extern struct arguments ctl_arguments;

static inline bool given(enum option_id id)
{
	return ctl_arguments.given[id];
}

/* Reads argv, whose first word is the verb's name, into ctl_arguments.  Returns CTL_OK, or
 * CTL_USAGE after a message. */
enum ctl_exit ctl_options_read(const struct verb *verb, int argc, char **argv);
/* Prints "k6fleetctl VERB: WHATARG" and where the help is; returns CTL_USAGE. */
enum ctl_exit ctl_options_bad_usage(const struct verb *verb, const char *what, const char *arg);
/* Spells the option as the help does, "--script FILE" or "-f, --follow"; returns buf. */
const char *ctl_options_spell(enum option_id id, char *buf, size_t size);
/* Returns the command line without its first word, "scale N [--now] [--wait]"; the caller frees. */
char *ctl_options_synopsis(const struct verb *verb);

#endif
