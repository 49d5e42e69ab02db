/* SPDX-License-Identifier: MIT */
/* Copies the numbers of a run and borrows its texts. */
#include "dashboard/sample.h"

#include <string.h>

#include "dashboard/store_runs.h"

void sample_of_run(const struct dash_store_run *from, struct sample *out)
{
	const struct run *run = &from->run;

	*out = (struct sample){
		.started_ms = from->started_ms,
		.target_id = run->target_id ? run->target_id : "",
		.status = run_status_names[run->status],
		.http_reqs = run->http_reqs,
		.answered = run->http_reqs_answered,
		.rps = run->rps,
		.error_rate = run->error_rate,
		.p95_ms = run->p95_ms,
		.has_quantiles = run->quantiles,
	};
	if (run->quantiles)
		memcpy(out->quantiles, run->quantiles, sizeof(out->quantiles));
}
