/* SPDX-License-Identifier: MIT */
/*
 * Shells call `k6fleetctl __complete WORD...` with the words behind "k6fleetctl" up to the word
 * under the cursor. Each line of the output is a candidate, a tab, and a description; ":files"
 * asks the shell for names of files. The shells' own scripts (contrib/completion) contain no
 * verb and no option, so they cannot be out of date.
 */
#include "ctl/complete.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/mem.h"
#include "ctl/render_table.h"
#include "ctl/verbs.h"

/* After this time the shell offers nothing. */
#define PATIENCE_S 2
#define RUNS_OFFERED 50

struct completion {
	struct ctl *ctl;
	const char *typed;  /* a candidate must begin with this */
	const char *before; /* the part of the word before it: "--agent=" */
	int before_len;
};

static void offer_word(const struct completion *c, const char *word, const char *text)
{
	char line[512];

	if (strncmp(word, c->typed, strlen(c->typed)) != 0)
		return;
	snprintf(line, sizeof(line), "%.*s%s", c->before_len, c->before, word);
	render_clean(line);
	printf("%s", line);
	snprintf(line, sizeof(line), "%s", text);
	render_clean(line);
	printf("\t%s\n", line);
}

static void offer_agents(const struct completion *c)
{
	_cleanup_json_ json_t *status = ctl_call(c->ctl, ctl_request("status"), NULL);
	json_t *agent;
	size_t i;

	json_array_foreach (json_object_get(status, "agents"), i, agent)
		offer_word(c, json_get_text(agent, "name", ""), json_get_text(agent, "state", ""));
}

/* Offers the label of a target that has one, and its id if the typed word begins like it. */
static void offer_targets(const struct completion *c)
{
	_cleanup_json_ json_t *targets = ctl_call(c->ctl, ctl_request("targets"), NULL);
	json_t *target;
	size_t i;

	json_array_foreach (targets, i, target) {
		const char *id = json_get_text(target, "id", "");
		const char *label = json_get_text(target, "label", "");
		const char *what = json_get_text(target, "url", "a script");

		if (*label)
			offer_word(c, label, what);
		if (!*label || (*c->typed && strcmp(label, id) != 0))
			offer_word(c, id, *label ? label : what);
	}
}

static void offer_runs(const struct completion *c)
{
	_cleanup_json_ json_t *runs = ctl_call(
		c->ctl, json_pack("{s:s, s:i}", "verb", "runs", "limit", RUNS_OFFERED), NULL);
	json_t *run;
	size_t i;

	json_array_foreach (runs, i, run) {
		char text[256];

		snprintf(text, sizeof(text), "%s %s %s", json_get_text(run, "targetLabel", ""),
			json_get_text(run, "status", ""), json_get_text(run, "startedAt", ""));
		offer_word(c, json_get_text(run, "id", ""), text);
	}
}

static void offer_runs_going_on(const struct completion *c)
{
	_cleanup_json_ json_t *status = ctl_call(c->ctl, ctl_request("status"), NULL);
	json_t *agent;
	size_t i;

	json_array_foreach (json_object_get(status, "agents"), i, agent) {
		const json_t *run = json_object_get(agent, "run");
		char text[256];

		if (!json_is_object(run))
			continue;
		snprintf(text, sizeof(text), "%s on %s", json_get_text(run, "target", ""),
			json_get_text(agent, "name", ""));
		offer_word(c, json_get_text(run, "id", ""), text);
	}
}

static void offer_kind(const struct completion *c, enum word_kind kind)
{
	switch (kind) {
	case WORD_AGENT: offer_agents(c); break;
	case WORD_TARGET: offer_targets(c); break;
	case WORD_RUN: offer_runs(c); break;
	case WORD_RUN_GOING_ON: offer_runs_going_on(c); break;
	case WORD_FILE: puts(":files"); break;
	case WORD_NONE:
	case WORD_NUMBER:
	case WORD_DURATION: break;
	}
}

