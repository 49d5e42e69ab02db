/* SPDX-License-Identifier: MIT */
/* Entity tags (RFC 9110 8.8.3). */
#ifndef K6FLEET_DASHBOARD_ETAG_H
#define K6FLEET_DASHBOARD_ETAG_H

#include <stdbool.h>

#define ETAG_MAX 24 /* with quotes and NUL */

/* Writes the tag of a body to out, ETAG_MAX bytes.  Equal bodies have equal tags, also after a
 * restart. */
void etag_make(const char *body, char *out);
/* Returns whether a header If-None-Match (NULL: none) names the tag. */
bool etag_matches(const char *header, const char *etag);

#endif
