/* SPDX-License-Identifier: MIT */
/*
 * Merges the latency percentiles of several runs.  A run keeps p0, p1 ... p100 of its samples
 * and their number. Averaging percentiles would be wrong, so this file reconstructs or
 * approximates the samples of each run, and takes the percentiles of all samples.  Pure.
 *
 * Accuracy: a run of at most 101 samples is reconstructed exactly but for rounding, because 101
 * percentiles determine all of its samples.  The samples of a longer run are assumed to be
 * evenly spaced between two percentiles: the rank of a result is wrong by at most one
 * percentile, usually by far less.
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

/* Removes the samples of `part` from those of `all`, which include them, and writes the
 * percentiles of the rest. Returns false, and leaves *out unchanged, if `all` has more than 101
 * samples or no sample is left. */
bool quantiles_subtract(
	const struct quantiles *all, const struct quantiles *part, struct quantiles *out);
/* Writes the percentiles of all samples of the n runs.  Returns false if the runs have no
 * samples. */
bool quantiles_merge(const struct quantiles *runs, size_t n, struct quantiles *out);

/* --- many runs, a few at a time ---------------------------------------------------- */

/*
 * A pool collects the samples of runs and of packed pools in bounded memory: when it is full it
 * merges neighbouring samples, which changes the rank of a result by at most 1 / (2 x
 * QUANTILES_POOL_POINTS) each time. Packing a pool is coarser: 1 / (2 x
 * QUANTILES_PACKED_POINTS), 0.4 percentiles.
 *
 * A pool of zero bytes is empty; quantiles_pool_clear() frees its memory and empties it.
 */
#define QUANTILES_POOL_POINTS 2048
#define QUANTILES_PACKED_POINTS 128
#define QUANTILES_PACKED_MAX (16 + 8 * QUANTILES_PACKED_POINTS)

struct quantiles_pool {
	struct quantiles_point *points;
	size_t len, cap;
	size_t sorted; /* points at the front that are ascending */
	double count;  /* of samples */
};

/* Adds the samples of a run. */
void quantiles_pool_add(struct quantiles_pool *p, const struct quantiles *run);
/* Adds a packed pool.  Returns false and changes nothing if quantiles_pool_pack() did not make
 * these bytes. */
bool quantiles_pool_add_packed(struct quantiles_pool *p, const void *data, size_t len);
/* Writes the percentiles of the pool's samples.  Returns false if it has none. */
bool quantiles_pool_percentiles(struct quantiles_pool *p, struct quantiles *out);
/* Packs the pool in the byte order of this machine.  Returns the bytes written, 0 if the pool
 * has no samples. */
size_t quantiles_pool_pack(struct quantiles_pool *p, unsigned char out[QUANTILES_PACKED_MAX]);
void quantiles_pool_clear(struct quantiles_pool *p);

#endif
