/* SPDX-License-Identifier: MIT */
/* The k6 script of a target.  Pure: text in, text out. */
#ifndef K6FLEET_SCRIPT_H
#define K6FLEET_SCRIPT_H

#include "common/target.h"

/* Seconds that a virtual user rests between two requests of a generated script. */
#define SCRIPT_PACE_S 1

/* The hidden sub-metric that tells how many requests got no answer, and how long they took. */
#define SCRIPT_UNANSWERED "http_req_duration{status:0}"

/* A user's script as it is, or one generated for the URL.  The caller frees the text. */
char *script_make(const struct target *t);

#endif
