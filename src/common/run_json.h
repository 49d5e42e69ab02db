/* SPDX-License-Identifier: MIT */
/* The JSON of a run, by the rows of run.h. */
#ifndef K6FLEET_RUN_JSON_H
#define K6FLEET_RUN_JSON_H

#include <jansson.h>

#include "common/run.h"

/* Returns the fields that the document has as compact JSON, in the order of the table; the
 * caller frees it. A log is never in it: both stores keep it beside the JSON. */
char *run_to_text(const struct run *r, enum run_document document);

/* A reader of the HTTP body may have taken the lists of quantiles out of it and left an integer
 * in the place of each.  Returns the list of that number, QUANTILES numbers that ascend, which
 * the caller owns; or NULL. */
typedef double *run_lifted(void *arg, long long number);

/* Reads a run object whose sender is not trusted.  Every field of the table is checked; members
 * without a row are ignored, members that are missing are null.  lifted may be NULL.  Returns 0,
 * and the caller clears out; returns -1 with err naming the first field that is wrong, and out
 * needs no clearing. */
int run_from_json(
	const json_t *in, run_lifted *lifted, void *arg, struct run *out, struct err *err);

#endif
