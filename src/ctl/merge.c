/* SPDX-License-Identifier: MIT */
/* Counts are added, means and rates are weighted by their counts, and percentiles are computed
 * over all samples (common/quantiles.h), never as averages of percentiles. */
#include "ctl/merge.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/quantiles.h"
#include "common/run.h"

/* Reads a metric of one run.  Returns false when k6 did not report it; *out is 0 then. */
static bool get(const json_t *run, const char *name, double *out)
{
	const json_t *v = json_object_get(json_object_get(run, run_group_names[RUN_METRICS]), name);

	*out = json_is_number(v) ? json_number_value(v) : 0;
	return json_is_number(v);
}

/* Returns the sum over the runs that have the metric, JSON null if none has; new reference. */
static json_t *sum(const json_t *runs, const struct run_field *f)
{
	double total = 0, v;
	bool any = false;
	json_t *run;
	size_t i;

	json_array_foreach (runs, i, run) {
		any = get(run, f->name, &v) || any;
		total += v;
	}
	if (!any)
		return json_null();
	/* A whole sum reads as an integer, as far as JSON integers go. */
	return total < 9e18 && total == (double)(json_int_t)total ? json_integer((json_int_t)total)
								  : json_real(total);
}

/* Returns the mean of a metric over the runs, each weighted by its count; JSON null without any. */
static json_t *mean(const json_t *runs, const struct run_field *f)
{
	double total = 0, weights = 0, v, w;
	json_t *run;
	size_t i;

	json_array_foreach (runs, i, run) {
		if (get(run, f->name, &v) && get(run, run_name_at(f->merge_by), &w)) {
			total += v * w;
			weights += w;
		}
	}
	return weights > 0 ? json_real(total / weights) : json_null();
}

static bool read_quantiles(const json_t *run, struct quantiles *out)
{
	const json_t *list = json_object_get(run, RUN_NAME(quantiles));

	if (json_array_size(list) != QUANTILES)
		return false;
	for (int i = 0; i < QUANTILES; i++)
		out->q[i] = json_number_value(json_array_get(list, (size_t)i));
	return get(run, RUN_NAME(http_reqs_answered), &out->count) ||
		get(run, RUN_NAME(http_reqs), &out->count);
}

/* Fills out with the percentiles of all samples of all runs; false when there are none. */
static bool merge_quantiles(const json_t *runs, struct quantiles *out)
{
	struct quantiles *each = x_calloc(json_array_size(runs) + 1, sizeof(*each));
	size_t i, n = 0;
	json_t *run;
	bool any;

	json_array_foreach (runs, i, run)
		n += read_quantiles(run, &each[n]);
	any = quantiles_merge(each, n, out);
	free(each);
	return any;
}

/* all: of all samples, NULL: there are none. */
static json_t *merge_metric(
	const json_t *runs, const struct run_field *f, const struct quantiles *all)
{
	switch (f->merge) {
	case RUN_MERGE_SUM: return sum(runs, f);
	case RUN_MERGE_MEAN: return mean(runs, f);
	case RUN_MERGE_P50: return all ? json_real(all->q[50]) : json_null();
	case RUN_MERGE_P95: return all ? json_real(all->q[95]) : json_null();
	case RUN_MERGE_P99: return all ? json_real(all->q[99]) : json_null();
	case RUN_MERGE_NOT: break;
	}
	return NULL;
}

json_t *ctl_merge_runs(const json_t *runs)
{
	json_t *statuses = json_object(), *metrics = json_object(), *quantiles = json_null(), *run;
	struct quantiles all;
	bool timed = merge_quantiles(runs, &all);
	size_t i;

	json_array_foreach (runs, i, run) {
		const char *status = json_get_text(run, RUN_NAME(status), "unknown");

		json_object_set_new(
			statuses, status, json_integer(json_get_int(statuses, status, 0) + 1));
	}
	if (timed) {
		quantiles = json_array();
		for (i = 0; i < QUANTILES; i++)
			json_array_append_new(quantiles, json_real(all.q[i]));
	}
	for (i = 0; i < run_field_count; i++) {
		json_t *merged = merge_metric(runs, &run_fields[i], timed ? &all : NULL);

		if (merged)
			json_object_set_new(metrics, run_fields[i].name, merged);
	}
	return json_pack("{s:I, s:o, s:o, s:o}", "runs", (json_int_t)json_array_size(runs),
		"statuses", statuses, run_group_names[RUN_METRICS], metrics, RUN_NAME(quantiles),
		quantiles);
}
