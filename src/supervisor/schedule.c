/* SPDX-License-Identifier: MIT */
/*
 * One entry a (target, agent) pair in a binary heap by its next instant.  An instant that finds
 * its agent busy waits with the agent; if it still waits when the pair's own next instant comes
 * it is counted as missed and the newer one waits in its place: nothing queues up.
 */
#include "supervisor/schedule.h"

#include <string.h>

#include "common/mem.h"

/* How long after its origin a fresh target's first instants may still be taken up: the time
 * that workers need to start, not more. */
#define FRESH_MS 10000

struct entry {
	int64_t due_ms;     /* next instant, while in the heap */
	int64_t waiting_ms; /* instant that waits for its agent, or -1 */
	size_t heap_index;
	unsigned int slot;
	struct starget *target;
};

struct starget {
	char *id;
	int64_t origin_ms, interval_ms;
	unsigned int max_agents;
	uint64_t missed;
	bool fresh;
	struct entry **entries; /* by slot, NULL where it does not run */
	struct starget *next;
};

struct schedule {
	uint64_t missed_before; /* by targets that have gone */
	unsigned int max_slots, agents;
	enum schedule_phase phase;
	bool paused;
	bool *idle;
	unsigned int *waiting; /* per slot: how many of its entries wait */
	unsigned int runnable; /* slots that are idle and have something waiting */
	struct starget *targets;
	struct entry **heap;
	size_t heap_len, heap_cap;
};

/* FNV-1a: stable over restarts and versions, which is all that is asked of it. */
static uint64_t hash(const char *id, unsigned int n)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * UINT64_C(1099511628211);
	for (int i = 0; i < 4; i++)
		h = (h ^ ((n >> (8 * i)) & 0xff)) * UINT64_C(1099511628211);
	return h ^ (h >> 32);
}

/* v(rank) x interval: the bits of rank mirrored at the binary point. */
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
		first += (int64_t)(hash(id, rank) % (uint64_t)interval);
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
	s->idle = x_calloc(max_slots, sizeof(*s->idle));
	s->waiting = x_calloc(max_slots, sizeof(*s->waiting));
	return s;
}

/* --- heap ------------------------------------------------------------------ */

static void place(struct schedule *s, size_t i, struct entry *e)
{
	s->heap[i] = e;
	e->heap_index = i;
}

static void sift_up(struct schedule *s, size_t i)
{
	struct entry *e = s->heap[i];

	while (i > 0 && s->heap[(i - 1) / 2]->due_ms > e->due_ms) {
		place(s, i, s->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(s, i, e);
}

static void sift_down(struct schedule *s, size_t i)
{
	struct entry *e = s->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->heap_len)
			break;
		if (child + 1 < s->heap_len && s->heap[child + 1]->due_ms < s->heap[child]->due_ms)
			child++;
		if (s->heap[child]->due_ms >= e->due_ms)
			break;
		place(s, i, s->heap[child]);
		i = child;
	}
	place(s, i, e);
}

static void heap_add(struct schedule *s, struct entry *e)
{
	if (s->heap_len == s->heap_cap) {
		s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 64;
		s->heap = x_realloc(s->heap, s->heap_cap, sizeof(struct entry *));
	}
	place(s, s->heap_len++, e);
	sift_up(s, e->heap_index);
}

static void heap_remove(struct schedule *s, struct entry *e)
{
	size_t i = e->heap_index;
	struct entry *last = s->heap[--s->heap_len];

	if (last == e)
		return;
	place(s, i, last);
	sift_up(s, i);
	sift_down(s, last->heap_index);
}

/* --- entries --------------------------------------------------------------- */

static void count_runnable(struct schedule *s, unsigned int slot, bool was)
{
	bool is = s->idle[slot] && s->waiting[slot];

	if (is && !was)
		s->runnable++;
	else if (was && !is)
		s->runnable--;
}

static void set_waiting(struct schedule *s, struct entry *e, int64_t due)
{
	bool was = s->idle[e->slot] && s->waiting[e->slot];

	if (e->waiting_ms >= 0)
		s->waiting[e->slot]--;
	e->waiting_ms = due;
	if (due >= 0)
		s->waiting[e->slot]++;
	count_runnable(s, e->slot, was);
}

void schedule_set_idle(struct schedule *s, unsigned int slot, bool idle)
{
	bool was = s->idle[slot] && s->waiting[slot];

	s->idle[slot] = idle;
	count_runnable(s, slot, was);
}

/* Rank of a slot for a target, or -1 when max_agents leaves it out.  Ranks are rotated by a hash
 * of the id, so that capped targets do not all sit on the first agents. */
static int64_t rank_of(const struct schedule *s, const struct starget *t, unsigned int slot)
{
	unsigned int rank;

	if (slot >= s->agents)
		return -1;
	if (!t->max_agents || t->max_agents >= s->agents)
		return slot;
	rank = (unsigned int)((slot + s->agents - hash(t->id, 0) % s->agents) % s->agents);
	return rank < t->max_agents ? (int64_t)rank : -1;
}

