/* SPDX-License-Identifier: MIT */
#include "supervisor/metrics.h"

const int64_t metrics_lag_bounds_ms[METRICS_LAG_BUCKETS] = {
	5, 10, 25, 50, 100, 500, 1000, 5000, 30000};

void metrics_count_run(struct metrics *m, enum run_status status, int64_t lag_ms)
{
	m->runs[status]++;
	if (lag_ms < 0)
		return;
	m->lag_count++;
	m->lag_sum_ms += (uint64_t)lag_ms;
	for (int i = 0; i < METRICS_LAG_BUCKETS; i++)
		m->lag_buckets[i] += lag_ms <= metrics_lag_bounds_ms[i];
}

void metrics_count_request(struct metrics *m, int status)
{
	m->requests[status > 0 && status < METRICS_STATUSES ? status : 0]++;
}

void metrics_count_cost(struct metrics *m, int64_t cpu_ms, int64_t rss_bytes, int64_t tmp_bytes)
{
	m->k6_cpu_ms += cpu_ms > 0 ? (uint64_t)cpu_ms : 0;
	m->k6_max_rss_bytes = rss_bytes > m->k6_max_rss_bytes ? rss_bytes : m->k6_max_rss_bytes;
	m->k6_max_tmp_bytes = tmp_bytes > m->k6_max_tmp_bytes ? tmp_bytes : m->k6_max_tmp_bytes;
}

void metrics_count_storm(struct metrics *m)
{
	m->storms++;
}
