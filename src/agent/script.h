/* SPDX-License-Identifier: MIT */
/*
 * The k6 script of a target.  Pure: text in, text out.
 *
 * k6 runs a user's script through a small module around it.  The module exports all exports of
 * the script, adds the sub-metric of requests without a response, and, for a common start, a
 * setup() that waits for that time.
 */
#ifndef K6FLEET_SCRIPT_H
#define K6FLEET_SCRIPT_H

#include <stdbool.h>

#include "common/target.h"

/* Seconds that a virtual user sleeps between two requests of a generated script. */
#define SCRIPT_PACE_S 1

/* The hidden sub-metric with the requests that got no response, and how long they took. */
#define SCRIPT_UNANSWERED "http_req_duration{status:0}"

/* Prefix of the line that the generated module prints if it missed the common start, followed by
 * the delay in ms. */
#define SCRIPT_LATE "k6fleet: not ready at the common start, ms late: "

/* Returns the user's script as it is, or one generated for the URL; the caller frees it. */
char *script_make(const struct target *t);
/* Whether the script is an ES module, which can be run through a module around it.  The exports
 * of CommonJS cannot be passed on. */
bool script_is_module(const char *text);
/* Whether the script is TypeScript, which k6 from v1 on takes in files named .ts: it has syntax
 * that only TypeScript has, or a line SCRIPT_TYPESCRIPT. */
#define SCRIPT_TYPESCRIPT "// typescript"
bool script_is_typescript(const char *text);
/* Returns the text of the module around the one at `path` (relative, as in an import); the
 * caller frees it. start_wall_ms: common start; 0: at once.  has_es_modules: of
 * k6version_has_es_modules(). */
char *script_wrap(const char *path, int64_t start_wall_ms, bool has_es_modules);

#endif
