/* SPDX-License-Identifier: MIT */
/*
 * The k6 script of a target.  Pure: text in, text out.
 *
 * A user's script is run through a small module around it, which exports all that the script does and
 * adds what honest numbers need (the count of requests without an answer) and, where agents shall
 * start together, a setup() that waits for the common instant.
 */
#ifndef K6FLEET_SCRIPT_H
#define K6FLEET_SCRIPT_H

#include <stdbool.h>

#include "common/target.h"

/* Seconds that a virtual user rests between two requests of a generated script. */
#define SCRIPT_PACE_S 1

/* The hidden sub-metric that tells how many requests got no answer, and how long they took. */
#define SCRIPT_UNANSWERED "http_req_duration{status:0}"

/* The warning of a k6 that came too late for the common start; the ms follow. */
#define SCRIPT_LATE "k6fleet: not ready at the common start, ms late: "

/* A user's script as it is, or one generated for the URL.  The caller frees the text. */
char *script_make(const struct target *t);
/* Whether a script is to be run through a module around it: one in CommonJS has no exports that could
 * be passed on. */
bool script_is_module(const char *text);
/* k6 v1 and later take TypeScript in files that are called .ts.  By what only TypeScript has, or by
 * a line SCRIPT_TYPESCRIPT. */
#define SCRIPT_TYPESCRIPT "// typescript"
bool script_is_typescript(const char *text);
/* The module around the one at `path` (relative, as in an import).  start_wall_ms: when all shall
 * start, 0: at once.  has_es_modules: as k6version_has_es_modules() says.  The caller frees the text. */
char *script_wrap(const char *path, int64_t start_wall_ms, bool has_es_modules);

#endif
