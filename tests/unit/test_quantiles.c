/* SPDX-License-Identifier: MIT */
/* Merged percentiles are compared with the exact ones of the raw samples. */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/quantiles.h"

#define SAMPLES_MAX 800000

static double *pool;
static size_t pooled;

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Computes a percentile as k6 does. */
static void percentiles_of(double *x, size_t n, struct quantiles *out)
{
	qsort(x, n, sizeof(*x), ascending);
	out->count = (double)n;
	for (int i = 0; i < QUANTILES; i++) {
		double r = i / 100. * (double)(n - 1);
		size_t k = (size_t)r;

		out->q[i] = k + 1 < n ? x[k] + (x[k + 1] - x[k]) * (r - (double)k) : x[n - 1];
	}
}

static double random_share(void)
{
	return (double)random() / (double)RAND_MAX;
}

/* Realistic latencies: a narrow bulk, a long tail, some equal ones. */
static double latency(int kind)
{
	double u = random_share();

	switch (kind % 4) {
	case 0: return 1 + u;
	case 1: return 20 / (1.0001 - u);
	case 2: return u < 0.7 ? 5 : 5 + 100 * random_share();
	default: return exp(6 * u);
	}
}

static struct quantiles make_run(size_t n, int kind)
{
	struct quantiles run;

	for (size_t i = 0; i < n; i++)
		pool[pooled + i] = latency(kind);
	percentiles_of(pool + pooled, n, &run);
	pooled += n;
	return run;
}

/* Returns the error in percentiles of rank; 0 if the value lies among the samples of this rank. */
static double rank_error(const double *sorted, size_t n, double value, int percentile)
{
	size_t below = 0, upto, hi = n;
	double least, most, want = percentile / 100.;
	double slack = 1e-6 * (fabs(value) + 1);

	while (below < hi) {
		size_t mid = (below + hi) / 2;

		if (sorted[mid] < value - slack)
			below = mid + 1;
		else
			hi = mid;
	}
	for (upto = below; upto < n && sorted[upto] <= value + slack; upto++)
		;
	/* A value between two samples may have any rank between theirs. */
	least = below ? (double)(below - 1) / (double)(n - 1) : 0;
	most = upto < n ? (double)upto / (double)(n - 1) : 1;
	if (want < least)
		return 100 * (least - want);
	return want > most ? 100 * (want - most) : 0;
}

static double worst_error(const struct quantiles *runs, size_t n)
{
	struct quantiles merged, exact;
	double worst = 0;

	assert_true(quantiles_merge(runs, n, &merged));
	percentiles_of(pool, pooled, &exact);
	assert_true(merged.count == exact.count);
	for (int i = 0; i < QUANTILES; i++) {
		double e = rank_error(pool, pooled, merged.q[i], i);

		assert_true(!i || merged.q[i] >= merged.q[i - 1]);
		worst = e > worst ? e : worst;
	}
	return worst;
}

static void short_runs_are_merged_exactly(void **state)
{
	struct quantiles runs[60], merged, exact;

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t n = 1 + (size_t)random() % 60;

		pooled = 0;
		for (size_t i = 0; i < n; i++)
			runs[i] = make_run(1 + (size_t)random() % 101, (int)random());
		assert_true(quantiles_merge(runs, n, &merged));
		percentiles_of(pool, pooled, &exact);
		for (int i = 0; i < QUANTILES; i++) {
			if (fabs(merged.q[i] - exact.q[i]) > 1e-5 * (1 + exact.q[i]))
				fail_msg("round %d p%d: %.9g, exact %.9g", round, i, merged.q[i],
					exact.q[i]);
		}
	}
}

static void long_runs_within_a_percentile_of_rank(void **state)
{
	struct quantiles runs[60];
	double worst = 0;

	(void)state;
	for (int round = 0; round < 60; round++) {
		size_t n = 1 + (size_t)random() % 50;
		double e;

		pooled = 0;
		for (size_t i = 0; i < n; i++)
			runs[i] = make_run(1 + (size_t)random() % 5000, (int)random());
		e = worst_error(runs, n);
		worst = e > worst ? e : worst;
	}
	print_message("worst error: %.3f percentiles of rank\n", worst);
	assert_true(worst <= 1);
}

