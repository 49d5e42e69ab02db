/* SPDX-License-Identifier: MIT */
/* What the files with verbs share. */
#ifndef K6FLEET_CTL_VERBS_H
#define K6FLEET_CTL_VERBS_H

#include "ctl/ctl.h"
#include "ctl/options.h"

/* All of them, in the order of the help; *count of them. */
const struct verb *verbs_all(size_t *count);
/* NULL: there is none of that name. */
const struct verb *verbs_find(const char *name);
/* Says what is wrong with the arguments; CTL_USAGE. */
int verbs_bad_usage(const struct verb *verb, const char *what, const char *arg);
/* {"verb": name}; new reference. */
json_t *verbs_request(const char *verb);

/* In verbs_fleet.c. */
int verb_scale(struct ctl *ctl, const struct verb *verb);
int verb_restart(struct ctl *ctl, const struct verb *verb);
int verb_drain(struct ctl *ctl, const struct verb *verb);
int verb_pause(struct ctl *ctl, const struct verb *verb);
int verb_resume(struct ctl *ctl, const struct verb *verb);
int verb_reload(struct ctl *ctl, const struct verb *verb);
int verb_metrics(struct ctl *ctl, const struct verb *verb);
int verb_ping(struct ctl *ctl, const struct verb *verb);
int verb_version(struct ctl *ctl, const struct verb *verb);
int verb_stop(struct ctl *ctl, const struct verb *verb);
/* In verbs_view.c. */
int verb_status(struct ctl *ctl, const struct verb *verb);
int verb_targets(struct ctl *ctl, const struct verb *verb);
int verb_runs(struct ctl *ctl, const struct verb *verb);
int verb_show(struct ctl *ctl, const struct verb *verb);
/* In verbs_run.c. */
int verb_run(struct ctl *ctl, const struct verb *verb);
int verb_cancel(struct ctl *ctl, const struct verb *verb);
int verb_logs(struct ctl *ctl, const struct verb *verb);

#endif
