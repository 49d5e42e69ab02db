/* SPDX-License-Identifier: MIT */
/* The targets of this host, from the dashboard and from k6fleetd.conf: keeps them in the
 * schedule, keeps the dashboard's list over a restart, and estimates how much memory a run of
 * each uses. */
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

/* Takes the targets of conf and, if conf names a dashboard, the list that was kept from it.
 * origins, of fleet_store_origins(), now belongs to the result; everything else must outlive it.
 * Freed with targets_free(). */
struct targets *targets_new(const struct conf *conf, struct schedule *schedule,
	struct fleet_store *store, struct kept *kept, json_t *origins);
void targets_free(struct targets *t);
/* Sets the difference of wall and monotonic clock to the one that the keeper measured at its
 * start.  Phase origins are converted with it, so a supervisor that starts after a jump of the
 * wall clock keeps the phase. */
void targets_set_clock(struct targets *t, int64_t offset_ms);
/* After a reload: replaces the file's targets by conf's targets.  conf must outlive t. */
void targets_reconfigure(struct targets *t, const struct conf *conf);
/* Replaces the dashboard's targets by the array of the API, and keeps it for the next start.  An
 * invalid target is left out and logged.  Returns 0; -1 and err, without any change, if list is
 * no array. */
int targets_apply(struct targets *t, const json_t *list, struct err *err);
/* The memory in bytes that a run of the target is expected to use: the most of its last eight
 * runs, or a guess if it has not run yet. */
int64_t targets_cost(const struct targets *t, const struct target *target);
/* Records that a run of the target with this id used so many bytes. */
void targets_learn(struct targets *t, const char *id, int64_t bytes);
/* Returns the key by which max_per_target counts runs: the host of the target's URL, or the
 * target's id for a script, whose hosts are not known.  The caller frees it. */
char *targets_host(const struct target *target);
/* Finds a target by its id, its name in the file, or a label that no other target has.  Borrowed
 * until the next change of targets; NULL and err if there is no such target or several have the
 * label. */
const struct target *targets_resolve(const struct targets *t, const char *name, struct err *err);
/* Finds a target by its id, borrowed in the same way; NULL if there is none. */
const struct target *targets_find(const struct targets *t, const char *id);
/* The array for `k6fleetctl targets`, masked, with source, next instant and missed runs.  New
 * reference. */
json_t *targets_to_json(const struct targets *t);

#endif
