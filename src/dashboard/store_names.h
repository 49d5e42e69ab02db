/* SPDX-License-Identifier: MIT */
/* Numbers for the names of targets and agents, by which runs are counted and listed. */
#ifndef K6FLEET_DASHBOARD_STORE_NAMES_H
#define K6FLEET_DASHBOARD_STORE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "dashboard/store_base.h"

enum dash_store_name_kind { DASH_STORE_NAME_TARGET, DASH_STORE_NAME_AGENT };

struct dash_store_name {
	enum dash_store_name_kind kind;
	const char *host; /* of an agent; "" for a target */
	const char *name;
};

/* Sets *no to the number of the name, at least 1.  A name without a number gets one when `add`
 * is set.  Returns FOUND, NOT_FOUND (never with `add`), or FOUND_ERROR with err. */
enum found dash_store_name_no(struct dash_store *s, const struct dash_store_name *name, bool add,
	int64_t *no, struct err *err);
/* Frees the numbers that are kept in memory. */
void dash_store_names_free(struct dash_store *s);

#endif
