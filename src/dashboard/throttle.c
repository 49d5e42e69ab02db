/* SPDX-License-Identifier: MIT */
/* A table of leaky buckets, one an address.  A new address replaces an address with the same
 * hash: an attacker who fills the table frees others from waiting, and slows only the addresses
 * that he uses. */
#include "dashboard/throttle.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"

#define SLOTS 4096
#define LEAK_MS 6000 /* time in which one attempt leaks out */

struct bucket {
	char address[64];
	int64_t full_until_ms; /* monotonic time when the last attempt has leaked out */
};

struct throttle {
	int64_t burst;
	struct bucket buckets[SLOTS];
};

struct throttle *throttle_new(int64_t burst)
{
	struct throttle *t = x_calloc(1, sizeof(*t));

	t->burst = burst;
	return t;
}

void throttle_free(struct throttle *t)
{
	free(t);
}

static size_t slot_of(const char *address)
{
	return (size_t)hash_mixed(hash_text(HASH_START, address)) % SLOTS;
}

void throttle_failed(struct throttle *t, const char *address, int64_t now_ms)
{
	struct bucket *b = &t->buckets[slot_of(address)];

	if (strcmp(b->address, address) != 0) {
		snprintf(b->address, sizeof(b->address), "%s", address);
		b->full_until_ms = 0;
	}
	if (b->full_until_ms < now_ms)
		b->full_until_ms = now_ms;
	b->full_until_ms += LEAK_MS;
}

int throttle_wait_s(const struct throttle *t, const char *address, int64_t now_ms)
{
	const struct bucket *b = &t->buckets[slot_of(address)];
	int64_t over_ms;

	if (!t->burst || strcmp(b->address, address) != 0)
		return 0;
	over_ms = b->full_until_ms - now_ms - (t->burst - 1) * LEAK_MS;
	return over_ms > 0 ? (int)((over_ms + 999) / 1000) : 0;
}
