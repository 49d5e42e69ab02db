/* SPDX-License-Identifier: MIT */
/* Adds sums only: an average of averages would be wrong. */
#include "dashboard/slice.h"

#include <math.h>
#include <string.h>

#include "common/json.h"
#include "common/json_fast.h"
#include "common/run.h"

#define FLOAT_DIGITS 7

void slice_init(struct slice *sl)
{
	struct quantiles_pool pool = sl->pool;

	pool.len = pool.sorted = 0;
	pool.count = 0;
	*sl = (struct slice){.sums.worst_p95 = NAN, .pool = pool};
}

static double worse(double a, double b)
{
	return isnan(b) || a >= b ? a : b;
}

void slice_add(struct slice *sl, const struct sample *run)
{
	struct slice_sums *sums = &sl->sums;
	struct quantiles q;

	sums->runs++;
	sums->success += !strcmp(run->status, run_status_names[RUN_SUCCESS]);
	sums->failed += !strcmp(run->status, run_status_names[RUN_FAILED]);
	sums->error += !strcmp(run->status, run_status_names[RUN_ERROR]);
	sums->worst_p95 = worse(sums->worst_p95, run->p95_ms);
	if (isnan(run->http_reqs))
		return;
	sums->http_reqs += run->http_reqs;
	if (!isnan(run->error_rate)) {
		sums->known_reqs += run->http_reqs;
		sums->failed_reqs += run->http_reqs * run->error_rate;
	}
	if (run->rps > 0) {
		sums->timed_reqs += run->http_reqs;
		sums->run_s += run->http_reqs / run->rps;
	}
	if (!run->has_quantiles)
		return;
	/* Agents of other makes may leave out the number of answered requests. */
	q.count = isnan(run->answered) ? run->http_reqs : run->answered;
	memcpy(q.q, run->quantiles, sizeof(q.q));
	quantiles_pool_add(&sl->pool, &q);
}

void slice_add_sums(struct slice *sl, const struct slice_sums *more)
{
	struct slice_sums *sums = &sl->sums;

	sums->runs += more->runs;
	sums->success += more->success;
	sums->failed += more->failed;
	sums->error += more->error;
	sums->http_reqs += more->http_reqs;
	sums->failed_reqs += more->failed_reqs;
	sums->known_reqs += more->known_reqs;
	sums->timed_reqs += more->timed_reqs;
	sums->run_s += more->run_s;
	sums->worst_p95 = worse(sums->worst_p95, more->worst_p95);
}

static json_t *known(bool is_known, double value)
{
	return is_known ? json_short_real(value, FLOAT_DIGITS) : json_null();
}

json_t *slice_to_json(struct slice *sl, int64_t t_ms)
{
	const struct slice_sums *sums = &sl->sums;
	struct quantiles q;
	bool any = quantiles_pool_percentiles(&sl->pool, &q);

	return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "t",
		json_time(t_ms), "runs", (json_int_t)sums->runs, "http_reqs",
		sums->runs ? json_integer((json_int_t)sums->http_reqs) : json_null(), "error_rate",
		known(sums->known_reqs > 0, sums->failed_reqs / sums->known_reqs), "rps",
		known(sums->run_s > 0, sums->timed_reqs / sums->run_s), "p50_ms",
		known(any, q.q[50]), "p95_ms", known(any, q.q[95]), "p99_ms", known(any, q.q[99]),
		"worst_p95_ms", known(!isnan(sums->worst_p95), sums->worst_p95), "success",
		(json_int_t)sums->success, "failed", (json_int_t)sums->failed, "error",
		(json_int_t)sums->error);
}
