/* SPDX-License-Identifier: MIT */
/* The last pages of the list of runs as JSON: many readers ask for the same few.  Pure; keeps
 * at most 16 pages of 256 KiB. */
#ifndef K6FLEET_DASHBOARD_PAGE_CACHE_H
#define K6FLEET_DASHBOARD_PAGE_CACHE_H

#include <stddef.h>
#include <stdint.h>

struct page_cache;

struct page_cache *page_cache_new(void);
void page_cache_free(struct page_cache *c);
/* Returns the page that was kept for this key and version of the database, with its length in
 * *len; NULL if there is none.  Valid until the next page_cache_put(). */
const char *page_cache_find(
	const struct page_cache *c, const char *key, int64_t version, size_t *len);
/* Keeps a copy of the page; a page that is too long is not kept. */
void page_cache_put(
	struct page_cache *c, const char *key, int64_t version, const char *page, size_t len);

#endif
