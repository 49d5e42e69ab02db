/* SPDX-License-Identifier: MIT */
/* One slot a hash value: a new page replaces the page that was there. */
#include "dashboard/page_cache.h"

#include <string.h>

#include "common/hash.h"
#include "common/mem.h"

#define SLOTS 16
#define PAGE_MAX_BYTES (256 * 1024)

struct slot {
	char *key, *page; /* NULL: empty */
	size_t len;
	int64_t version;
};

struct page_cache {
	struct slot slots[SLOTS];
};

struct page_cache *page_cache_new(void)
{
	return x_calloc(1, sizeof(struct page_cache));
}

static void clear(struct slot *slot)
{
	free(slot->key);
	free(slot->page);
	*slot = (struct slot){0};
}

void page_cache_free(struct page_cache *c)
{
	for (size_t i = 0; c && i < SLOTS; i++)
		clear(&c->slots[i]);
	free(c);
}

static size_t slot_of(const char *key)
{
	return (size_t)hash_mixed(hash_text(HASH_START, key)) % SLOTS;
}

const char *page_cache_find(
	const struct page_cache *c, const char *key, int64_t version, size_t *len)
{
	const struct slot *slot = &c->slots[slot_of(key)];

	if (!slot->key || slot->version != version || strcmp(slot->key, key) != 0)
		return NULL;
	*len = slot->len;
	return slot->page;
}

void page_cache_put(
	struct page_cache *c, const char *key, int64_t version, const char *page, size_t len)
{
	struct slot *slot = &c->slots[slot_of(key)];

	if (len > PAGE_MAX_BYTES)
		return;
	clear(slot);
	*slot = (struct slot){x_strdup(key), x_strndup(page, len), len, version};
}
