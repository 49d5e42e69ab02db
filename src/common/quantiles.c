/* SPDX-License-Identifier: MIT */
/* k6 interpolates: p(i) lies at rank i / 100 x (count - 1) between two neighbouring samples (its
 * metrics/sink.go).  With up to 101 samples that can be turned round. */
#include "common/quantiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define STEPS (QUANTILES - 1)
/* For a run with more samples than percentiles; each percentile is one of them. */
#define STAND_INS 401
#define TOLERANCE 1e-6

struct point {
	double value, weight;
};

static double between(double a, double b, double share)
{
	return a + (b - a) * share;
}

/* Value at a rank from 0 to 1 in a run's percentiles. */
static double at(const double *q, double rank)
{
	double r = rank * STEPS;
	int i = (int)r;

	return i >= STEPS ? q[STEPS] : between(q[i], q[i + 1], r - i);
}

/*
 * The samples that have these percentiles: each percentile is one linear equation in two neighbouring
 * samples.  There are more equations than samples, so least squares: the normal equations have three
 * diagonals and are solved by elimination (L D L').  false: these are no percentiles of n samples.
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

		if (!(fabs(between(x[k], x[k + 1], rank - k) - q[i]) <=
			    TOLERANCE * (fabs(q[i]) + TOLERANCE)) ||
			x[k + 1] < x[k] - TOLERANCE * (fabs(x[k]) + TOLERANCE))
			return false;
	}
	return true;
}

/* Each of a run's samples, if there are few enough for that. */
static bool tell_samples(const struct quantiles *run, double *x)
{
	x[0] = run->q[0];
	return run->count == 1 ||
		(run->count <= QUANTILES && find_samples(run->q, (int)run->count, x));
}

/* Samples of a run, or points that stand for several of them each. */
static size_t spread(const struct quantiles *run, struct point *out)
{
	int n = run->count <= QUANTILES ? (int)run->count : STAND_INS;
	double x[QUANTILES];

	if (tell_samples(run, x)) {
		for (int i = 0; i < n; i++)
			out[i] = (struct point){x[i], 1};
		return (size_t)n;
	}
	for (int i = 0; i < n; i++)
		out[i] = (struct point){at(run->q, (double)i / (n - 1)), run->count / n};
	return (size_t)n;
}

static int by_value(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/* A point of weight w stands for w samples of one value. */
static void take_percentiles(
	const struct point *points, size_t n, double total, struct quantiles *out)
{
	double first = 0; /* rank of the first sample that points[k] stands for */
	size_t k = 0;

	for (int i = 0; i < QUANTILES; i++) {
		double rank = (double)i / STEPS * (total - 1);

		while (k + 1 < n && first + points[k].weight <= rank)
			first += points[k++].weight;
		out->q[i] = points[k].value;
		/* Between its last sample and the next point's first. */
		if (k + 1 < n && rank > first + points[k].weight - 1)
			out->q[i] = between(points[k].value, points[k + 1].value,
				fmin(1, rank - (first + points[k].weight - 1)));
	}
	/* What rounding left behind. */
	for (int i = 1; i < QUANTILES; i++)
		out->q[i] = fmax(out->q[i], out->q[i - 1]);
}

bool quantiles_subtract(
	const struct quantiles *all, const struct quantiles *part, struct quantiles *out)
{
	int n = all->count <= QUANTILES ? (int)all->count : 0, gone = (int)part->count, left = 0;
	double x[QUANTILES], away[QUANTILES];
	struct point points[QUANTILES];

	if (gone < 1 || n <= gone || !tell_samples(all, x) || !tell_samples(part, away))
		return false;
	/* The nearest, since both lists were found by calculation. */
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
			points[left++] = (struct point){x[k], 1};
	}
	*out = (struct quantiles){.count = left};
	take_percentiles(points, (size_t)left, left, out);
	return true;
}

bool quantiles_merge(const struct quantiles *runs, size_t n, struct quantiles *out)
{
	struct point *points = x_calloc(n + 1, STAND_INS * sizeof(*points));
	size_t count = 0;

	*out = (struct quantiles){0};
	for (size_t i = 0; i < n; i++) {
		if (runs[i].count < 1)
			continue;
		count += spread(&runs[i], points + count);
		out->count += floor(runs[i].count);
	}
	if (count) {
		qsort(points, count, sizeof(*points), by_value);
		take_percentiles(points, count, out->count, out);
	}
	free(points);
	return count > 0;
}
