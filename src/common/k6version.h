/* SPDX-License-Identifier: MIT */
/* Which k6 a binary is.  Pure. */
#ifndef K6FLEET_K6VERSION_H
#define K6FLEET_K6VERSION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define K6VERSION_MAX 64
/* From v0.49 to v2 the options, exit codes and summaries that are used here are the same. */
#define K6VERSION_SUPPORTED "v0.49 to v2"

/* What `k6 version` printed ("k6 v2.2.0 (go1.26, linux/amd64)", in older ones "k6 v0.49.0 (...)") to
 * "v2.2.0".  -1 and err when it is no k6, or one that is not supported. */
int k6version_parse(const char *printed, char version[K6VERSION_MAX], struct err *err);

/* Whether that version keeps modules as they are; those before v0.53 make CommonJS of them. */
bool k6version_has_es_modules(const char *version);

#endif
