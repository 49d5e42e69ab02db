/* SPDX-License-Identifier: MIT */
/*
 * Which target is due on which agent, and when.  Pure: simulated time, no I/O.
 *
 * An agent of rank k runs a target at origin + (n + v(k)) x interval, where v is van der
 * Corput's sequence 0, 1/2, 1/4, 3/4, 1/8 ... (spread), 0 (aligned) or a stable hash (random).
 * The instants depend on nothing else, so neither a long run nor a restart moves later ones.
 *
 * Among due pairs with an idle agent, the one whose last run is oldest starts first, until a limit
 * is reached; so no pair waits for ever.
 */
#ifndef K6FLEET_SCHEDULE_H
#define K6FLEET_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schedule_phase { SCHEDULE_SPREAD, SCHEDULE_ALIGNED, SCHEDULE_RANDOM };

struct schedule;

/* A run that is to be started now. */
struct schedule_due {
	unsigned int slot;
	const char *target_id; /* the schedule's own, valid until the target goes */
	int64_t due_ms;
};

struct schedule *schedule_new(unsigned int max_slots, enum schedule_phase phase);
void schedule_free(struct schedule *s);
/* Sets how many agents there are: ranks 0..count-1. */
void schedule_set_agents(struct schedule *s, unsigned int count, int64_t now_ms);
/* When a target runs.  Times are monotonic ms. */
struct schedule_plan {
	const char *id; /* copied */
	int64_t origin_ms, interval_ms;
	unsigned int max_agents; /* 0: all */
	/* The origin was made just now, so the instants since then have not been run by anybody;
	 * else what lies before now counts as past. */
	bool fresh;
};

/* Adds the target or changes its interval, origin and cap; an unchanged one keeps its instants. */
void schedule_put(struct schedule *s, const struct schedule_plan *plan, int64_t now_ms);
/* Sets the target's host (max_per_host counts runs per host) and the expected peak memory of one
 * run.  Before this call a target has a host of its own and costs nothing. */
void schedule_set_load(struct schedule *s, const char *id, const char *host, int64_t cost_bytes);
void schedule_remove(struct schedule *s, const char *id);

/* 0: no limit. */
struct schedule_limits {
	unsigned int max_runs;     /* at a time */
	unsigned int max_per_host; /* ... against one host */
	int64_t budget_bytes;      /* for all together */
};

void schedule_set_limits(struct schedule *s, const struct schedule_limits *limits);
/* Counts a run that schedule_next() has not handed out: one by order, or one that was found at the
 * start.  It may be one more than the limits allow. */
void schedule_begin(struct schedule *s, unsigned int slot, const char *host, int64_t cost_bytes);
/* Sets the memory that the agent's run uses now; it counts if it is more than was expected. */
void schedule_set_use(struct schedule *s, unsigned int slot, int64_t bytes);
/* The agent's run is over and does not count any more. */
void schedule_end(struct schedule *s, unsigned int slot);
/* Returns how many more runs of that host and cost the limits allow; UINT_MAX: any number. */
unsigned int schedule_room(const struct schedule *s, const char *host, int64_t cost_bytes);

/* The limit that keeps the next run waiting. */
enum schedule_block { SCHEDULE_FREE, SCHEDULE_BY_RUNS, SCHEDULE_BY_HOST, SCHEDULE_BY_MEMORY };

struct schedule_load {
	unsigned int active;  /* runs that count against the limits */
	unsigned int waiting; /* pairs that are due and wait for their agent or for a limit */
	unsigned int queued;  /* idle agents that wait for a limit only */
	int64_t used_bytes;   /* the expected or the used memory of each run, whichever is more */
	enum schedule_block block;
};

struct schedule_load schedule_load(const struct schedule *s);
const struct schedule_limits *schedule_limits(const struct schedule *s);
extern const char *const schedule_block_names[SCHEDULE_BY_MEMORY + 1];
/* Sets whether the agent can be given a run. */
void schedule_set_idle(struct schedule *s, unsigned int slot, bool idle);
/* While paused, schedule_next() returns nothing, and instants that come count as missed. */
void schedule_set_paused(struct schedule *s, bool paused);
/* Counts a run that was handed out and could not be started as missed. */
void schedule_count_missed(struct schedule *s, const char *id);
/* Takes the next run to start now; its agent counts as busy from now on.  Returns false if there is
 * none. */
bool schedule_next(struct schedule *s, int64_t now_ms, struct schedule_due *out);
/* Returns the earliest time at which schedule_next() may have a run, if nothing else happens;
 * INT64_MAX: never. */
int64_t schedule_deadline(const struct schedule *s);
/* Returns the target's earliest coming instant over all agents; INT64_MAX: none. */
int64_t schedule_next_due(const struct schedule *s, const char *id);
/* Missed instants of all targets, removed ones included; and of one target. */
uint64_t schedule_missed_total(const struct schedule *s);
uint64_t schedule_missed(const struct schedule *s, const char *id);
/* Returns the first instant of a rank at or after now.  Not static for the tests' sake. */
int64_t schedule_instant(enum schedule_phase phase, const char *id, unsigned int rank,
	int64_t origin_ms, int64_t interval_ms, int64_t now_ms);

#endif
