/* SPDX-License-Identifier: MIT */
/* A hash table of some ten thousand entries.  Each query scans the whole table, which is faster
 * than an SQL query over the runs. */
#include "dashboard/counts.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define DAYS 65536

struct entry {
	struct counts_key key;
	uint32_t n; /* 0: the entry is free, or its runs have gone */
};

struct change {
	struct counts_key key;
	int64_t n;
};

struct counts {
	struct entry *table;
	size_t size, used; /* entries: a power of two; entries with a key */
	struct change *pending;
	size_t pending_len, pending_cap;
};

struct counts *counts_new(void)
{
	return x_calloc(1, sizeof(struct counts));
}

void counts_clear(struct counts *c)
{
	free(c->table);
	c->table = NULL;
	c->size = c->used = c->pending_len = 0;
}

void counts_free(struct counts *c)
{
	if (!c)
		return;
	counts_clear(c);
	free(c->pending);
	free(c);
}

static size_t hash(const struct counts_key *k)
{
	uint64_t h = ((uint64_t)k->target << 32 | k->agent) * UINT64_C(0x9e3779b97f4a7c15);

	h ^= ((uint64_t)k->day << 8 | k->status) * UINT64_C(0xc2b2ae3d27d4eb4f);
	return (size_t)(h ^ h >> 29);
}

static bool is_same(const struct counts_key *a, const struct counts_key *b)
{
	return a->target == b->target && a->agent == b->agent && a->day == b->day &&
		a->status == b->status;
}

/* Days begin with 1, so a key of zeroes is no key. */
static bool is_free(const struct entry *e)
{
	return !e->key.day;
}

static struct entry *find(struct entry *table, size_t size, const struct counts_key *key)
{
	size_t i = hash(key) & (size - 1);

	while (!is_free(&table[i]) && !is_same(&table[i].key, key))
		i = (i + 1) & (size - 1);
	return &table[i];
}

/* Makes a table of at least four times the entries with runs, and drops entries whose runs have
 * gone. */
static void rebuild(struct counts *c)
{
	struct entry *old = c->table;
	size_t old_size = c->size, live = 0;

	for (size_t i = 0; i < old_size; i++)
		live += old[i].n > 0;
	c->size = 1024;
	while (c->size < 4 * live)
		c->size *= 2;
	c->table = x_calloc(c->size, sizeof(*c->table));
	c->used = live;
	for (size_t i = 0; i < old_size; i++) {
		if (old[i].n)
			*find(c->table, c->size, &old[i].key) = old[i];
	}
	free(old);
}

static void apply(struct counts *c, const struct counts_key *key, int64_t n)
{
	struct entry *e;

	if (!key->day)
		return;
	if (2 * c->used >= c->size)
		rebuild(c);
	e = find(c->table, c->size, key);
	if (is_free(e)) {
		e->key = *key;
		c->used++;
	}
	/* Another process may have changed rows: the count stays at 0 at least. */
	e->n = (int64_t)e->n + n > 0 ? (uint32_t)((int64_t)e->n + n) : 0;
}

void counts_add(struct counts *c, const struct counts_key *key, int64_t n)
{
	if (c->pending_len == c->pending_cap) {
		c->pending_cap = c->pending_cap ? 2 * c->pending_cap : 256;
		c->pending = x_realloc(c->pending, c->pending_cap, sizeof(*c->pending));
	}
	c->pending[c->pending_len++] = (struct change){*key, n};
}

void counts_commit(struct counts *c)
{
	for (size_t i = 0; i < c->pending_len; i++)
		apply(c, &c->pending[i].key, c->pending[i].n);
	counts_rollback(c);
}

void counts_rollback(struct counts *c)
{
	c->pending_len = 0;
	if (c->pending_cap > 4096) {
		free(c->pending);
		c->pending = NULL;
		c->pending_cap = 0;
	}
}

static bool matches(
	const struct counts_filter *f, const struct counts_key *k, struct counts_days days)
{
	return k->day >= days.first && k->day <= days.last &&
		(f->status < 0 || k->status == f->status) &&
		(f->target < 0 || k->target == f->target) &&
		(!f->agents || (k->agent < f->agent_count && f->agents[k->agent]));
}

int64_t counts_total(const struct counts *c, const struct counts_filter *f, struct counts_days days)
{
	int64_t total = 0;

	for (size_t i = 0; i < c->size; i++) {
		if (c->table[i].n && matches(f, &c->table[i].key, days))
			total += c->table[i].n;
	}
	return total;
}

bool counts_find_day(const struct counts *c, const struct counts_filter *f, struct counts_days days,
	bool newest_first, int64_t *offset, uint16_t *day)
{
	_cleanup_free_ int64_t *runs = x_calloc(DAYS, sizeof(*runs));
	int step = newest_first ? -1 : 1;

	for (size_t i = 0; i < c->size; i++) {
		const struct entry *e = &c->table[i];

		if (e->n && matches(f, &e->key, days))
			runs[e->key.day] += e->n;
	}
	for (int d = newest_first ? days.last : days.first; d >= days.first && d <= days.last;
		d += step) {
		if (*offset < runs[d]) {
			*day = (uint16_t)d;
			return true;
		}
		*offset -= runs[d];
	}
	return false;
}
