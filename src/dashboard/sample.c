/* SPDX-License-Identifier: MIT */
#include "dashboard/sample.h"

#include <math.h>
#include <string.h>

#include "common/json.h"
#include "dashboard/store_runs.h"

static double metric(const json_t *run, const char *name)
{
	const json_t *v = json_object_get(json_object_get(run, "metrics"), name);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

void sample_of_run(const struct dash_store_run *run, struct sample *out)
{
	*out = (struct sample){
		.started_ms = run->started_ms,
		.target_id = json_get_text(run->json, "targetId", ""),
		.status = json_get_text(run->json, "status", ""),
		.http_reqs = metric(run->json, "http_reqs"),
		.answered = metric(run->json, "http_reqs_answered"),
		.rps = metric(run->json, "rps"),
		.error_rate = metric(run->json, "error_rate"),
		.p95_ms = metric(run->json, "p95_ms"),
		.has_quantiles = run->quantiles,
	};
	if (run->quantiles)
		memcpy(out->quantiles, run->quantiles, sizeof(out->quantiles));
}
