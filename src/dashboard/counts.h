/* SPDX-License-Identifier: MIT */
/*
 * The number of runs of each day, target, agent and status, in memory: with it the total of a
 * filter and the way to its thousandth page take microseconds, however many runs are stored.
 * Pure: numbers in, numbers out.
 */
#ifndef K6FLEET_DASHBOARD_COUNTS_H
#define K6FLEET_DASHBOARD_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counts;

struct counts_key {
	uint32_t target, agent; /* numbers that stand for the names */
	uint16_t day;           /* 1 is 1970-01-01 UTC; a key with day 0 is not counted */
	uint8_t status;
};

struct counts_filter {
	const bool *agents; /* a flag for each agent below agent_count; NULL: any agent */
	size_t agent_count;
	int64_t target; /* -1: any */
	int status;     /* -1: any */
};

/* Days, both included; none when first > last. */
struct counts_days {
	uint16_t first, last;
};

struct counts *counts_new(void);
/* NULL is allowed. */
void counts_free(struct counts *c);
/* Adds n, which may be negative, to the count of a key.  Other functions see the change after
 * counts_commit(); counts_rollback() forgets it. */
void counts_add(struct counts *c, const struct counts_key *key, int64_t n);
void counts_commit(struct counts *c);
void counts_rollback(struct counts *c);
/* Sets all counts to 0 and forgets changes that were not committed. */
void counts_clear(struct counts *c);
/* Returns the number of runs of the filter on these days. */
int64_t counts_total(
	const struct counts *c, const struct counts_filter *f, struct counts_days days);
/* Finds the day of run number *offset among the runs of the filter on these days; 0 is the first
 * run of the oldest day, or of the newest one.  Returns true with *day, and *offset becomes the
 * number within that day; returns false when there are not so many runs. */
bool counts_find_day(const struct counts *c, const struct counts_filter *f, struct counts_days days,
	bool newest_first, int64_t *offset, uint16_t *day);

#endif
