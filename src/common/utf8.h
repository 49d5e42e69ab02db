/* SPDX-License-Identifier: MIT */
/* Where characters of UTF-8 end (RFC 3629). */
#ifndef K6FLEET_UTF8_H
#define K6FLEET_UTF8_H

#include <stddef.h>

/* Returns the length in bytes of the well-formed sequence at s, of which `left` bytes may be
 * read; 0 if what is there is not well-formed. */
size_t utf8_length(const char *s, size_t left);

#endif
