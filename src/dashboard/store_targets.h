/* SPDX-License-Identifier: MIT */
/* Targets.  Functions that write belong into a transaction. */
#ifndef K6FLEET_DASHBOARD_STORE_TARGETS_H
#define K6FLEET_DASHBOARD_STORE_TARGETS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/target.h"
#include "dashboard/store_base.h"

/* Adds the target and gives it an id (t->id).  Returns 0, or -1 with err. */
int dash_store_insert_target(
	struct dash_store *s, struct target *t, int64_t now_ms, struct err *err);
/* Return FOUND, NOT_FOUND when there is no target of this id, or FOUND_ERROR with err. */
enum found dash_store_update_target(
	struct dash_store *s, const struct target *t, int64_t now_ms, struct err *err);
enum found dash_store_delete_target(struct dash_store *s, const char *id, struct err *err);
/* Sets *json (a new reference) to the target as the API has it, with createdAt and updatedAt,
 * and *t (target_free()) to the target; both may be NULL.  The JSON has what the reader may see.
 * Returns FOUND, NOT_FOUND, or FOUND_ERROR with err, also when the row cannot be parsed. */
enum found dash_store_get_target(struct dash_store *s, const char *id, enum target_reader reader,
	json_t **json, struct target **t, struct err *err);
/* Sets *list to an array of all targets as dash_store_get_target() has them, oldest first, a new
 * reference. Returns 0, or -1 with err. */
int dash_store_list_targets(
	struct dash_store *s, enum target_reader reader, json_t **list, struct err *err);
/* The same for the targets that the host needs: enabled ones, and ones that a command for it
 * names. */
int dash_store_list_targets_for(
	struct dash_store *s, const char *host, int64_t now_ms, json_t **list, struct err *err);
/* Sets *count to the number of targets with this label, at most 2, and writes the id of the
 * first one (UUID_MAX bytes) to id.  Returns 0, or -1 with err. */
int dash_store_find_target(
	struct dash_store *s, const char *label, int *count, char *id, struct err *err);
/* Returns FOUND when there is or was a target of this id: here, or as a target of runs.  Returns
 * NOT_FOUND, or FOUND_ERROR with err. */
enum found dash_store_knows_target(struct dash_store *s, const char *id, struct err *err);

#endif
