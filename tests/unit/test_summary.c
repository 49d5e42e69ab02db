/* SPDX-License-Identifier: MIT */
/* Real summaries of three major versions of k6, and forged summaries of a hostile script. */
#include "test.h"

#include <math.h>

#include "agent/summary.h"

/* -1 stands for null: k6 did not report the metric. */
static const struct fixture {
	const char *file;
	double p50, p95, p99, avg, error_rate, http_reqs, iterations, bytes, checks_passed,
		checks_failed;
	int thresholds, crossed;
} fixtures[] = {
	{"v049/fail500.export.json", 0.2877385, 0.62452565, 1.6995768599999912, 0.3481376333333333,
		1, 60, 60, 4620, -1, -1, 0, 0},
	{"v049/full.export.json", 0.231154, 0.78975045, 0.91166714, 0.2860072500000001, 0.5, 120,
		60, 9240, 120, 60, 6, 3},
	{"v049/handleSummary.data.json", 0.319466, 0.5127545000000009, 1.4010044999999984,
		0.39091945, 0, 20, 20, 1540, 20, 0, 2, 1},
	{"v049/hs.export.json", 0.319466, 0.5127545000000009, 1.4010044999999984, 0.39091945, 0, 20,
		20, 1540, 20, 0, 2, 1},
	{"v049/mixed.export.json", 0.114225, 1.321231299999999, 1.7692150599999996,
		0.35559187499999995, 0.25, 8, 8, 616, -1, -1, 0, 0},
	{"v049/ok.export.json", 0.292906, 0.5283074499999998, 0.76145469, 0.30703708333333335, 0,
		60, 60, 4620, -1, -1, 0, 0},
	{"v049/refused.export.json", -1, -1, -1, -1, 1, 15, 15, 0, -1, -1, 0, 0},
	{"v049/zero.export.json", -1, -1, -1, -1, -1, -1, 10, 0, -1, -1, 0, 0},
	{"v049/zeroiter.export.json", -1, -1, -1, -1, -1, -1, -1, 0, -1, -1, 0, 0},
	{"v1/fail500.export.json", 0.3378105, 1.9260501499999996, 3.833877359999999,
		0.5433387000000002, 1, 60, 60, 4620, -1, -1, 0, 0},
	{"v1/full.export.json", 0.2881915, 0.87325535, 1.4632141200000013, 0.3759433833333336, 0.5,
		120, 60, 9240, 120, 60, 6, 3},
	{"v1/full.newmr.json", 0.235128, 0.6814264499999998, -1, 0.3237835250000002, 0.5, 120, 60,
		9240, 120, 60, 0, 0},
	{"v1/handleSummary.data.json", 0.34913, 1.3145989000000016, 2.8623829799999974,
		0.5657232499999998, 0, 20, 20, 1540, 20, 0, 2, 1},
	{"v1/hs.export.json", 0.34913, 1.3145989000000016, 2.8623829799999974, 0.5657232499999998,
		0, 20, 20, 1540, 20, 0, 2, 1},
	{"v1/iterthrow.export.json", -1, -1, -1, -1, -1, -1, 1, 0, -1, -1, 0, 0},
	{"v1/mixed.export.json", 0.114561, 0.5455094499999998, 0.6806130899999999, 0.202350875,
		0.25, 8, 8, 616, -1, -1, 0, 0},
	{"v1/ok-default-stats.export.json", 0.27710250000000003, 0.46359975, -1,
		0.28205983333333334, 0, 60, 60, 4620, -1, -1, 0, 0},
	{"v1/ok.export.json", 0.342941, 4.003674499999999, 4.81447011, 0.5798424833333331, 0, 60,
		60, 4620, -1, -1, 0, 0},
	{"v1/ok.newmr.json", 0.25762850000000004, 0.43153259999999993, -1, 0.2516981833333334, 0,
		60, 60, 4620, -1, -1, 0, 0},
	{"v1/refused.export.json", -1, -1, -1, -1, 1, 15, 15, 0, -1, -1, 0, 0},
	{"v1/sigterm.export.json", 0.422153, 1.2502754, 1.32388628, 0.6889310000000001, 0, 3, 2,
		231, -1, -1, 0, 0},
	{"v1/timeout.export.json", 482.2278195, 496.87593675, 500.80560975, 463.50316900000007, 1,
		12, 12, 0, -1, -1, 0, 0},
	{"v1/zero.export.json", -1, -1, -1, -1, -1, -1, 10, 0, -1, -1, 0, 0},
	{"v1/zero.newmr.json", -1, -1, -1, -1, -1, -1, 10, 0, -1, -1, 0, 0},
	{"v1/zeroiter.export.json", -1, -1, -1, -1, -1, -1, -1, 0, -1, -1, 0, 0},
	{"v2/fail500.export.json", 0.2315295, 0.5222451499999998, 0.8014257199999992,
		0.2686023666666667, 1, 60, 60, 4620, -1, -1, 0, 0},
	{"v2/full.export.json", 0.22, 0.6259058, 0.7961819500000001, 0.2771272583333333, 0.5, 120,
		60, 9240, 120, 60, 6, 3},
	{"v2/full.newmr.json", 0.25871500000000003, 0.9889551, -1, 0.40014719999999987, 0.5, 120,
		60, 9240, 120, 60, 0, 0},
	{"v2/handleSummary.data.json", 0.320623, 0.41049870000000005, 0.42826294, 0.3292651, 0, 20,
		20, 1540, 20, 0, 2, 1},
	{"v2/handleSummary.newmr.json", 0.323159, 1.8832632500000035, -1, 0.7086362499999999, 0, 20,
		20, 1540, 20, 0, 0, 0},
	{"v2/hs.export.json", 0.320623, 0.41049870000000005, 0.42826294, 0.3292651, 0, 20, 20, 1540,
		20, 0, 2, 1},
	{"v2/iterthrow.export.json", -1, -1, -1, -1, -1, -1, 1, 0, -1, -1, 0, 0},
	{"v2/mixed.export.json", 0.063289, 0.25635254999999985, 0.3272169099999999, 0.10224825,
		0.25, 8, 8, 616, -1, -1, 0, 0},
	{"v2/ok-default-stats.export.json", 0.29256099999999996, 0.4629755, -1, 0.29157194999999997,
		0, 60, 60, 4620, -1, -1, 0, 0},
	{"v2/ok.export.json", 0.28996, 0.42334489999999997, 0.588943659999999, 0.2585737166666667,
		0, 60, 60, 4620, -1, -1, 0, 0},
	{"v2/ok.newmr.json", 0.3495105, 0.6044889499999995, -1, 0.3498472666666669, 0, 60, 60, 4620,
		-1, -1, 0, 0},
	{"v2/refused.export.json", -1, -1, -1, -1, 1, 15, 15, 0, -1, -1, 0, 0},
	{"v2/sigterm.export.json", 0.291564, 0.3681513, 0.37495906, 0.30435666666666666, 0, 3, 2,
		231, -1, -1, 0, 0},
	{"v2/timeout.export.json", 481.93531399999995, 521.57654765, 532.82129193, 481.68818175, 1,
		12, 12, 0, -1, -1, 0, 0},
	{"v2/zero.export.json", -1, -1, -1, -1, -1, -1, 10, 0, -1, -1, 0, 0},
	{"v2/zero.newmr.json", -1, -1, -1, -1, -1, -1, 10, 0, -1, -1, 0, 0},
	{"v2/zeroiter.export.json", -1, -1, -1, -1, -1, -1, -1, 0, -1, -1, 0, 0},
};