static void offer_verbs(const struct completion *c)
{
	static const char *const common[][2] = {{"-s", "control socket"},
		{"--socket", "control socket"}, {"--json", "print one line of JSON"},
		{"--no-color", "no colours"}, {"--version", "print the version"},
		{"--help", "print options and verbs"}};

	for (size_t i = 0; c->typed[0] == '-' && i < ARRAY_SIZE(common); i++)
		offer_word(c, common[i][0], common[i][1]);
	for (size_t i = 0; c->typed[0] != '-' && i < ctl_verbs_count; i++)
		offer_word(c, ctl_verbs[i].name, ctl_verbs[i].text);
}

static void offer_option(const struct completion *c, enum option_id id, const char *text)
{
	char word[32];

	if (ctl_options[id].name)
		snprintf(word, sizeof(word), "--%s", ctl_options[id].name);
	else
		snprintf(word, sizeof(word), "-%c", ctl_options[id].letter);
	offer_word(c, word, text);
}

static void offer_options(const struct completion *c, const struct verb *verb)
{
	for (const struct verb_option *o = verb->options; o->id; o++)
		offer_option(c, o->id, o->text);
	offer_option(c, OPTION_JSON, "print one line of JSON");
	offer_option(c, OPTION_NO_COLOR, "no colours");
	offer_option(c, OPTION_HELP, "print the options of the verb");
}

/* Returns the verb's option that is spelt like the first len bytes of word; NULL: there is none. */
static const struct option_def *find_option(const struct verb *verb, const char *word, size_t len)
{
	for (const struct verb_option *o = verb->options; o->id; o++) {
		const struct option_def *def = &ctl_options[o->id];

		if (len == 2 && def->letter && word[0] == '-' && word[1] == def->letter)
			return def;
		if (def->name && len == strlen(def->name) + 2 && !strncmp(word, "--", 2) &&
			!strncmp(word + 2, def->name, len - 2))
			return def;
	}
	return NULL;
}

/* Returns the place of the verb, or argc without a verb; takes the socket from the options
 * before it. */
static int skip_common(struct ctl *ctl, int argc, char **argv)
{
	int i = 0;

	while (i < argc && argv[i][0] == '-') {
		if ((!strcmp(argv[i], "-s") || !strcmp(argv[i], "--socket")) && i + 1 < argc)
			ctl->client.socket = argv[++i];
		else if (!strncmp(argv[i], "--socket=", 9))
			ctl->client.socket = argv[i] + 9;
		else if (!strncmp(argv[i], "-s", 2) && argv[i][2])
			ctl->client.socket = argv[i] + 2;
		i++;
	}
	return i;
}

/* argv has the words between the verb and the word under the cursor; some shells split
 * "--agent=x" at the "=". */
static void complete_verb(struct completion *c, const struct verb *verb, int argc, char **argv)
{
	const char *last = argc ? argv[argc - 1] : "", *equals = strchr(c->typed, '=');
	const struct option_def *option;

	if (c->typed[0] == '-' && equals) {
		option = find_option(verb, c->typed, (size_t)(equals - c->typed));
		c->before = c->typed;
		c->before_len = (int)(equals + 1 - c->typed);
		c->typed = equals + 1;
		if (option && option->arg)
			offer_kind(c, option->kind);
		return;
	}
	if (!strcmp(c->typed, "="))
		c->typed = "";
	else if (!strcmp(last, "=") && argc > 1)
		last = argv[argc - 2];
	option = find_option(verb, last, strlen(last));
	if (option && option->arg)
		offer_kind(c, option->kind);
	else if (c->typed[0] == '-')
		offer_options(c, verb);
	else
		offer_kind(c, verb->kind);
}

enum ctl_exit ctl_complete(struct ctl *ctl, int argc, char **argv)
{
	struct completion c = {.ctl = ctl, .typed = argc ? argv[argc - 1] : "", .before = ""};
	int words = argc ? argc - 1 : 0, first = skip_common(ctl, words, argv);
	const char *last = words ? argv[words - 1] : "";
	const struct verb *verb;

	/* A supervisor that hangs must not hang the shell. */
	alarm(PATIENCE_S);
	if (!strcmp(last, "-s") || !strcmp(last, "--socket")) {
		puts(":files");
	} else if (first >= words) {
		offer_verbs(&c);
	} else {
		verb = ctl_verbs_find(argv[first]);
		if (verb)
			complete_verb(&c, verb, words - first - 1, argv + first + 1);
	}
	return CTL_OK;
}
