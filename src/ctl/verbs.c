/* SPDX-License-Identifier: MIT */
/* The table of verbs: parsing, help and completion come from it.  The functions are in
 * verbs_*.c. */
#include "ctl/verbs.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "ctl/help.h"

#define ANY_NUMBER 10000

const struct verb ctl_verbs[] = {
	{"status", "", "the fleet in a few lines, then a line for each agent",
		{{OPTION_WATCH, "repeat it on the screen"},
			{OPTION_CHECK,
				"for probes: one line, exit 1 unless all agents run, there is a k6, the "
				"storage works and the dashboard was reached within three heartbeats"}},
		WORD_NONE, 0, 0, ctl_verb_status},
	{"scale", "N", "keep N agents, also across restarts",
		{{OPTION_NOW, "cancel the runs of agents that go; keep the partial results"},
			{OPTION_WAIT,
				"return when the count is reached, with a progress bar on a terminal"}},
		WORD_NUMBER, 1, 1, ctl_verb_scale},
	{"targets", "", "the targets, their source, their next instant",
		{{OPTION_WATCH, "repeat it on the screen"}}, WORD_NONE, 0, 0, ctl_verb_targets},
	{"runs", "", "local history, newest first",
		{{OPTION_COUNT, "number of runs (default: 20)"},
			{OPTION_TARGET, "runs of this target only: its id or label"},
			{OPTION_AGENT, "runs of this agent only"},
			{OPTION_FAILED, "only runs that did not succeed"},
			{OPTION_WATCH, "repeat it on the screen"}},
		WORD_NONE, 0, 0, ctl_verb_runs},
	{"show", "RUN", "one run: metrics, resources, the end of k6's log", {{OPTION_END, NULL}},
		WORD_RUN, 1, 1, ctl_verb_show},
	{"run", "[TARGET]", "run a target now, or a script of this machine",
		{{OPTION_SCRIPT, "run this script instead of a target"},
			{OPTION_AGENTS,
				"number of idle agents (default: 1); if fewer are idle, nothing starts"},
			{OPTION_SYNC, "all start at the same instant"},
			{OPTION_FOLLOW,
				"show progress, then the combined result; exit 1 unless "
				"every run succeeded"},
			{OPTION_VUS, "virtual users, overrides target and script"},
			{OPTION_DURATION, "duration as 30s or 5m, overrides target and script"}},
		WORD_TARGET, 0, 1, ctl_verb_run},
	{"cancel", "RUN", "stop one run and keep its measurements until then", {{OPTION_END, NULL}},
		WORD_RUN_GOING_ON, 1, 1, ctl_verb_cancel},
	{"logs", "[AGENT...]", "the last lines of k6",
		{{OPTION_FOLLOW, "go on with new lines until it is interrupted"}}, WORD_AGENT, 0,
		ANY_NUMBER, ctl_verb_logs},
	{"restart", "[AGENT...]", "new workers for these agents, or for all, at once",
		{{OPTION_ROLLING, "a tenth at a time, each after its run"},
			{OPTION_WAIT, "return when all are up, with a progress bar on a terminal"}},
		WORD_AGENT, 0, ANY_NUMBER, ctl_verb_restart},
	{"drain", "AGENT",
		"let the agent finish its run, then hold it stopped until restart or scale",
		{{OPTION_END, NULL}}, WORD_AGENT, 1, 1, ctl_verb_drain},
	{"pause", "", "start no new runs, also across restarts",
		{{OPTION_NOW, "also cancel running ones: the kill switch"}}, WORD_NONE, 0, 0,
		ctl_verb_pause},
	{"resume", "", "start runs again", {{OPTION_END, NULL}}, WORD_NONE, 0, 0, ctl_verb_resume},
	{"reload", "", "read the configuration again and print the changes",
		{{OPTION_BINARY, "hand over to the programs on disk; workers and runs go on"}},
		WORD_NONE, 0, 0, ctl_verb_reload},
	{"metrics", "", "the counters in the text format of Prometheus", {{OPTION_END, NULL}},
		WORD_NONE, 0, 0, ctl_verb_metrics},
	{"ping", "", "check whether k6fleetd responds", {{OPTION_END, NULL}}, WORD_NONE, 0, 0,
		ctl_verb_ping},
	{"version", "", "versions of k6fleetctl, k6fleetd and k6", {{OPTION_END, NULL}}, WORD_NONE,
		0, 0, ctl_verb_version},
	{"stop", "", "drain all agents and end k6fleetd", {{OPTION_NOW, "do not wait for runs"}},
		WORD_NONE, 0, 0, ctl_verb_stop},
};

const size_t ctl_verbs_count = ARRAY_SIZE(ctl_verbs);

const struct verb *ctl_verbs_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ctl_verbs); i++) {
		if (!strcmp(ctl_verbs[i].name, name))
			return &ctl_verbs[i];
	}
	return NULL;
}

static enum ctl_exit refuse_unknown(const char *name)
{
	const char *meant = ctl_help_guess(ctl_verbs, ARRAY_SIZE(ctl_verbs), name);

	fprintf(stderr, "k6fleetctl: there is no verb \"%s\"%s%s%s\nTry 'k6fleetctl --help'.\n",
		name, meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
	return CTL_USAGE;
}

enum ctl_exit ctl_verbs_run(struct ctl *ctl, int argc, char **argv)
{
	const struct verb *verb = ctl_verbs_find(argv[0]);
	enum ctl_exit status;

	if (!verb)
		return refuse_unknown(argv[0]);
	status = ctl_options_read(verb, argc, argv);
	if (status != CTL_OK)
		return status;
	if (given(OPTION_HELP)) {
		ctl_help_verb(verb);
		return CTL_OK;
	}
	ctl->json = ctl->json || given(OPTION_JSON);
	ctl->screen.color = ctl->screen.color && !given(OPTION_NO_COLOR);
	return verb->fn(ctl, verb);
}
