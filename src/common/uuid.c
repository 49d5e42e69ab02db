/* SPDX-License-Identifier: MIT */
/* RFC 9562 section 5.7: 48 bits of Unix milliseconds, then random bits. */
#include "common/uuid.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void uuid_make_v7(int64_t wall_ms, char *out)
{
	uint8_t b[16];
	size_t pos = 0;

	/* getrandom(2) never returns less than was asked for, up to 256 bytes, once the pool is
	 * initialised. */
	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		abort();
	for (int i = 0; i < 6; i++)
		b[i] = (uint8_t)((uint64_t)wall_ms >> (8 * (5 - i)));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x70);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[pos++] = '-';
		snprintf(out + pos, 3, "%02x", b[i]);
		pos += 2;
	}
}

bool uuid_is_valid(const char *s)
{
	if (strlen(s) != UUID_MAX - 1)
		return false;
	for (int i = 0; i < UUID_MAX - 1; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
		} else if (!isxdigit((unsigned char)s[i])) {
			return false;
		}
	}
	return true;
}

bool uuid_is_end(const char *s)
{
	return strlen(s) == UUID_END && strspn(s, "0123456789abcdef") == UUID_END;
}

bool uuid_matches(const char *uuid, const char *text)
{
	size_t len = strlen(uuid);

	return !strcmp(uuid, text) ||
		(uuid_is_end(text) && len > UUID_END && !strcmp(uuid + len - UUID_END, text));
}
