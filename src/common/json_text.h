/* SPDX-License-Identifier: MIT */
/*
 * Appends compact JSON to a growing text, in jansson's format with 15 digits, so that a text
 * written here and one that json_compact() wrote of the same values are equal byte by byte.  It
 * builds no json_t, which would be most of the work of storing a run.  The caller writes commas
 * and brackets with json_text_raw().
 */
#ifndef K6FLEET_JSON_TEXT_H
#define K6FLEET_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Starts as {0}.  text ends with NUL as soon as something was appended; the owner frees it with
 * free(). */
struct json_text {
	char *text;
	size_t len, cap;
};

/* Appends s as it is. */
void json_text_raw(struct json_text *t, const char *s);
/* Appends a string with its quotes, or null for NULL; bytes that are not UTF-8 become U+FFFD. */
void json_text_string(struct json_text *t, const char *s);
/* Appends an integer. */
void json_text_int(struct json_text *t, int64_t v);
/* Appends a real: 15 significant digits, always with a point or an exponent; null when v is not
 * finite. */
void json_text_real(struct json_text *t, double v);
/* Rounds v to 9 significant digits first. */
void json_text_short_real(struct json_text *t, double v);

#endif
