/* SPDX-License-Identifier: MIT */
/*
 * How many runs there are of each day, target, agent and status: what makes the total of a filter and the way
 * to its thousandth page a matter of microseconds with millions of runs.  Pure: numbers in, numbers out.
 */
#ifndef K6FLEET_DASHBOARD_COUNTS_H
#define K6FLEET_DASHBOARD_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counts;

struct counts_key {
	uint32_t target, agent; /* numbers that stand for their names */
	uint16_t day;           /* since 1970, UTC */
	uint8_t status;
};

/* Which runs; agents: a flag for each number below agent_count, NULL: any. */
struct counts_filter {
	const bool *agents;
	size_t agent_count;
	int64_t target; /* -1: any */
	int status;     /* -1: any */
};

struct counts *counts_new(void);
void counts_free(struct counts *c);
/* A change that holds from counts_commit() on, or is forgotten by counts_rollback(). */
void counts_add(struct counts *c, const struct counts_key *key, int64_t n);
void counts_commit(struct counts *c);
void counts_rollback(struct counts *c);
void counts_clear(struct counts *c);
/* Runs of the filter in first_day..last_day. */
int64_t counts_total(const struct counts *c, const struct counts_filter *f, uint16_t first_day,
	uint16_t last_day);
/* The day that has run number *offset of these, counted from the newest day (or the oldest); *offset becomes
 * its number within that day.  False: there are not so many. */
bool counts_find_day(const struct counts *c, const struct counts_filter *f, uint16_t first_day,
	uint16_t last_day, bool newest_first, int64_t *offset, uint16_t *day);

#endif
