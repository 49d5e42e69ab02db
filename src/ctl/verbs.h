/* SPDX-License-Identifier: MIT */
/* What the files with verbs share. */
#ifndef K6FLEET_CTL_VERBS_H
#define K6FLEET_CTL_VERBS_H

#include <getopt.h>

#include "ctl/ctl.h"

/* Says what is wrong with the arguments; CTL_USAGE. */
int verbs_bad_usage(const char *verb, const char *what, const char *arg);
/* Verbs without options of their own: whether there are so many arguments, from optind on. */
bool verbs_no_options(struct ctl *ctl, int argc, char **argv, int arguments);
/* Options that every verb takes too, behind its name: --json and --no-color. */
bool verbs_take_common(struct ctl *ctl, int c);

enum { VERBS_OPT_JSON = 256, VERBS_OPT_NO_COLOR, VERBS_OPT_OWN };

#define VERBS_COMMON_OPTIONS \
	{"json", no_argument, NULL, VERBS_OPT_JSON}, \
		{"no-color", no_argument, NULL, VERBS_OPT_NO_COLOR}, \
	{ \
		NULL, 0, NULL, 0 \
	}

/* In verbs_run.c. */
int verb_run(struct ctl *ctl, int argc, char **argv);
int verb_cancel(struct ctl *ctl, int argc, char **argv);
int verb_logs(struct ctl *ctl, int argc, char **argv);

#endif
