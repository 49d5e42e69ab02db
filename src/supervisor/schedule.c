/* SPDX-License-Identifier: MIT */
/*
 * Each (target, agent) pair has an entry in a binary heap, ordered by its next instant.  If the
 * agent is busy or the limits are reached at that instant, the entry waits in its agent's list.  If
 * it still waits at the pair's next instant, the older instant counts as missed and the newer one
 * waits in its place: a pair waits for one run at most, and keeps its turn.  Each host has a second
 * heap of the waiting entries whose agents are idle, ordered by how long they have waited.
 */
#include "supervisor/schedule.h"

#include <endian.h>
#include <limits.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"

/* A fresh target's first instants may be started this long after its origin: workers need that time
 * to start. */
#define FRESH_MS 10000

const char *const schedule_block_names[] = {
	[SCHEDULE_FREE] = "none",
	[SCHEDULE_BY_RUNS] = "max_concurrent_runs",
	[SCHEDULE_BY_HOST] = "max_per_target",
	[SCHEDULE_BY_MEMORY] = "memory_budget",
};

/* As large as a cache line.  All zeroes where a target does not run on an agent. */
struct entry {
	int64_t due_ms;     /* next instant, while in the heap */
	int64_t waiting_ms; /* instant that waits */
	int64_t since_ms;   /* the first instant that has waited since the last run */
	struct starget *target;
	struct entry *next, *prev; /* in the agent's list of waiting entries, oldest first */
	unsigned int slot;
	unsigned int due_index, ready_index; /* in the heaps, from 1; 0: not there */
	bool waits;
};

struct heap {
	struct entry **items; /* from 1 */
	unsigned int len, cap;
	bool ready; /* by since_ms, else by due_ms */
};

struct host {
	char *name;
	unsigned int active;
	unsigned int users; /* targets and runs */
	struct heap ready;  /* the first waiting entry for this host of each idle agent */
	uint64_t stamp;
	struct host *next;
};

struct slot {
	struct entry *first, *last; /* waiting entries */
	struct host *runs_on;       /* NULL: holds no place */
	int64_t cost_bytes, use_bytes;
	bool idle;
};

struct starget {
	char *id;
	int64_t origin_ms, interval_ms, cost_bytes;
	unsigned int max_agents;
	uint64_t missed;
	bool fresh;
	struct host *host;
	struct entry *entries; /* by slot */
	struct starget *next;
};

struct schedule {
	uint64_t missed_before; /* of removed targets */
	unsigned int max_slots, agents;
	enum schedule_phase phase;
	bool paused;
	struct slot *slots;
	struct starget *targets;
	struct host *hosts;
	struct heap due;
	struct schedule_limits limits;
	unsigned int active, waiting;
	int64_t used_bytes;
	uint64_t stamp;
};

/* Returns the same over restarts, versions and hosts, so that a pair keeps its place in the
 * interval. */
static uint64_t hash_pair(const char *id, unsigned int n)
{
	const uint32_t little_endian = htole32(n);

	return hash_mixed(
		hash_bytes(hash_text(HASH_START, id), &little_endian, sizeof(little_endian)));
}

/* Returns v(rank) × interval, where v mirrors the bits of rank at the binary point. */
static int64_t van_der_corput(unsigned int rank, int64_t interval_ms)
{
	double v = 0, half = 0.5;

	for (; rank; rank >>= 1, half /= 2) {
		if (rank & 1)
			v += half;
	}
	return (int64_t)(v * (double)interval_ms);
}

int64_t schedule_instant(enum schedule_phase phase, const char *id, unsigned int rank,
	int64_t origin, int64_t interval, int64_t now)
{
	int64_t first = origin, n;

	if (phase == SCHEDULE_SPREAD)
		first += van_der_corput(rank, interval);
	else if (phase == SCHEDULE_RANDOM)
		first += (int64_t)(hash_pair(id, rank) % (uint64_t)interval);
	if (first >= now)
		return first;
	n = (now - first + interval - 1) / interval;
	return first + n * interval;
}

struct schedule *schedule_new(unsigned int max_slots, enum schedule_phase phase)
{
	struct schedule *s = x_calloc(1, sizeof(*s));

