/* SPDX-License-Identifier: MIT */
/* Run objects as agents send them: checked field by field before they are stored. */
#ifndef K6FLEET_DASHBOARD_RUN_JSON_H
#define K6FLEET_DASHBOARD_RUN_JSON_H

#include <jansson.h>

#include "common/err.h"

/* A clean copy with exactly the fields of the API (and startedAtMs for the store), or NULL with
 * what is wrong. */
json_t *run_json_check(const json_t *in, struct err *err);

#endif
