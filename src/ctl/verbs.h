/* SPDX-License-Identifier: MIT */
/* The table of verbs, and the functions in it. */
#ifndef K6FLEET_CTL_VERBS_H
#define K6FLEET_CTL_VERBS_H

#include <stddef.h>

#include "ctl/ctl.h"
#include "ctl/options.h"

/* All verbs in the order of the help. */
extern const struct verb ctl_verbs[];
extern const size_t ctl_verbs_count;

/* Returns the verb of this name; NULL: there is none. */
const struct verb *ctl_verbs_find(const char *name);
/* Runs a verb, whose name is argv[0], with its options and arguments.  Returns the exit status. */
enum ctl_exit ctl_verbs_run(struct ctl *ctl, int argc, char **argv);

/* Each sends its request, prints the result and returns the exit status; ctl_arguments has its
 * options and arguments; ctl_options_read() has checked the number of arguments. */

/* In verbs_fleet.c. */
enum ctl_exit ctl_verb_scale(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_restart(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_drain(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_pause(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_resume(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_reload(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_metrics(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_ping(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_version(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_stop(struct ctl *ctl, const struct verb *verb);
/* In verbs_view.c. */
enum ctl_exit ctl_verb_status(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_targets(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_runs(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_show(struct ctl *ctl, const struct verb *verb);
/* In verbs_run.c. */
enum ctl_exit ctl_verb_run(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_cancel(struct ctl *ctl, const struct verb *verb);
enum ctl_exit ctl_verb_logs(struct ctl *ctl, const struct verb *verb);

#endif