	s->max_slots = max_slots;
	s->phase = phase;
	s->slots = x_calloc(max_slots, sizeof(*s->slots));
	return s;
}

/* --- heaps ----------------------------------------------------------------- */

static bool is_before(const struct heap *h, const struct entry *a, const struct entry *b)
{
	if (!h->ready)
		return a->due_ms < b->due_ms;
	return a->since_ms != b->since_ms ? a->since_ms < b->since_ms : a->slot < b->slot;
}

static unsigned int *index_in(const struct heap *h, struct entry *e)
{
	return h->ready ? &e->ready_index : &e->due_index;
}

static void place(struct heap *h, unsigned int i, struct entry *e)
{
	h->items[i] = e;
	*index_in(h, e) = i;
}

static void sift_up(struct heap *h, unsigned int i)
{
	struct entry *e = h->items[i];

	while (i > 1 && is_before(h, e, h->items[i / 2])) {
		place(h, i, h->items[i / 2]);
		i /= 2;
	}
	place(h, i, e);
}

static void sift_down(struct heap *h, unsigned int i)
{
	struct entry *e = h->items[i];

	for (;;) {
		unsigned int child = 2 * i;

		if (child > h->len)
			break;
		if (child < h->len && is_before(h, h->items[child + 1], h->items[child]))
			child++;
		if (!is_before(h, h->items[child], e))
			break;
		place(h, i, h->items[child]);
		i = child;
	}
	place(h, i, e);
}

static void heap_add(struct heap *h, struct entry *e)
{
	if (h->len + 1 >= h->cap) {
		h->cap = h->cap ? h->cap * 2 : 64;
		h->items = x_realloc(h->items, h->cap, sizeof(struct entry *));
	}
	place(h, ++h->len, e);
	sift_up(h, h->len);
}

static void heap_remove(struct heap *h, struct entry *e)
{
	unsigned int i = *index_in(h, e);
	struct entry *last = h->items[h->len--];

	*index_in(h, e) = 0;
	if (last == e)
		return;
	place(h, i, last);
	sift_up(h, i);
	sift_down(h, *index_in(h, last));
}

/* --- hosts ----------------------------------------------------------------- */

static struct host *find_host(const struct schedule *s, const char *name)
{
	for (struct host *h = s->hosts; h; h = h->next) {
		if (!strcmp(h->name, name))
			return h;
	}
	return NULL;
}

static struct host *hold_host(struct schedule *s, const char *name)
{
	struct host *h = find_host(s, name);

	if (!h) {
		h = x_calloc(1, sizeof(*h));
		h->name = x_strdup(name);
		h->ready.ready = true;
		h->next = s->hosts;
		s->hosts = h;
	}
	h->users++;
	return h;
}

static void release_host(struct schedule *s, struct host *h)
{
	if (--h->users)
		return;
	for (struct host **p = &s->hosts; *p; p = &(*p)->next) {
		if (*p == h) {
			*p = h->next;
			break;
		}
	}
	free(h->ready.items);
	free(h->name);
	free(h);
}

/* --- what waits ------------------------------------------------------------ */

/* Puts an idle agent's first entry for each host into the heap of that host. */
static void offer(struct schedule *s, unsigned int slot)
{
	if (!s->slots[slot].idle)
		return;
	s->stamp++;
	for (struct entry *e = s->slots[slot].first; e; e = e->next) {
		struct host *h = e->target->host;

		if (h->stamp == s->stamp)
			continue;
		h->stamp = s->stamp;
		if (!e->ready_index)
			heap_add(&h->ready, e);
	}
}

static void withdraw(struct schedule *s, unsigned int slot)
{
	for (struct entry *e = s->slots[slot].first; e; e = e->next) {
		if (e->ready_index)
			heap_remove(&e->target->host->ready, e);
	}
}

static void start_waiting(struct schedule *s, struct entry *e, int64_t due)
{
	struct slot *slot = &s->slots[e->slot];

	e->waiting_ms = due;
	if (e->waits)
		return;
	e->waits = true;
	e->since_ms = due;
	e->next = NULL;
	e->prev = slot->last;
	if (slot->last)
		slot->last->next = e;
	else
		slot->first = e;
	slot->last = e;
	s->waiting++;
	offer(s, e->slot);
}

