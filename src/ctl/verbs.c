/* SPDX-License-Identifier: MIT */
/* The table of verbs: help, parsing and completion come from it.  What they do is in verbs_*.c. */
#include "ctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"

#define ANY_NUMBER 10000
/* Where the texts of the help begin. */
#define HELP_INDENT 26
#define HELP_WIDTH 80
#define HELP_TERM_INDENT 4
/* In a verb that was mistyped. */
#define MISTAKES_MAX 2
#define VERB_NAME_MAX 16

static const struct verb verbs[] = {
	{"status", "", "the fleet in some lines, then one line an agent",
		{{OPTION_WATCH, "keep it on the screen"},
			{OPTION_CHECK,
				"for probes: one line, exit 1 unless all agents run, there is a k6 and "
				"the dashboard was reached within three heartbeats"}},
		WORD_NONE, 0, 0, verb_status},
	{"scale", "N", "keep N agents, also across restarts",
		{{OPTION_NOW, "stop the runs of those that go"},
			{OPTION_WAIT,
				"return when they are up, with a progress bar on a terminal"}},
		WORD_NUMBER, 1, 1, verb_scale},
	{"targets", "", "what is run, from where, when next",
		{{OPTION_WATCH, "keep it on the screen"}}, WORD_NONE, 0, 0, verb_targets},
	{"runs", "", "local history, newest first",
		{{OPTION_COUNT, "so many (default: 20)"},
			{OPTION_TARGET, "of this target only: its id or label"},
			{OPTION_AGENT, "of this agent only"},
			{OPTION_FAILED, "only those that did not succeed"},
			{OPTION_WATCH, "keep it on the screen"}},
		WORD_NONE, 0, 0, verb_runs},
	{"show", "RUN", "one run: metrics, resources, the end of k6's log", {{OPTION_END, NULL}},
		WORD_RUN, 1, 1, verb_show},
	{"run", "[TARGET]", "run a target now, or a script of this machine",
		{{OPTION_SCRIPT, "in the place of a target"},
			{OPTION_AGENTS, "on so many idle agents (default: 1), or not at all"},
			{OPTION_SYNC, "all start at the same instant"},
			{OPTION_FOLLOW,
				"show progress, then what all have measured together; exit 1 unless "
				"every run succeeded"},
			{OPTION_VUS, "virtual users, in the place of what target or script say"},
			{OPTION_DURATION, "as 30s or 5m, in the place of what they say"}},
		WORD_TARGET, 0, 1, verb_run},
	{"cancel", "RUN", "stop one run and keep what it has measured so far", {{OPTION_END, NULL}},
		WORD_RUN_GOING_ON, 1, 1, verb_cancel},
	{"logs", "[AGENT...]", "the last lines of k6",
		{{OPTION_FOLLOW, "and those that come, until it is interrupted"}}, WORD_AGENT, 0,
		ANY_NUMBER, verb_logs},
	{"restart", "[AGENT...]", "new workers for these agents, or for all, at once",
		{{OPTION_ROLLING, "a tenth at a time, each after its run"},
			{OPTION_WAIT, "return when all are up, with a progress bar on a terminal"}},
		WORD_AGENT, 0, ANY_NUMBER, verb_restart},
	{"drain", "AGENT", "let it finish, then leave it stopped until restart or scale",
		{{OPTION_END, NULL}}, WORD_AGENT, 1, 1, verb_drain},
	{"pause", "", "start no new runs, also after a restart",
		{{OPTION_NOW, "and stop those that go on: the kill switch"}}, WORD_NONE, 0, 0,
		verb_pause},
	{"resume", "", "start runs again", {{OPTION_END, NULL}}, WORD_NONE, 0, 0, verb_resume},
	{"reload", "", "read the configuration again and say what changed",
		{{OPTION_BINARY, "let the programs on disk take over; workers and runs go on"}},
		WORD_NONE, 0, 0, verb_reload},
	{"metrics", "", "the counters as text for Prometheus", {{OPTION_END, NULL}}, WORD_NONE, 0,
		0, verb_metrics},
	{"ping", "", "whether k6fleetd answers", {{OPTION_END, NULL}}, WORD_NONE, 0, 0, verb_ping},
	{"version", "", "versions of k6fleetctl, k6fleetd and k6", {{OPTION_END, NULL}}, WORD_NONE,
		0, 0, verb_version},
	{"stop", "", "drain all agents and end k6fleetd",
		{{OPTION_NOW, "without waiting for runs"}}, WORD_NONE, 0, 0, verb_stop},
};