static void update_entry(
	struct schedule *s, struct starget *t, unsigned int slot, bool moved, int64_t now)
{
	int64_t rank = rank_of(s, t, slot);
	struct entry *e = t->entries[slot];

	if (rank < 0) {
		if (e) {
			set_waiting(s, e, -1);
			heap_remove(s, e);
			free(e);
			t->entries[slot] = NULL;
		}
		return;
	}
	if (e && !moved && !t->max_agents)
		return;
	if (e) {
		heap_remove(s, e);
	} else {
		e = t->entries[slot] = x_calloc(1, sizeof(*e));
		*e = (struct entry){.waiting_ms = -1, .slot = slot, .target = t};
	}
	if (t->fresh && now - t->origin_ms < FRESH_MS && now - t->origin_ms < t->interval_ms)
		now = t->origin_ms;
	e->due_ms = schedule_instant(
		s->phase, t->id, (unsigned int)rank, t->origin_ms, t->interval_ms, now);
	heap_add(s, e);
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

void schedule_put(struct schedule *s, const char *id, int64_t origin, int64_t interval,
	unsigned int max_agents, bool fresh, int64_t now)
{
	struct starget *t = find(s, id);
	bool moved;

	if (!t) {
		t = x_calloc(1, sizeof(*t));
		t->id = x_strdup(id);
		t->entries = x_calloc(s->max_slots, sizeof(struct entry *));
		t->next = s->targets;
		s->targets = t;
	} else if (t->origin_ms == origin && t->interval_ms == interval &&
		t->max_agents == max_agents) {
		return;
	}
	moved = t->origin_ms != origin || t->interval_ms != interval || t->max_agents != max_agents;
	t->origin_ms = origin;
	t->interval_ms = interval;
	t->max_agents = max_agents;
	t->fresh = fresh;
	for (unsigned int slot = 0; slot < s->agents; slot++)
		update_entry(s, t, slot, moved, now);
}

static void free_target(struct schedule *s, struct starget *t)
{
	for (unsigned int slot = 0; slot < s->max_slots; slot++) {
		struct entry *e = t->entries[slot];

		if (!e)
			continue;
		set_waiting(s, e, -1);
		heap_remove(s, e);
		free(e);
	}
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
	while (s->targets) {
		struct starget *t = s->targets;

		s->targets = t->next;
		free_target(s, t);
	}
	free(s->heap);
	free(s->idle);
	free(s->waiting);
	free(s);
}

void schedule_set_paused(struct schedule *s, bool paused)
{
	/* What came due meanwhile is past: going on is not catching up. */
	for (struct starget *t = s->targets; t && s->paused && !paused; t = t->next) {
		for (unsigned int slot = 0; slot < s->agents; slot++) {
			struct entry *e = t->entries[slot];

			if (e && e->waiting_ms >= 0) {
				t->missed++;
				set_waiting(s, e, -1);
			}
		}
	}
	s->paused = paused;
}

/* Moves every instant that has come from the heap to its agent. */
static void collect(struct schedule *s, int64_t now)
{
	while (s->heap_len && s->heap[0]->due_ms <= now) {
		struct entry *e = s->heap[0];
		int64_t due = e->due_ms, behind;

		if (e->waiting_ms >= 0)
			e->target->missed++;
		/* After a long sleep of the host many instants lie behind: all but the last are missed. */
		behind = (now - due) / e->target->interval_ms;
		e->target->missed += (uint64_t)behind;
		due += behind * e->target->interval_ms;
		set_waiting(s, e, due);
		e->due_ms = due + e->target->interval_ms;
		sift_down(s, 0);
	}
}

/* The longest waiting entry of a slot. */
static struct entry *oldest_waiting(const struct schedule *s, unsigned int slot)
{
	struct entry *best = NULL;

	for (struct starget *t = s->targets; t; t = t->next) {
		struct entry *e = t->entries[slot];

		if (e && e->waiting_ms >= 0 && (!best || e->waiting_ms < best->waiting_ms))
			best = e;
	}
	return best;
}

bool schedule_next(struct schedule *s, int64_t now, struct schedule_due *out)
{
	struct entry *best = NULL;

	collect(s, now);
	if (!s->runnable || s->paused)
		return false;
	for (unsigned int slot = 0; slot < s->agents; slot++) {
		struct entry *e;

		if (!s->idle[slot] || !s->waiting[slot])
			continue;
		e = oldest_waiting(s, slot);
		if (e && (!best || e->waiting_ms < best->waiting_ms))
			best = e;
	}
	if (!best)
		return false;
	*out = (struct schedule_due){best->slot, best->target->id, best->waiting_ms};
	set_waiting(s, best, -1);
	schedule_set_idle(s, best->slot, false);
	return true;
}

int64_t schedule_deadline(const struct schedule *s)
{
	return s->heap_len ? s->heap[0]->due_ms : INT64_MAX;
}

int64_t schedule_next_due(const struct schedule *s, const char *id)
{
	const struct starget *t = find(s, id);
	int64_t best = INT64_MAX;

	for (unsigned int slot = 0; t && slot < s->agents; slot++) {
		if (t->entries[slot] && t->entries[slot]->due_ms < best)
			best = t->entries[slot]->due_ms;
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
