/* SPDX-License-Identifier: MIT */
/* k6 interpolates: p(i) is the value at rank i / 100 x (count - 1), between two neighbouring
 * samples (k6's metrics/sink.go).  With up to 101 samples this calculation can be reversed. */
#include "common/quantiles.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define STEPS (QUANTILES - 1)
/* Points that replace the samples of a run with more than 101 of them.  Both numbers are 100 x n
 * + 1, so that each percentile is one of the points. */
#define STAND_INS 401
#define POOL_STAND_INS 101
/* Relative error of percentiles that were rounded to nine digits, with a margin. */
#define TOLERANCE 1e-6

struct quantiles_point {
	double value, weight;
};

static double between(double a, double b, double share)
{
	return a + (b - a) * share;
}

/* The value at a rank from 0 to 1, interpolated between percentiles. */
static double at(const double *q, double rank)
{
	double r = rank * STEPS;
	int i = (int)r;

	return i >= STEPS ? q[STEPS] : between(q[i], q[i + 1], r - i);
}

/*
 * Finds the n samples that have these percentiles.  Each percentile is a linear equation in two
 * neighbouring samples. There are more equations than samples: least squares.  The normal
 * equations are tridiagonal and are solved by elimination (L D L').  Returns false if no n
 * samples have these percentiles.
 */
static bool find_samples(const double *q, int n, double *x)
{
	double diagonal[QUANTILES] = {0}, beside[QUANTILES] = {0};

	memset(x, 0, (size_t)n * sizeof(*x));
	for (int i = 0; i < QUANTILES; i++) {
		double rank = (double)i / STEPS * (n - 1);
		int k = rank >= n - 1 ? n - 2 : (int)rank;
		double upper = rank - k, lower = 1 - upper;

		diagonal[k] += lower * lower;
		diagonal[k + 1] += upper * upper;
		beside[k] += lower * upper;
		x[k] += lower * q[i];
		x[k + 1] += upper * q[i];
	}
	for (int k = 1; k < n; k++) {
		double factor = beside[k - 1] / diagonal[k - 1];

		diagonal[k] -= factor * beside[k - 1];
		x[k] -= factor * x[k - 1];
	}
	x[n - 1] /= diagonal[n - 1];
	for (int k = n - 2; k >= 0; k--)
		x[k] = (x[k] - beside[k] * x[k + 1]) / diagonal[k];
	for (int i = 0; i < QUANTILES; i++) {
		double rank = (double)i / STEPS * (n - 1);
		int k = rank >= n - 1 ? n - 2 : (int)rank;

		/* The rounding error of the larger sample may appear in the smaller one. */
		if (!(fabs(between(x[k], x[k + 1], rank - k) - q[i]) <=
			    TOLERANCE * (fabs(x[k + 1]) + TOLERANCE)) ||
			x[k + 1] < x[k] - TOLERANCE * (fabs(x[k]) + TOLERANCE))
			return false;
	}
	return true;
}

/* Writes the samples of a run to x.  Returns false if there are more than 101, or the
 * percentiles contradict each other. */
static bool tell_samples(const struct quantiles *run, double *x)
{
	x[0] = run->q[0];
	return run->count == 1 ||
		(run->count <= QUANTILES && find_samples(run->q, (int)run->count, x));
}

/* Writes the samples of a run, or stand_ins points of equal weight instead of them.  Returns the
 * number of points. */
static size_t spread(const struct quantiles *run, int stand_ins, struct quantiles_point *out)
{
	int n = run->count <= QUANTILES ? (int)run->count : stand_ins;
	double x[QUANTILES];

	if (tell_samples(run, x)) {
		for (int i = 0; i < n; i++)
			out[i] = (struct quantiles_point){x[i], 1};
		return (size_t)n;
	}
	for (int i = 0; i < n; i++)
		out[i] = (struct quantiles_point){at(run->q, (double)i / (n - 1)), run->count / n};
	return (size_t)n;
}

