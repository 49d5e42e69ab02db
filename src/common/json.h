/* SPDX-License-Identifier: MIT */
/* Additions to jansson: strings from bytes that may not be UTF-8, and lookups with a default. */
#ifndef K6FLEET_JSON_H
#define K6FLEET_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A new JSON string; each byte that is not UTF-8 becomes U+FFFD.  Never NULL. */
json_t *json_text(const char *s);
json_t *json_text_n(const char *s, size_t len);
/* The member as a string, borrowed from the object, or as a number; fallback if the member is
 * missing or has another type, or object is no object. */
const char *json_get_text(const json_t *object, const char *key, const char *fallback);
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
/* A new JSON string with the RFC 3339 form of a wall time; JSON null for 0. */
json_t *json_time(int64_t epoch_ms);
/* The value as text without spaces; the caller frees it.  Never NULL. */
char *json_compact(const json_t *value);

static inline void cleanup_json(json_t **v)
{
	json_decref(*v);
}

#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

#endif