static void stop_waiting(struct schedule *s, struct entry *e)
{
	struct slot *slot = &s->slots[e->slot];

	if (!e->waits)
		return;
	if (e->ready_index)
		heap_remove(&e->target->host->ready, e);
	if (e->prev)
		e->prev->next = e->next;
	else
		slot->first = e->next;
	if (e->next)
		e->next->prev = e->prev;
	else
		slot->last = e->prev;
	e->waits = false;
	s->waiting--;
	offer(s, e->slot);
}

void schedule_set_idle(struct schedule *s, unsigned int slot, bool idle)
{
	if (s->slots[slot].idle == idle)
		return;
	s->slots[slot].idle = idle;
	if (idle)
		offer(s, slot);
	else
		withdraw(s, slot);
}

/* --- places ---------------------------------------------------------------- */

static int64_t used_by(const struct slot *slot)
{
	return slot->use_bytes > slot->cost_bytes ? slot->use_bytes : slot->cost_bytes;
}

static void take_place(struct schedule *s, unsigned int slot, struct host *h, int64_t cost)
{
	struct slot *sl = &s->slots[slot];

	h->users++;
	h->active++;
	sl->runs_on = h;
	sl->cost_bytes = cost;
	sl->use_bytes = 0;
	s->active++;
	s->used_bytes += cost;
}

void schedule_begin(struct schedule *s, unsigned int slot, const char *host, int64_t cost)
{
	struct host *h;

	schedule_end(s, slot);
	h = hold_host(s, host);
	take_place(s, slot, h, cost);
	release_host(s, h);
}

void schedule_set_use(struct schedule *s, unsigned int slot, int64_t bytes)
{
	struct slot *sl = &s->slots[slot];

	if (!sl->runs_on || bytes <= sl->use_bytes)
		return;
	s->used_bytes -= used_by(sl);
	sl->use_bytes = bytes;
	s->used_bytes += used_by(sl);
}

void schedule_end(struct schedule *s, unsigned int slot)
{
	struct slot *sl = &s->slots[slot];

	if (!sl->runs_on)
		return;
	s->active--;
	s->used_bytes -= used_by(sl);
	sl->runs_on->active--;
	release_host(s, sl->runs_on);
	sl->runs_on = NULL;
}

void schedule_set_limits(struct schedule *s, const struct schedule_limits *limits)
{
	s->limits = *limits;
}

const struct schedule_limits *schedule_limits(const struct schedule *s)
{
	return &s->limits;
}

unsigned int schedule_room(const struct schedule *s, const char *host, int64_t cost)
{
	const struct host *h = find_host(s, host);
	unsigned int room = UINT_MAX, n, active = h ? h->active : 0;

	if (s->limits.max_runs) {
		n = s->limits.max_runs > s->active ? s->limits.max_runs - s->active : 0;
		room = n < room ? n : room;
	}
	if (s->limits.max_per_host) {
		n = s->limits.max_per_host > active ? s->limits.max_per_host - active : 0;
		room = n < room ? n : room;
	}
	if (s->limits.budget_bytes && cost > 0) {
		int64_t left = s->limits.budget_bytes - s->used_bytes;

		n = left > 0 ? (unsigned int)(left / cost) : 0;
		/* One run is always allowed, or a run that needs more than the budget would never
		 * start. */
		if (!n && !s->active)
			n = 1;
		room = n < room ? n : room;
	}
	return room;
}

static bool host_is_full(const struct schedule *s, const struct host *h)
{
	return s->limits.max_per_host && h->active >= s->limits.max_per_host;
}

/* Returns the entry whose turn it is; NULL and *block if it has to wait. */
static struct entry *next_allowed(const struct schedule *s, enum schedule_block *block)
{
	struct entry *best = NULL;

