/* SPDX-License-Identifier: MIT */
/* UUIDs of version 7 (RFC 9562): they sort by time and are unique without coordination. */
#ifndef K6FLEET_UUID_H
#define K6FLEET_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_MAX 37 /* 36 characters and the NUL */

/* Writes a new UUIDv7 for the wall time into out[UUID_MAX].  The random bits come from
 * getrandom(2); without them the process aborts. */
void uuid_make_v7(int64_t wall_ms, char *out);
/* Whether s has the canonical form: 8-4-4-4-12 hexadecimal digits.  Run ids become file names,
 * so no other form is valid. */
bool uuid_is_valid(const char *s);
/* Whether s has the form of the last group of a UUID: 12 hexadecimal digits, all random.  Tables
 * show the last group where a whole UUID is too wide. */
#define UUID_END 12
bool uuid_is_end(const char *s);
/* Whether text is this UUID or its last group. */
bool uuid_matches(const char *uuid, const char *text);

#endif
