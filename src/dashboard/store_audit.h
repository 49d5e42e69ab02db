/* SPDX-License-Identifier: MIT */
/* The audit trail: who has changed which object. */
#ifndef K6FLEET_DASHBOARD_STORE_AUDIT_H
#define K6FLEET_DASHBOARD_STORE_AUDIT_H

#include <jansson.h>
#include <stdint.h>

#include "dashboard/store_base.h"

struct dash_store_audit {
	const char *who, *address, *action, *object; /* borrowed */
	const json_t *detail;                        /* borrowed; NULL: none */
};

/* Adds an entry; belongs into the transaction of the change.  Returns 0, or -1 with err. */
int dash_store_add_audit(struct dash_store *s, const struct dash_store_audit *entry, int64_t now_ms,
	struct err *err);
/* Sets *list to {"items","page","pageSize","total"}, newest entry first, a new reference; page
 * counts from 1. Returns 0, or -1 with err. */
int dash_store_list_audit(
	struct dash_store *s, int64_t page, int64_t page_size, json_t **list, struct err *err);

#endif
