/* SPDX-License-Identifier: MIT */
/* UUIDs of version 7 (RFC 9562): sortable by time, unique without any coordination. */
#ifndef K6FLEET_UUID_H
#define K6FLEET_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_MAX 37 /* 36 characters and the NUL */

/* Writes a fresh UUIDv7 for the given wall time into out[UUID_MAX]; entropy from getrandom(2). */
void uuid_make_v7(int64_t wall_ms, char *out);
/* The canonical form: 8-4-4-4-12 hexadecimal digits.  Run ids become file names, so nothing
 * else may pass for one. */
bool uuid_is_valid(const char *s);
/* Its last group, all of which is random: what tables show where a whole one is too wide. */
#define UUID_END 12
bool uuid_is_end(const char *s);
/* Whether text is this UUID or its end. */
bool uuid_matches(const char *uuid, const char *text);

#endif