static int by_value(const void *a, const void *b)
{
	const struct quantiles_point *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/* Writes the percentiles of n ascending points; a point of weight w counts as w equal samples,
 * total in all. */
static void take_percentiles(
	const struct quantiles_point *points, size_t n, double total, struct quantiles *out)
{
	double first = 0; /* rank of the first sample of points[k] */
	size_t k = 0;

	for (int i = 0; i < QUANTILES; i++) {
		double rank = (double)i / STEPS * (total - 1);

		while (k + 1 < n && first + points[k].weight <= rank)
			first += points[k++].weight;
		out->q[i] = points[k].value;
		/* Between the last sample of this point and the first of the next one. */
		if (k + 1 < n && rank > first + points[k].weight - 1)
			out->q[i] = between(points[k].value, points[k + 1].value,
				fmin(1, rank - (first + points[k].weight - 1)));
	}
	/* Rounding may leave a percentile below its predecessor. */
	for (int i = 1; i < QUANTILES; i++)
		out->q[i] = fmax(out->q[i], out->q[i - 1]);
}

bool quantiles_subtract(
	const struct quantiles *all, const struct quantiles *part, struct quantiles *out)
{
	int n = all->count <= QUANTILES ? (int)all->count : 0, gone = (int)part->count, left = 0;
	double x[QUANTILES], away[QUANTILES];
	struct quantiles_point points[QUANTILES];

	if (gone < 1 || n <= gone || !tell_samples(all, x) || !tell_samples(part, away))
		return false;
	/* Both lists were calculated, so a sample is recognised by being nearest. */
	for (int i = 0; i < gone; i++) {
		int nearest = 0;

		for (int k = 1; k < n; k++) {
			if (!isnan(x[k]) && !(fabs(x[k] - away[i]) >= fabs(x[nearest] - away[i])))
				nearest = k;
		}
		x[nearest] = NAN;
	}
	for (int k = 0; k < n; k++) {
		if (!isnan(x[k]))
			points[left++] = (struct quantiles_point){x[k], 1};
	}
	*out = (struct quantiles){.count = left};
	take_percentiles(points, (size_t)left, left, out);
	return true;
}

bool quantiles_merge(const struct quantiles *runs, size_t n, struct quantiles *out)
{
	struct quantiles_point *points = x_calloc(n + 1, STAND_INS * sizeof(*points));
	size_t count = 0;

	*out = (struct quantiles){0};
	for (size_t i = 0; i < n; i++) {
		if (runs[i].count < 1)
			continue;
		count += spread(&runs[i], STAND_INS, points + count);
		out->count += floor(runs[i].count);
	}
	if (count) {
		qsort(points, count, sizeof(*points), by_value);
		take_percentiles(points, count, out->count, out);
	}
	free(points);
	return count > 0;
}

/* --- pools -------------------------------------------------------------------- */

/* Points that a pool may hold before it is compressed. */
#define POOL_ROOM (4 * QUANTILES_POOL_POINTS)

/* Returns the index after the ascending sequence that begins at `from`. */
static size_t sequence_end(const struct quantiles_point *p, size_t from, size_t n)
{
	do {
		from++;
	} while (from < n && p[from].value >= p[from - 1].value);
	return from < n ? from : n;
}

/* Merges each two neighbouring ascending sequences of `in` into one in `out`.  Returns the
 * number of sequences in out. */
static size_t merge_pairs(const struct quantiles_point *in, size_t n, struct quantiles_point *out)
{
	size_t sequences = 0, made = 0, begin = 0;

	while (begin < n) {
		size_t middle = sequence_end(in, begin, n);
		size_t end = middle < n ? sequence_end(in, middle, n) : n;
		size_t a = begin, b = middle;

		while (a < middle || b < end)
			out[made++] = b == end || (a < middle && in[a].value <= in[b].value)
				? in[a++]
				: in[b++];
		begin = end;
		sequences++;
	}
	return sequences;
}

/* Natural merge sort: the points of a pool are a few dozen ascending sequences, one of each run. */
static void sort_pool(struct quantiles_pool *p)
{
	struct quantiles_point *other, *swap;

	if (p->sorted == p->len)
		return;
	other = x_calloc(p->cap, sizeof(*other));
	do {
		swap = p->points;
		p->points = other;
		other = swap;
	} while (merge_pairs(other, p->len, p->points) > 1);
	free(other);
	p->sorted = p->len;
}

/* Reduces n ascending points to at most `most`.  The smallest and the largest sample are kept;
 * the samples between them are divided into cells of equal weight, and each cell gets the value
 * at its middle rank.  Returns the number of points in out. */
static size_t compress(const struct quantiles_point *in, size_t n, double total, size_t most,
	struct quantiles_point *out)
{
	double cell = (total - 2) / (double)(most - 2), first = 0, middle;
	size_t k = 0, made = 0;

	out[made++] = (struct quantiles_point){in[0].value, 1};
	for (size_t i = 0; i < most - 2; i++) {
		middle = 1 + ((double)i + 0.5) * cell;
		while (k + 1 < n && first + in[k].weight <= middle)
			first += in[k++].weight;
		/* Neighbours of equal value become one point. */
		if (made > 1 && out[made - 1].value == in[k].value)
			out[made - 1].weight += cell;
		else
			out[made++] = (struct quantiles_point){in[k].value, cell};
	}
	out[made++] = (struct quantiles_point){in[n - 1].value, 1};
	return made;
}

/* Makes room for `more` points, and compresses the pool where it would grow beyond POOL_ROOM. */
static void make_room(struct quantiles_pool *p, size_t more)
{
	if (p->len + more <= POOL_ROOM) {
		if (p->len + more > p->cap) {
			p->cap = p->len + more > 2 * p->cap ? p->len + more : 2 * p->cap;
			p->points = x_realloc(p->points, p->cap, sizeof(*p->points));
		}
		return;
	}
	sort_pool(p);
	if (p->len > QUANTILES_POOL_POINTS && p->count > QUANTILES_POOL_POINTS) {
		struct quantiles_point *small = x_calloc(POOL_ROOM + STAND_INS, sizeof(*small));

		p->len = compress(p->points, p->len, p->count, QUANTILES_POOL_POINTS, small);
		free(p->points);
		p->points = small;
		p->cap = POOL_ROOM + STAND_INS;
		p->sorted = p->len;
	}
}

void quantiles_pool_add(struct quantiles_pool *p, const struct quantiles *run)
{
	if (run->count < 1)
		return;
	make_room(p, QUANTILES);
	p->len += spread(run, POOL_STAND_INS, p->points + p->len);
	p->count += floor(run->count);
}

bool quantiles_pool_percentiles(struct quantiles_pool *p, struct quantiles *out)
{
	*out = (struct quantiles){.count = p->count};
	if (!p->len)
		return false;
	sort_pool(p);
	take_percentiles(p->points, p->len, p->count, out);
	return true;
}

/* In the machine's own format: a packed pool is read where it was written. */
struct packed_head {
	uint32_t magic, points;
	double count;
};

#define PACKED_MAGIC 0x51303031 /* "Q001" */

size_t quantiles_pool_pack(struct quantiles_pool *p, unsigned char out[QUANTILES_PACKED_MAX])
{
	struct quantiles_point few[QUANTILES_PACKED_POINTS];
	const struct quantiles_point *points;
	struct packed_head head = {PACKED_MAGIC, 0, p->count};
	size_t n = p->len;

	if (!n)
		return 0;
	sort_pool(p);
	points = p->points;
	if (n > QUANTILES_PACKED_POINTS) {
		n = compress(p->points, n, p->count, QUANTILES_PACKED_POINTS, few);
		points = few;
	}
	head.points = (uint32_t)n;
	memcpy(out, &head, sizeof(head));
	for (size_t i = 0; i < n; i++) {
		const float pair[2] = {(float)points[i].value, (float)points[i].weight};

		memcpy(out + sizeof(head) + i * sizeof(pair), pair, sizeof(pair));
	}
	return sizeof(head) + n * 2 * sizeof(float);
}

bool quantiles_pool_add_packed(struct quantiles_pool *p, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	struct packed_head head;

	if (len < sizeof(head))
		return false;
	memcpy(&head, bytes, sizeof(head));
	if (head.magic != PACKED_MAGIC || !head.points || head.points > QUANTILES_PACKED_POINTS ||
		len != sizeof(head) + head.points * 2 * sizeof(float) || !(head.count >= 1))
		return false;
	make_room(p, head.points);
	for (uint32_t i = 0; i < head.points; i++) {
		float pair[2];

		memcpy(pair, bytes + sizeof(head) + i * sizeof(pair), sizeof(pair));
		p->points[p->len++] = (struct quantiles_point){pair[0], pair[1]};
	}
	p->count += head.count;
	return true;
}

void quantiles_pool_clear(struct quantiles_pool *p)
{
	free(p->points);
	*p = (struct quantiles_pool){0};
}
