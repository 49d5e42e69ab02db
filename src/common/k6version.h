/* SPDX-License-Identifier: MIT */
/* Versions of k6: parsing, and which are supported.  Pure. */
#ifndef K6FLEET_K6VERSION_H
#define K6FLEET_K6VERSION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define K6VERSION_MAX 64
/* k6fleet uses options, exit codes and summaries that are the same in all of these versions. */
#define K6VERSION_SUPPORTED "v0.49 to v2"

/* Extracts "v2.2.0" from the output of `k6 version`: "k6 v2.2.0 (go1.26, linux/amd64)", in older
 * versions "k6 v0.49.0 (...)".  Returns 0, or -1 and err if the output has no version or one
 * that is not supported. */
int k6version_parse(const char *printed, char version[K6VERSION_MAX], struct err *err);

/* Whether this version runs ES modules as such; versions before v0.53 convert them to CommonJS.
 * True for a text that is no version. */
bool k6version_has_es_modules(const char *version);

#endif
