/* SPDX-License-Identifier: MIT */
/* What jansson lacks: strings from bytes that may not be UTF-8, and typed look-ups. */
#ifndef K6FLEET_JSON_H
#define K6FLEET_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A JSON string in any case: bytes that are not UTF-8 become U+FFFD. */
json_t *json_text(const char *s);
json_t *json_text_n(const char *s, size_t len);
/* Member as a string, or fallback when absent or of another type.  Borrowed. */
const char *json_get_text(const json_t *object, const char *key, const char *fallback);
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
/* RFC 3339 string of the wall time, or JSON null for 0. */
json_t *json_time(int64_t epoch_ms);
/* Compact text; the caller frees it.  Never NULL for what this project builds. */
char *json_compact(const json_t *value);

static inline void cleanup_json(json_t **v)
{
	json_decref(*v);
}

#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

#endif
