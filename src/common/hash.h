/* SPDX-License-Identifier: MIT */
/*
 * FNV-1a with 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): the same value on every
 * host and in every version, so phases of the schedule and ETags may depend on it.  Not for
 * keys that an attacker chooses in order to make them collide, and no protection against
 * forgery.
 */
#ifndef K6FLEET_HASH_H
#define K6FLEET_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The hash of no bytes: where every hash starts. */
#define HASH_START UINT64_C(14695981039346656037)

/* Returns the hash of the bytes before, whose hash is h, and of these. */
static inline uint64_t hash_bytes(uint64_t h, const void *data, size_t len)
{
	for (const unsigned char *p = data, *end = p + len; p < end; p++)
		h = (h ^ *p) * UINT64_C(1099511628211);
	return h;
}

/* The same for a string without its NUL. */
static inline uint64_t hash_text(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	return h;
}

/* Returns h with its halves mixed: FNV's low bits alone are weak, and a table's slot is taken
 * from them. */
static inline uint64_t hash_mixed(uint64_t h)
{
	return h ^ h >> 32;
}

#endif
