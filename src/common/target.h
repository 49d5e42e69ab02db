/* SPDX-License-Identifier: MIT */
/*
 * A target: what to run, how often, on how many agents.  One model for the dashboard (which
 * validates it for its users), the supervisor (which trusts neither the dashboard nor the
 * file) and the worker (which turns it into a k6 script).  JSON as in the HTTP API.
 */
#ifndef K6FLEET_TARGET_H
#define K6FLEET_TARGET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define TARGET_SCRIPT_MAX (1024 * 1024)
#define TARGET_BODY_MAX (256 * 1024)
#define TARGET_TEXT_MAX 8192
#define TARGET_ID_MAX 128

struct target {
	char *id;
	char *label;
	char *url;    /* NULL with a script */
	char *script; /* NULL with a URL */
	char *method;
	char *body;                /* NULL: none */
	json_t *headers;           /* object name -> string */
	json_t *thresholds;        /* object metric -> array of expressions */
	json_t *tags;              /* object key -> string */
	json_t *expected_statuses; /* array of integers; empty: k6's own 200..399 */
	int64_t vus;
	int64_t duration_ms;
	int64_t interval_ms;
	int64_t max_agents; /* 0: all */
	int64_t timeout_ms; /* 0: from the duration */
	bool checks_count;  /* failed checks fail the run */
	bool enabled;
};

struct target_error {
	char field[64];    /* "" when no single field is to blame */
	bool out_of_range; /* else malformed: the wrong type or an unknown field */
	struct err err;
};

/* A target with the defaults of the API. */
struct target *target_new(void);
void target_free(struct target *t);
struct target *target_copy(const struct target *t);
/* Applies the members of the object to t.  strict refuses unknown members; id, createdAt and
 * updatedAt are ignored.  t is undefined after an error. */
int target_apply_json(
	struct target *t, const json_t *object, bool strict, struct target_error *err);
/* Checks t as a whole: exactly one of url and script. */
int target_validate(const struct target *t, struct target_error *err);
/* New reference.  mask hides header values, bodies and scripts. */
json_t *target_to_json(const struct target *t, bool mask);
/* "http://" or "https://", a host, no white space or control characters. */
int target_check_url(const char *url, struct err *err);

#endif