static void weights_are_the_counts(void **state)
{
	/* 10 fast samples and 990 slow ones: an average of the medians would say 50.5. */
	struct quantiles runs[2], merged;

	(void)state;
	for (int i = 0; i < QUANTILES; i++) {
		runs[0].q[i] = 1;
		runs[1].q[i] = 100;
	}
	runs[0].count = 10;
	runs[1].count = 990;
	assert_true(quantiles_merge(runs, 2, &merged));
	assert_true(fabs(merged.q[50] - 100) < 1e-9 && fabs(merged.q[2] - 100) < 1e-9);
	assert_true(fabs(merged.q[0] - 1) < 1e-9);
	runs[0].count = 0;
	runs[1].count = 0;
	assert_false(quantiles_merge(runs, 2, &merged));
	assert_false(quantiles_merge(runs, 0, &merged));
}

static void what_is_taken_away_leaves_the_rest(void **state)
{
	double samples[QUANTILES], rest[QUANTILES], away[QUANTILES];
	struct quantiles all, part, left, exact;

	(void)state;
	for (int round = 0; round < 500; round++) {
		size_t n = 2 + (size_t)random() % 100, gone = 1 + (size_t)random() % (n - 1);

		/* Requests that were refused, timed out, or took a time between. */
		for (size_t i = 0; i < n; i++)
			samples[i] = 1 + (double)(random() % 1000000) / 1000;
		for (size_t i = 0; i < gone; i++)
			samples[i] = round % 3 == 0 ? 0 : round % 3 == 1 ? 60000 : samples[i];
		memcpy(away, samples, gone * sizeof(*away));
		memcpy(rest, samples + gone, (n - gone) * sizeof(*rest));
		percentiles_of(samples, n, &all);
		percentiles_of(away, gone, &part);
		percentiles_of(rest, n - gone, &exact);
		assert_true(quantiles_subtract(&all, &part, &left));
		assert_true(left.count == (double)(n - gone));
		for (int i = 0; i < QUANTILES; i++) {
			if (fabs(left.q[i] - exact.q[i]) > 1e-5 * (1 + exact.q[i]))
				fail_msg("round %d p%d: %.9g, exact %.9g", round, i, left.q[i],
					exact.q[i]);
		}
	}
	part = all;
	assert_false(quantiles_subtract(&all, &part, &left));
}

/* Thousands of runs are merged by the hour, and the hours are merged. */
static void pools_stay_within_a_percentile_of_rank(void **state)
{
	unsigned char packed[QUANTILES_PACKED_MAX];
	double worst = 0;

	(void)state;
	for (int round = 0; round < 6; round++) {
		struct quantiles_pool month = {0};
		struct quantiles got;

		pooled = 0;
		for (int hour = 0; hour < 24; hour++) {
			struct quantiles_pool hourly = {0};
			size_t n = 1 + (size_t)random() % 60, len;

			for (size_t i = 0; i < n; i++) {
				struct quantiles run = make_run(
					1 + (size_t)random() % (round ? 120 : 400), (int)random());

				quantiles_pool_add(&hourly, &run);
			}
			len = quantiles_pool_pack(&hourly, packed);
			assert_true(len > 0 && len <= sizeof(packed));
			assert_true(quantiles_pool_add_packed(&month, packed, len));
			assert_false(quantiles_pool_add_packed(&month, packed, len - 1));
			packed[0] ^= 1;
			assert_false(quantiles_pool_add_packed(&month, packed, len));
			quantiles_pool_clear(&hourly);
		}
		assert_true(quantiles_pool_percentiles(&month, &got));
		assert_true(got.count == (double)pooled);
		qsort(pool, pooled, sizeof(*pool), ascending);
		for (int i = 0; i < QUANTILES; i++) {
			double e = rank_error(pool, pooled, got.q[i], i);

			worst = e > worst ? e : worst;
		}
		quantiles_pool_clear(&month);
	}
	print_message("worst error of hours put together: %.3f percentiles of rank\n", worst);
	assert_true(worst <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_runs_are_merged_exactly),
		cmocka_unit_test(long_runs_within_a_percentile_of_rank),
		cmocka_unit_test(weights_are_the_counts),
		cmocka_unit_test(what_is_taken_away_leaves_the_rest),
		cmocka_unit_test(pools_stay_within_a_percentile_of_rank),
	};
	const char *given = getenv("QUANTILES_SEED");
	unsigned int seed = given ? (unsigned int)atoi(given) : (unsigned int)time(NULL);

	print_message("QUANTILES_SEED=%u\n", seed);
	srandom(seed);
	pool = calloc(SAMPLES_MAX, sizeof(*pool));
	return cmocka_run_group_tests_name("quantiles", tests, NULL, NULL);
}
