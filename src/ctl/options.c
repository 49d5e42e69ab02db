/* SPDX-License-Identifier: MIT */
/* Makes the tables of getopt_long(3) from the verb's row. */
#include "ctl/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

const struct option_def ctl_options[OPTIONS] = {
	[OPTION_NOW] = {"now", NULL, WORD_NONE, 0},
	[OPTION_WAIT] = {"wait", NULL, WORD_NONE, 0},
	[OPTION_WATCH] = {"watch", NULL, WORD_NONE, 'w'},
	[OPTION_CHECK] = {"check", NULL, WORD_NONE, 0},
	[OPTION_ROLLING] = {"rolling", NULL, WORD_NONE, 0},
	[OPTION_BINARY] = {"binary", NULL, WORD_NONE, 0},
	[OPTION_COUNT] = {NULL, "N", WORD_NUMBER, 'n'},
	[OPTION_TARGET] = {"target", "T", WORD_TARGET, 0},
	[OPTION_AGENT] = {"agent", "A", WORD_AGENT, 0},
	[OPTION_FAILED] = {"failed", NULL, WORD_NONE, 0},
	[OPTION_AGENTS] = {"agents", "N", WORD_NUMBER, 0},
	[OPTION_SYNC] = {"sync", NULL, WORD_NONE, 0},
	[OPTION_FOLLOW] = {"follow", NULL, WORD_NONE, 'f'},
	[OPTION_SCRIPT] = {"script", "FILE", WORD_FILE, 0},
	[OPTION_VUS] = {"vus", "N", WORD_NUMBER, 0},
	[OPTION_DURATION] = {"duration", "D", WORD_DURATION, 0},
	[OPTION_JSON] = {"json", NULL, WORD_NONE, 0},
	[OPTION_NO_COLOR] = {"no-color", NULL, WORD_NONE, 0},
	[OPTION_HELP] = {"help", NULL, WORD_NONE, 'h'},
};

/* The value that getopt_long() returns for the option. */
#define VALUE_OF(id) (ctl_options[id].letter ? ctl_options[id].letter : 256 + (int)(id))

struct arguments ctl_arguments;

/* The verb's options and the common ones, in the form of getopt_long(3). */
struct tables {
	struct option longs[OPTIONS + 1];
	char letters[2 * OPTIONS + 2];
	enum option_id ids[OPTIONS];
	size_t count;
};

static void add_option(struct tables *t, size_t *n_longs, enum option_id id)
{
	const struct option_def *o = &ctl_options[id];
	size_t len = strlen(t->letters);

	t->ids[t->count++] = id;
	if (o->name)
		t->longs[(*n_longs)++] = (struct option){
			o->name, o->arg ? required_argument : no_argument, NULL, VALUE_OF(id)};
	if (o->letter) {
		t->letters[len++] = o->letter;
		if (o->arg)
			t->letters[len] = ':';
	}
}

static void fill(struct tables *t, const struct verb *verb)
{
	size_t n_longs = 0;

	*t = (struct tables){.letters = ":"};
	for (const struct verb_option *o = verb->options; o->id; o++)
		add_option(t, &n_longs, o->id);
	for (enum option_id id = OPTION_JSON; id < OPTIONS; id++)
		add_option(t, &n_longs, id);
}

static void take(const struct tables *t, int c)
{
	for (size_t i = 0; i < t->count; i++) {
		if (VALUE_OF(t->ids[i]) == c) {
			ctl_arguments.given[t->ids[i]] = true;
			ctl_arguments.values[t->ids[i]] = optarg;
		}
	}
}

enum ctl_exit ctl_options_bad_usage(const struct verb *verb, const char *what, const char *arg)
{
	fprintf(stderr, "k6fleetctl %s: %s%s\nTry 'k6fleetctl %s --help'.\n", verb->name, what, arg,
		verb->name);
	return CTL_USAGE;
}

enum ctl_exit ctl_options_read(const struct verb *verb, int argc, char **argv)
{
	struct tables t;
	enum ctl_exit status = CTL_OK;
	int c;

	fill(&t, verb);
	ctl_arguments = (struct arguments){0};
	opterr = 0;
	optind = 0; /* main() has used getopt_long() before: reset it */
	while (status == CTL_OK && (c = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
		if (c == '?')
			status = ctl_options_bad_usage(
				verb, "it takes no option ", argv[optind - 1]);
		else if (c == ':')
			status = ctl_options_bad_usage(
				verb, "a value is missing behind ", argv[optind - 1]);
		else
			take(&t, c);
	}
	ctl_arguments.count = argc - optind;
	ctl_arguments.words = argv + optind;
	if (status != CTL_OK || given(OPTION_HELP))
		return status;
	if (ctl_arguments.count > verb->most)
		return ctl_options_bad_usage(
			verb, "unexpected argument: ", ctl_arguments.words[verb->most]);
	if (ctl_arguments.count < verb->least)
		return ctl_options_bad_usage(verb, "an argument is missing: ", verb->arguments);
	return CTL_OK;
}

const char *ctl_options_spell(enum option_id id, char *buf, size_t size)
{
	const struct option_def *o = &ctl_options[id];
	char letter[4] = {'-', o->letter, '\0'};

	snprintf(buf, size, "%s%s%s%s%s%s", o->letter ? letter : "",
		o->letter && o->name ? ", " : "", o->name ? "--" : "", o->name ? o->name : "",
		o->arg ? " " : "", o->arg ? o->arg : "");
	return buf;
}

char *ctl_options_synopsis(const struct verb *verb)
{
	char *text =
		x_asprintf("%s%s%s", verb->name, verb->arguments[0] ? " " : "", verb->arguments);

	for (const struct verb_option *v = verb->options; v->id; v++) {
		const struct option_def *o = &ctl_options[v->id];
		char letter[4] = {'-', o->letter, '\0'};
		char *longer = x_asprintf("%s [%s%s%s%s]", text, o->name ? "--" : letter,
			o->name ? o->name : "", o->arg ? " " : "", o->arg ? o->arg : "");

		free(text);
		text = longer;
	}
	return text;
}
