/* SPDX-License-Identifier: MIT */
/*
 * Percentiles of what several runs have measured together.  A run keeps p0, p1 ... p100 of its
 * samples and how many there were; percentiles of percentiles would be wrong, so the samples
 * themselves are found again, or stood in for, and put together.  Pure.
 *
 * Error: none, but for rounding, where every run has at most 101 samples, since its percentiles then
 * tell each of them.  Of a longer run the samples between two percentiles are taken to lie evenly: at
 * most one percentile of rank, as a rule far less.
 */
#ifndef K6FLEET_QUANTILES_H
#define K6FLEET_QUANTILES_H

#include <stdbool.h>
#include <stddef.h>

#define QUANTILES 101

struct quantiles {
	double q[QUANTILES]; /* ascending */
	double count;        /* of samples */
};

/* Percentiles of what is left when the samples of `part`, some of those of `all`, are taken away.  False when
 * there are too many for their percentiles to tell each, or nothing is left. */
bool quantiles_subtract(
	const struct quantiles *all, const struct quantiles *part, struct quantiles *out);
/* Percentiles of all samples of the n runs; false when they have none. */
bool quantiles_merge(const struct quantiles *runs, size_t n, struct quantiles *out);

#endif