static void check(const struct fixture *f, const char *name, double is, double want)
{
	if (isnan(is) != (want < 0))
		fail_msg("%s: %s is %s", f->file, name,
			want >= 0 ? "missing" : "there although k6 did not report it");
	if (want >= 0 && fabs(is - want) > 1e-9 * (1 + want))
		fail_msg("%s: %s is %.12g, not %.12g", f->file, name, is, want);
}

static void assert_no_metrics(const struct run *r)
{
	for (size_t i = 0; i < run_field_count; i++) {
		if (run_fields[i].group == RUN_METRICS)
			assert_true(isnan(*(double *)run_member(&run_fields[i], r)));
	}
	assert_null(r->quantiles);
}

static void every_fixture(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		const struct fixture *f = &fixtures[i];
		struct run r;
		struct err err;
		size_t len, crossed = 0;
		char *text = read_fixture(f->file, &len);

		run_init(&r);
		if (summary_parse(text, len, 10, &r, &err) < 0)
			fail_msg("%s: %s", f->file, err.msg);
		check(f, RUN_NAME(p50_ms), r.p50_ms, f->p50);
		check(f, RUN_NAME(p95_ms), r.p95_ms, f->p95);
		check(f, RUN_NAME(p99_ms), r.p99_ms, f->p99);
		check(f, RUN_NAME(avg_ms), r.avg_ms, f->avg);
		check(f, RUN_NAME(error_rate), r.error_rate, f->error_rate);
		check(f, RUN_NAME(http_reqs), r.http_reqs, f->http_reqs);
		check(f, RUN_NAME(rps), r.rps, f->http_reqs < 0 ? -1 : f->http_reqs / 10);
		check(f, RUN_NAME(iterations), r.iterations, f->iterations);
		check(f, RUN_NAME(data_received_bytes), r.data_received_bytes, f->bytes);
		check(f, RUN_NAME(checks_passed), r.checks_passed, f->checks_passed);
		check(f, RUN_NAME(checks_failed), r.checks_failed, f->checks_failed);
		for (size_t k = 0; k < r.thresholds.count; k++)
			crossed += !r.thresholds.list[k].ok;
		assert_int_equal(r.thresholds.count, f->thresholds);
		assert_int_equal(crossed, f->crossed);
		run_clear(&r);
		free(text);
	}
}