	*block = SCHEDULE_FREE;
	for (struct host *h = s->hosts; h; h = h->next) {
		if (!h->ready.len)
			continue;
		if (host_is_full(s, h))
			*block = SCHEDULE_BY_HOST;
		else if (!best || is_before(&h->ready, h->ready.items[1], best))
			best = h->ready.items[1];
	}
	if (!best)
		return NULL;
	if (s->limits.max_runs && s->active >= s->limits.max_runs)
		*block = SCHEDULE_BY_RUNS;
	/* No smaller run starts in its place: it would wait behind those for ever. */
	else if (s->limits.budget_bytes && s->active &&
		s->used_bytes + best->target->cost_bytes > s->limits.budget_bytes)
		*block = SCHEDULE_BY_MEMORY;
	else
		return best;
	return NULL;
}

struct schedule_load schedule_load(const struct schedule *s)
{
	struct schedule_load load = {
		.active = s->active, .waiting = s->waiting, .used_bytes = s->used_bytes};

	for (unsigned int i = 0; i < s->agents; i++)
		load.queued += s->slots[i].idle && s->slots[i].first;
	if (next_allowed(s, &load.block))
		load.block = SCHEDULE_FREE;
	return load;
}

/* --- targets --------------------------------------------------------------- */

/* Returns the rank of a slot for a target, or -1 if max_agents leaves the slot out.  Ranks are
 * rotated by a hash of the id, so that capped targets do not all run on the first agents. */
static int64_t rank_of(const struct schedule *s, const struct starget *t, unsigned int slot)
{
	unsigned int rank;

	if (slot >= s->agents)
		return -1;
	if (!t->max_agents || t->max_agents >= s->agents)
		return slot;
	rank = (unsigned int)((slot + s->agents - hash_pair(t->id, 0) % s->agents) % s->agents);
	return rank < t->max_agents ? (int64_t)rank : -1;
}

static void drop_entry(struct schedule *s, struct entry *e)
{
	if (!e->due_index)
		return;
	stop_waiting(s, e);
	heap_remove(&s->due, e);
}

static void update_entry(
	struct schedule *s, struct starget *t, unsigned int slot, bool moved, int64_t now)
{
	int64_t rank = rank_of(s, t, slot);
	struct entry *e = &t->entries[slot];
	bool known = e->due_index != 0;

	if (rank < 0) {
		drop_entry(s, e);
		return;
	}
	if (known && !moved && !t->max_agents)
		return;
	if (known)
		heap_remove(&s->due, e);
	e->slot = slot;
	e->target = t;
	if (t->fresh && now - t->origin_ms < FRESH_MS && now - t->origin_ms < t->interval_ms)
		now = t->origin_ms;
	e->due_ms = schedule_instant(
		s->phase, t->id, (unsigned int)rank, t->origin_ms, t->interval_ms, now);
	heap_add(&s->due, e);
}

void schedule_set_agents(struct schedule *s, unsigned int count, int64_t now)
{
	unsigned int upto = count > s->agents ? count : s->agents;

	if (count == s->agents)
		return;
	s->agents = count;
	for (struct starget *t = s->targets; t; t = t->next) {
		for (unsigned int slot = 0; slot < upto; slot++)
			update_entry(s, t, slot, false, now);
	}
}

static struct starget *find(const struct schedule *s, const char *id)
{
	for (struct starget *t = s->targets; t; t = t->next) {
		if (!strcmp(t->id, id))
			return t;
	}
	return NULL;
}

void schedule_put(struct schedule *s, const struct schedule_plan *plan, int64_t now)
{
	struct starget *t = find(s, plan->id);
	bool moved = !t || t->origin_ms != plan->origin_ms || t->interval_ms != plan->interval_ms ||
		t->max_agents != plan->max_agents;

	if (!moved)
		return;
	if (!t) {
		t = x_calloc(1, sizeof(*t));
		t->id = x_strdup(plan->id);
		t->host = hold_host(s, plan->id);
		t->entries = x_calloc(s->max_slots, sizeof(struct entry));
		t->next = s->targets;
		s->targets = t;
	}
	t->origin_ms = plan->origin_ms;
	t->interval_ms = plan->interval_ms;
	t->max_agents = plan->max_agents;
	t->fresh = plan->fresh;
	for (unsigned int slot = 0; slot < s->agents; slot++)
		update_entry(s, t, slot, true, now);
}

