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

#include "common/limits.h"

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

/* --- many runs, a few at a time ---------------------------------------------------- */

/*
 * A pool takes in runs, and what other pools were packed to, and keeps to a bounded size by putting
 * neighbouring samples together: each time that costs at most 1 / (2 x QUANTILES_POOL_POINTS) of rank.
 * Packed it is coarser: 1 / (2 x QUANTILES_PACKED_POINTS), 0.4 percentiles.
 */
#define QUANTILES_POOL_POINTS 2048
#define QUANTILES_PACKED_POINTS 128
#define QUANTILES_PACKED_MAX (16 + 8 * QUANTILES_PACKED_POINTS)

struct quantiles_pool {
	struct quantiles_point *points;
	size_t len, cap;
	size_t sorted; /* so many at the front are in order */
	double count;  /* of samples */
};

void quantiles_pool_add(struct quantiles_pool *p, const struct quantiles *run);
/* False: these bytes were not packed by us; the pool is as it was. */
bool quantiles_pool_add_packed(struct quantiles_pool *p, const void *data, size_t len);
/* False: no samples. */
bool quantiles_pool_percentiles(struct quantiles_pool *p, struct quantiles *out);
/* Bytes written to out, 0 without samples.  In the byte order of this machine. */
size_t quantiles_pool_pack(struct quantiles_pool *p, unsigned char out[QUANTILES_PACKED_MAX]);
void quantiles_pool_clear(struct quantiles_pool *p);

#endif