static int parse(const char *text, struct run *r, struct err *err)
{
	run_init(r);
	return summary_parse(text, strlen(text), 1, r, err);
}

static void refuse(const char *text)
{
	struct run r;
	struct err err = {0};

	if (parse(text, &r, &err) == 0)
		fail_msg("taken: %s", text);
	assert_true(strlen(err.msg) > 10);
	assert_no_metrics(&r);
	run_clear(&r);
}

static void cut_at_every_byte(void **state)
{
	size_t len;
	char *text = read_fixture("v2/full.export.json", &len);

	(void)state;
	/* Only white space may follow the last brace. */
	while (len && text[len - 1] != '}')
		len--;
	for (size_t n = 0; n < len; n++) {
		char *cut = x_calloc(1, n + 1);
		struct run r;
		struct err err;

		memcpy(cut, text, n);
		run_init(&r);
		assert_int_equal(summary_parse(cut, n, 1, &r, &err), -1);
		assert_no_metrics(&r);
		run_clear(&r);
		free(cut);
	}
	free(text);
}

static void forged(void **state)
{
	(void)state;
	refuse("");
	refuse("   ");
	refuse("null");
	refuse("[]");
	refuse("{}");
	refuse("{\"metrics\":[]}");
	refuse("{\"metrics\":{}} x");
	refuse("{\"metrics\":{\"http_reqs\":5}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":\"5\"}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":-5}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":1.5}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":1e400}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":1e300}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":NaN}}}");
	refuse("{\"metrics\":{\"http_reqs\":{}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":1},\"http_reqs\":{\"count\":2}}}");
	refuse("{\"metrics\":{\"http_req_failed\":{\"value\":1.5}}}");
	refuse("{\"metrics\":{\"http_req_failed\":{\"value\":true}}}");
	refuse("{\"metrics\":{\"iterations\":{\"count\":{}}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":5},\"http_req_duration\":{\"med\":9,\"p(95)\":5,\"p(99)\":6}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":5},\"http_req_duration\":{\"avg\":-1}}}");
	refuse("{\"metrics\":{\"http_reqs\":{\"count\":5},\"http_req_duration\":{\"avg\":1},"
	       "\"http_req_duration{status:0}\":{\"avg\":1,\"count\":6}}}");
	refuse("{\"metrics\":{\"checks\":{\"passes\":1}}}");
	refuse("{\"metrics\":{\"a\":{\"thresholds\":[]}}}");
	refuse("{\"metrics\":{\"a\":{\"thresholds\":{\"x\":1}}}}");
}

static void huge_and_deep(void **state)
{
	char *text = x_calloc(1, SUMMARY_MAX_BYTES + 2);
	struct run r;
	struct err err;

	(void)state;
	memset(text, ' ', SUMMARY_MAX_BYTES + 1);
	memcpy(text, "{\"metrics\":{}}", 14);
	run_init(&r);
	assert_int_equal(summary_parse(text, SUMMARY_MAX_BYTES + 1, 1, &r, &err), -1);
	assert_non_null(strstr(err.msg, "more than 4 MiB"));
	memset(text, '[', SUMMARY_MAX_BYTES);
	assert_int_equal(summary_parse(text, SUMMARY_MAX_BYTES, 1, &r, &err), -1);
	run_clear(&r);
	free(text);
}