const struct verb *verbs_all(size_t *count)
{
	*count = ARRAY_SIZE(verbs);
	return verbs;
}

const struct verb *verbs_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	}
	return NULL;
}

int verbs_bad_usage(const struct verb *verb, const char *what, const char *arg)
{
	fprintf(stderr, "k6fleetctl %s: %s%s\nTry 'k6fleetctl %s --help'.\n", verb->name, what, arg,
		verb->name);
	return CTL_USAGE;
}

json_t *verbs_request(const char *verb)
{
	return json_pack("{s:s}", "verb", verb);
}

/* Words from column `at` on, folded; goes on in column `indent`.  The column behind them. */
static size_t print_words(FILE *out, size_t at, size_t indent, const char *text)
{
	size_t begun = at;

	while (*text) {
		/* What stands in brackets stays together. */
		size_t word = strcspn(text, *text == '[' ? "]" : " ");

		word += text[word] == ']';
		if (at != begun && at + 1 + word > HELP_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = begun = indent;
		}
		at += (size_t)fprintf(out, "%s%.*s", at == begun ? "" : " ", (int)word, text);
		text += word;
		text += strspn(text, " ");
	}
	return at;
}

/* A term, and its text in a column of its own. */
static void print_entry(FILE *out, const char *term, const char *text)
{
	size_t at = print_words(out, (size_t)fprintf(out, "  "), HELP_TERM_INDENT, term);

	if (at + 2 > HELP_INDENT) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", (int)(HELP_INDENT - at), "");
	print_words(out, HELP_INDENT, HELP_INDENT, text);
	fputc('\n', out);
}

static void print_options(FILE *out, const struct verb *verb)
{
	char term[64];

	for (const struct verb_option *o = verb->options; o->id; o++)
		print_entry(out, options_spell(o->id, term, sizeof(term)), o->text);
}

static int print_help(const struct verb *verb)
{
	_cleanup_free_ char *synopsis = options_synopsis(verb);

	printf("usage: k6fleetctl %s\n\n%s.\n", synopsis, verb->text);
	if (verb->options[0].id)
		putchar('\n');
	print_options(stdout, verb);
	puts("\nAll verbs take --json and --no-color, too; more in k6fleetctl(1).");
	return CTL_OK;
}

void ctl_print_verbs(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		_cleanup_free_ char *synopsis = options_synopsis(&verbs[i]);

		print_entry(out, synopsis, verbs[i].text);
	}
}

/* Edits from one word to the other, of which each character is worth one: Levenshtein's distance. */
static size_t distance(const char *a, const char *b)
{
	size_t row[VERB_NAME_MAX + 1], len = strlen(b);

	for (size_t i = 0; i <= len; i++)
		row[i] = i;
	for (size_t i = 1; *a; a++, i++) {
		size_t before = row[0];

		row[0] = i;
		for (size_t k = 1; k <= len; k++) {
			size_t change = before + (*a != b[k - 1]);
			size_t least = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;

			before = row[k];
			row[k] = change < least ? change : least;
		}
	}
	return row[len];
}

/* What may have been meant; NULL: nothing is near. */
static const char *guess(const char *typed)
{
	const char *best = NULL;
	size_t least = MISTAKES_MAX + 1, len = strlen(typed);

	for (size_t i = 0; i < ARRAY_SIZE(verbs) && len > 1 && len <= VERB_NAME_MAX; i++) {
		size_t d = strncmp(verbs[i].name, typed, len) ? distance(typed, verbs[i].name) : 0;

		if (d < least) {
			least = d;
			best = verbs[i].name;
		}
	}
	return best;
}

int ctl_run_verb(struct ctl *ctl, int argc, char **argv)
{
	const struct verb *verb = verbs_find(argv[0]);
	int status;

	if (!verb) {
		const char *meant = guess(argv[0]);

		fprintf(stderr,
			"k6fleetctl: there is no verb \"%s\"%s%s%s\nTry 'k6fleetctl --help'.\n",
			argv[0], meant ? "; did you mean \"" : "", meant ? meant : "",
			meant ? "\"?" : "");
		return CTL_USAGE;
	}
	status = options_read(verb, argc, argv);
	if (status != CTL_OK)
		return status;
	if (given(OPTION_HELP))
		return print_help(verb);
	ctl->json = ctl->json || given(OPTION_JSON);
	ctl->color = ctl->color && !given(OPTION_NO_COLOR);
	return verb->fn(ctl, verb);
}
