/* SPDX-License-Identifier: MIT */
/* getopt_long(3) fed from the table of verbs. */
#include "ctl/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "ctl/verbs.h"

const struct option_def options[OPTIONS] = {
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

/* getopt's value for an option without a letter. */
#define VALUE_OF(id) (options[id].letter ? options[id].letter : 256 + (int)(id))

struct arguments arguments;

/* The verb's options and those that all take, as getopt wants them. */
struct tables {
	struct option longs[OPTIONS + 1];
	char letters[2 * OPTIONS + 2];
	enum option_id ids[OPTIONS];
	size_t count;
};

static void add(struct tables *t, size_t *n_longs, enum option_id id)
{
	const struct option_def *o = &options[id];
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
		add(t, &n_longs, o->id);
	for (enum option_id id = OPTION_JSON; id < OPTIONS; id++)
		add(t, &n_longs, id);
}

static void take(const struct tables *t, int c)
{
	for (size_t i = 0; i < t->count; i++) {
		if (VALUE_OF(t->ids[i]) == c) {
			arguments.given[t->ids[i]] = true;
			arguments.values[t->ids[i]] = optarg;
		}
	}
}

int options_read(const struct verb *verb, int argc, char **argv)
{
	struct tables t;
	int c, status = CTL_OK;

	fill(&t, verb);
	arguments = (struct arguments){0};
	opterr = 0;
	optind = 0; /* start anew: main() has used getopt before */
	while (status == CTL_OK && (c = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
		if (c == '?')
			status = verbs_bad_usage(verb, "it takes no option ", argv[optind - 1]);
		else if (c == ':')
			status = verbs_bad_usage(
				verb, "a value is missing behind ", argv[optind - 1]);
		else
			take(&t, c);
	}
	arguments.count = argc - optind;
	arguments.words = argv + optind;
	if (status != CTL_OK || given(OPTION_HELP))
		return status;
	if (arguments.count > verb->most)
		return verbs_bad_usage(verb, "unexpected argument: ", arguments.words[verb->most]);
	if (arguments.count < verb->least)
		return verbs_bad_usage(verb, "an argument is missing: ", verb->arguments);
	return CTL_OK;
}

const char *options_spell(enum option_id id, char *buf, size_t size)
{
	const struct option_def *o = &options[id];
	char letter[4] = {'-', o->letter, '\0'};

	snprintf(buf, size, "%s%s%s%s%s%s", o->letter ? letter : "",
		o->letter && o->name ? ", " : "", o->name ? "--" : "", o->name ? o->name : "",
		o->arg ? " " : "", o->arg ? o->arg : "");
	return buf;
}

char *options_synopsis(const struct verb *verb)
{
	char *text =
		x_asprintf("%s%s%s", verb->name, verb->arguments[0] ? " " : "", verb->arguments);

	for (const struct verb_option *v = verb->options; v->id; v++) {
		const struct option_def *o = &options[v->id];
		char letter[4] = {'-', o->letter, '\0'};
		char *longer = x_asprintf("%s [%s%s%s%s]", text, o->name ? "--" : letter,
			o->name ? o->name : "", o->arg ? " " : "", o->arg ? o->arg : "");

		free(text);
		text = longer;
	}
	return text;
}