/* Makes an export with quantiles of all samples and of those without an answer. */
static char *with_quantiles(const double *all, double n, const double *none, double n0)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f,
		"{\"metrics\":{\"http_reqs\":{\"count\":%.0f},\"http_req_duration\":{\"count\":%.0f,\"avg\":%.17g,"
		"\"med\":%.17g,\"max\":%.17g",
		n, n, all[50], all[50], all[100]);
	for (int i = 0; i <= 100; i++)
		fprintf(f, ",\"p(%d)\":%.17g", i, all[i]);
	fprintf(f,
		"},\"http_req_duration{status:0}\":{\"count\":%.0f,\"avg\":%.17g,\"med\":%.17g,\"max\":%.17g",
		n0, none[50], none[50], none[100]);
	for (int i = 0; i <= 100; i++)
		fprintf(f, ",\"p(%d)\":%.17g", i, none[i]);
	fputs("}}}", f);
	fclose(f);
	return text;
}

/* k6's percentile: linear interpolation between the neighbours of rank p/100 * (n-1). */
static void percentiles(const double *sorted, int n, double *q)
{
	for (int i = 0; i <= 100; i++) {
		double rank = i / 100.0 * (n - 1);
		int lo = (int)rank;
		int hi = lo + 1 < n ? lo + 1 : lo;

		q[i] = sorted[lo] + (rank - lo) * (sorted[hi] - sorted[lo]);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The distribution of the answered requests is recovered within one percentile of rank. */
static void unanswered_requests_are_taken_out(void **state)
{
	enum { N = 2000, N0 = 500 };
	static double all[N], none[N0], answered[N - N0], qa[101], qn[101];

	(void)state;
	for (int round = 0; round < 3; round++) {
		struct run r;
		struct err err;
		char *text;
		unsigned int seed = 7;
		int k = 0;

		for (int i = 0; i < N; i++) {
			bool lost = i % 4 == 0;

			/* Requests that were refused at 0 ms, timed out at 400..600 ms, or a
			 * mixture of both. */
			all[i] = !lost ? 5 + rand_r(&seed) % 1000 / 3.0
				: round == 0 || (round == 2 && i % 8) ? 0
								      : 400 + rand_r(&seed) % 200;
			if (lost)
				none[i / 4] = all[i];
			else
				answered[k++] = all[i];
		}
		qsort(all, N, sizeof(double), by_value);
		qsort(none, N0, sizeof(double), by_value);
		qsort(answered, (size_t)k, sizeof(double), by_value);
		percentiles(all, N, qa);
		percentiles(none, N0, qn);
		text = with_quantiles(qa, N, qn, N0);
		if (parse(text, &r, &err) < 0)
			fail_msg("%s", err.msg);
		assert_non_null(r.quantiles);
		for (int i = 0; i <= 100; i++) {
			int lo = (i - 1) * k / 100, hi = (i + 1) * k / 100;
			/* A value below the smallest sample has rank 0, one above the largest rank
			 * 100. */
			double least = lo <= 0 ? 1e-3 : answered[lo],
			       most = hi >= k ? 600 : answered[hi];

			if (r.quantiles[i] < least - 1e-6 || r.quantiles[i] > most + 1e-6)
				fail_msg("round %d: p%d is %g, outside %g..%g", round, i,
					r.quantiles[i], least, most);
		}
		assert_near(r.p95_ms, r.quantiles[95], 0);
		run_clear(&r);
		free(text);
	}
}

static void trend_stats_ask_for_everything(void **state)
{
	_cleanup_free_ char *list = summary_trend_stats();

	(void)state;
	assert_non_null(strstr(list, "count"));
	assert_non_null(strstr(list, "med"));
	assert_non_null(strstr(list, "p(0),"));
	assert_non_null(strstr(list, "p(95)"));
	assert_non_null(strstr(list, "p(100)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fixture),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(forged),
		cmocka_unit_test(huge_and_deep),
		cmocka_unit_test(unanswered_requests_are_taken_out),
		cmocka_unit_test(trend_stats_ask_for_everything),
	};

	return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
