/* SPDX-License-Identifier: MIT */
/* The targets that are known, from the dashboard and from the configuration file, and their
 * place in the schedule. */
#ifndef K6FLEET_TARGETS_H
#define K6FLEET_TARGETS_H

#include <jansson.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/target.h"
#include "supervisor/kept.h"
#include "supervisor/schedule.h"
#include "supervisor/fleet_store.h"

struct targets;

/* origins: what fleet_store_origins() gave; taken over. */
struct targets *targets_new(const struct conf *conf, struct schedule *schedule,
	struct fleet_store *store, struct kept *kept, json_t *origins);
void targets_free(struct targets *t);
/* Wall less monotonic clock as the keeper took it at its start: origins are converted by it, so that
 * a supervisor that starts after a jump of the wall clock goes on in the same phase. */
void targets_set_clock(struct targets *t, int64_t offset_ms);
/* After a reload: conf replaces the one that was given before. */
void targets_reconfigure(struct targets *t, const struct conf *conf);
/* Replaces the dashboard's targets by the array of the API.  A bad one is left out and said; a
 * list that is none at all changes nothing and is an error.  What was cached counts too. */
int targets_apply(struct targets *t, const json_t *list, struct err *err);
/* What a run of the target is expected to use, in bytes: the most of its last few, or for one that has
 * not been run a guess. */
int64_t targets_cost(const struct targets *t, const struct target *target);
/* A run of that target has used so much. */
void targets_learn(struct targets *t, const char *id, int64_t bytes);
/* Targets with this in common share max_per_target: the host of the URL.  Nobody knows where a script
 * aims, so each is a host of its own.  The caller frees it. */
char *targets_host(const struct target *target);
/* By id, by name in the file or by a label that no other has; NULL and err. */
const struct target *targets_resolve(const struct targets *t, const char *name, struct err *err);
const struct target *targets_find(const struct targets *t, const char *id);
/* For `k6fleetctl targets`: new reference. */
json_t *targets_to_json(const struct targets *t);

#endif
