/* SPDX-License-Identifier: MIT */
/* What several runs measured together.  Counts add up, rates are weighted by their counts, percentiles
 * come from all samples (common/quantiles.h): nothing is averaged that cannot be. */
#include "ctl/merge.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/quantiles.h"

/* A metric of one run; false when k6 did not report it. */
static bool get(const json_t *run, const char *name, double *out)
{
	const json_t *v = json_object_get(json_object_get(run, "metrics"), name);

	*out = json_is_number(v) ? json_number_value(v) : 0;
	return json_is_number(v);
}

/* Sum over the runs that have it, null when none has. */
static json_t *sum(const json_t *runs, const char *name)
{
	double total = 0, v;
	bool any = false;
	json_t *run;
	size_t i;

	json_array_foreach (runs, i, run) {
		any = get(run, name, &v) || any;
		total += v;
	}
	if (!any)
		return json_null();
	return total == (double)(json_int_t)total ? json_integer((json_int_t)total)
						  : json_real(total);
}

/* Mean over all requests of all runs. */
static json_t *weighted(const json_t *runs, const char *name, const char *by)
{
	double total = 0, weights = 0, v, w;
	json_t *run;
	size_t i;

	json_array_foreach (runs, i, run) {
		if (get(run, name, &v) && get(run, by, &w)) {
			total += v * w;
			weights += w;
		}
	}
	return weights > 0 ? json_real(total / weights) : json_null();
}

static bool read_quantiles(const json_t *run, struct quantiles *out)
{
	const json_t *list = json_object_get(run, "latencyQuantiles");

	if (json_array_size(list) != QUANTILES)
		return false;
	for (int i = 0; i < QUANTILES; i++)
		out->q[i] = json_number_value(json_array_get(list, (size_t)i));
	return get(run, "http_reqs_answered", &out->count) || get(run, "http_reqs", &out->count);
}

json_t *ctl_merge_runs(const json_t *runs)
{
	static const char *const sums[] = {"rps", "data_received_bytes", "iterations", "http_reqs",
		"http_reqs_answered", "checks_passed", "checks_failed", "vus"};
	static const struct {
		const char *name;
		int percentile;
	} percentiles[] = {{"p50_ms", 50}, {"p95_ms", 95}, {"p99_ms", 99}};
	struct quantiles *each = x_calloc(json_array_size(runs) + 1, sizeof(*each)), all;
	json_t *statuses = json_object(), *metrics = json_object(), *quantiles = json_null(), *run;
	size_t i, n = 0;

	json_array_foreach (runs, i, run) {
		const char *status = json_get_text(run, "status", "unknown");

		json_object_set_new(
			statuses, status, json_integer(json_get_int(statuses, status, 0) + 1));
		n += read_quantiles(run, &each[n]);
	}
	if (quantiles_merge(each, n, &all)) {
		quantiles = json_array();
		for (i = 0; i < QUANTILES; i++)
			json_array_append_new(quantiles, json_real(all.q[i]));
	}
	free(each);
	for (i = 0; i < ARRAY_SIZE(percentiles); i++)
		json_object_set_new(metrics, percentiles[i].name,
			json_is_array(quantiles) ? json_real(all.q[percentiles[i].percentile])
						 : json_null());
	json_object_set_new(metrics, "avg_ms", weighted(runs, "avg_ms", "http_reqs_answered"));
	json_object_set_new(metrics, "error_rate", weighted(runs, "error_rate", "http_reqs"));
	for (i = 0; i < ARRAY_SIZE(sums); i++)
		json_object_set_new(metrics, sums[i], sum(runs, sums[i]));
	return json_pack("{s:I, s:o, s:o, s:o}", "runs", (json_int_t)json_array_size(runs),
		"statuses", statuses, "metrics", metrics, "latencyQuantiles", quantiles);
}
