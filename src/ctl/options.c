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
	[OPTION_NOW] = {"now", 0, NULL, WORD_NONE},
	[OPTION_WAIT] = {"wait", 0, NULL, WORD_NONE},
	[OPTION_WATCH] = {"watch", 'w', NULL, WORD_NONE},
	[OPTION_CHECK] = {"check", 0, NULL, WORD_NONE},
	[OPTION_ROLLING] = {"rolling", 0, NULL, WORD_NONE},
	[OPTION_BINARY] = {"binary", 0, NULL, WORD_NONE},
	[OPTION_COUNT] = {NULL, 'n', "N", WORD_NUMBER},
	[OPTION_TARGET] = {"target", 0, "T", WORD_TARGET},
	[OPTION_AGENT] = {"agent", 0, "A", WORD_AGENT},
	[OPTION_FAILED] = {"failed", 0, NULL, WORD_NONE},
	[OPTION_AGENTS] = {"agents", 0, "N", WORD_NUMBER},
	[OPTION_SYNC] = {"sync", 0, NULL, WORD_NONE},
	[OPTION_FOLLOW] = {"follow", 'f', NULL, WORD_NONE},
	[OPTION_SCRIPT] = {"script", 0, "FILE", WORD_FILE},
	[OPTION_VUS] = {"vus", 0, "N", WORD_NUMBER},
	[OPTION_DURATION] = {"duration", 0, "D", WORD_DURATION},
	[OPTION_JSON] = {"json", 0, NULL, WORD_NONE},
	[OPTION_NO_COLOR] = {"no-color", 0, NULL, WORD_NONE},
	[OPTION_HELP] = {"help", 'h', NULL, WORD_NONE},
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

static int take(const struct tables *t, int c)
{
	for (size_t i = 0; i < t->count; i++) {
		if (VALUE_OF(t->ids[i]) == c) {
			arguments.given[t->ids[i]] = true;
			arguments.values[t->ids[i]] = optarg;
		}
	}
	return CTL_OK;
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
			status = verbs_bad_usage(verb, "a value is missing behind ", argv[optind - 1]);
		else
			status = take(&t, c);
	}
	arguments.count = argc - optind;
	arguments.words = argv + optind;
	if (status != CTL_OK || given(OPTION_HELP))
		return status;
	if (arguments.count > verb->most)
		return verbs_bad_usage(
			verb, "unexpected argument: ", arguments.words[verb->most]);
	if (arguments.count < verb->least)
		return verbs_bad_usage(verb, "an argument is missing: ", verb->arguments);
	return CTL_OK;
}

const char *options_spell(enum option_id id, char *buf, size_t size)
{
	const struct option_def *o = &options[id];
	char letter[4] = {'-', o->letter, '\0'};

	snprintf(buf, size, "%s%s%s%s%s%s", o->letter ? letter : "", o->letter && o->name ? ", " : "",
		o->name ? "--" : "", o->name ? o->name : "", o->arg ? " " : "",
		o->arg ? o->arg : "");
	return buf;
}

char *options_synopsis(const struct verb *verb)
{
	char *text = x_asprintf("%s%s%s", verb->name, verb->arguments[0] ? " " : "", verb->arguments);

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
