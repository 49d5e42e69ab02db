/* SPDX-License-Identifier: MIT */
/*
 * What the fleet keeps over restarts besides runs: a few texts by key, all read before anything
 * is decided.
 *
 * If one of them cannot be read, or has not its form, nobody knows whether the fleet is paused or
 * how large it shall be.  Then the store fails until the next start, so no runs are started; the
 * fleet counts as paused; and nothing is written to any of the texts, for they may be readable
 * again after a repair.  Changes by operators then apply until the next start only.
 */
#ifndef K6FLEET_KEPT_H
#define K6FLEET_KEPT_H

#include "supervisor/fleet_store.h"

/* X(ID, key in the store, form, what it is, for the log)
 * The forms: `count` is "COUNT REVISION", `number` a decimal number, `flag` "0" or "1"; `slots`,
 * `ids` and `targets` are JSON arrays of integers, of strings and of anything. */
#define KEPT_TEXTS(X) \
	X(DESIRED, "desired", count, "the desired count") \
	X(COUNT_IN_FILE, "workers_in_file", number, "the count that the configuration file had") \
	X(PAUSED, "paused", flag, "whether the fleet is paused") \
	X(HELD, "held", slots, "which agents are drained") \
	X(COMMANDS_DONE, "commands_done", ids, "which commands of the dashboard were carried out") \
	X(TARGETS, "dashboard_targets", targets, "the dashboard's targets")

enum kept_id {
#define X(id, key, form, what) KEPT_##id,
	KEPT_TEXTS(X)
#undef X
		KEPT_COUNT
};

struct kept;

/* Reads all texts synchronously; call it before fleet_store_start().  Never returns NULL.  If a
 * text cannot be read, or has not its form, sets the store's state to FAILING, which logs one
 * line. */
struct kept *kept_load(struct fleet_store *store);
/* NULL is allowed. */
void kept_free(struct kept *k);
/* Returns the text as it was at the start; NULL if it was never set, or if kept_error() is not
 * NULL.  Borrowed. */
const char *kept_get(const struct kept *k, enum kept_id id);
/* Queues a write; the text is copied.  Does nothing while kept_error() is not NULL. */
void kept_set(struct kept *k, enum kept_id id, const char *text);
/* Returns NULL if all could be read, else what could not and why.  Borrowed; never changes after
 * kept_load(). */
const char *kept_error(const struct kept *k);

#endif