void schedule_set_load(struct schedule *s, const char *id, const char *host, int64_t cost)
{
	struct starget *t = find(s, id);
	struct host *old;

	if (!t)
		return;
	t->cost_bytes = cost;
	if (!strcmp(t->host->name, host))
		return;
	for (unsigned int slot = 0; slot < s->agents; slot++)
		withdraw(s, slot);
	old = t->host;
	t->host = hold_host(s, host);
	release_host(s, old);
	for (unsigned int slot = 0; slot < s->agents; slot++)
		offer(s, slot);
}

static void free_target(struct schedule *s, struct starget *t)
{
	for (unsigned int slot = 0; slot < s->max_slots; slot++)
		drop_entry(s, &t->entries[slot]);
	release_host(s, t->host);
	free(t->entries);
	free(t->id);
	free(t);
}

void schedule_remove(struct schedule *s, const char *id)
{
	for (struct starget **p = &s->targets; *p; p = &(*p)->next) {
		struct starget *t = *p;

		if (strcmp(t->id, id) != 0)
			continue;
		*p = t->next;
		s->missed_before += t->missed;
		free_target(s, t);
		return;
	}
}

void schedule_free(struct schedule *s)
{
	if (!s)
		return;
	for (unsigned int slot = 0; slot < s->max_slots; slot++)
		schedule_end(s, slot);
	while (s->targets) {
		struct starget *t = s->targets;

		s->targets = t->next;
		free_target(s, t);
	}
	free(s->due.items);
	free(s->slots);
	free(s);
}

void schedule_set_paused(struct schedule *s, bool paused)
{
	/* Instants of the pause count as missed; they are not made up for. */
	for (unsigned int slot = 0; slot < s->agents && s->paused && !paused; slot++) {
		while (s->slots[slot].first) {
			s->slots[slot].first->target->missed++;
			stop_waiting(s, s->slots[slot].first);
		}
	}
	s->paused = paused;
}

/* Moves each entry whose instant has come from the heap to its agent's list. */
static void collect(struct schedule *s, int64_t now)
{
	while (s->due.len && s->due.items[1]->due_ms <= now) {
		struct entry *e = s->due.items[1];
		int64_t due = e->due_ms, behind;

		if (e->waits)
			e->target->missed++;
		/* After the host was suspended many instants are past: all but the last are
		 * missed. */
		behind = (now - due) / e->target->interval_ms;
		e->target->missed += (uint64_t)behind;
		due += behind * e->target->interval_ms;
		start_waiting(s, e, due);
		e->due_ms = due + e->target->interval_ms;
		sift_down(&s->due, 1);
	}
}

bool schedule_next(struct schedule *s, int64_t now, struct schedule_due *out)
{
	enum schedule_block block;
	struct entry *e;

	collect(s, now);
	if (s->paused)
		return false;
	e = next_allowed(s, &block);
	if (!e)
		return false;
	*out = (struct schedule_due){e->slot, e->target->id, e->waiting_ms};
	schedule_end(s, e->slot);
	take_place(s, e->slot, e->target->host, e->target->cost_bytes);
	stop_waiting(s, e);
	schedule_set_idle(s, e->slot, false);
	return true;
}

int64_t schedule_deadline(const struct schedule *s)
{
	return s->due.len ? s->due.items[1]->due_ms : INT64_MAX;
}

int64_t schedule_next_due(const struct schedule *s, const char *id)
{
	const struct starget *t = find(s, id);
	int64_t best = INT64_MAX;

	for (unsigned int slot = 0; t && slot < s->agents; slot++) {
		if (t->entries[slot].due_index && t->entries[slot].due_ms < best)
			best = t->entries[slot].due_ms;
	}
	return best;
}

void schedule_count_missed(struct schedule *s, const char *id)
{
	struct starget *t = find(s, id);

	if (t)
		t->missed++;
}

uint64_t schedule_missed_total(const struct schedule *s)
{
	uint64_t n = s->missed_before;

	for (const struct starget *t = s->targets; t; t = t->next)
		n += t->missed;
	return n;
}

uint64_t schedule_missed(const struct schedule *s, const char *id)
{
	const struct starget *t = find(s, id);

	return t ? t->missed : 0;
}
