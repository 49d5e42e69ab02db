/* SPDX-License-Identifier: MIT */
/* The part of a run that goes into sums and percentiles of several runs.  Pure. */
#ifndef K6FLEET_DASHBOARD_SAMPLE_H
#define K6FLEET_DASHBOARD_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"

struct dash_store_run;

struct sample {
	int64_t started_ms;
	const char *target_id, *status;                      /* borrowed; target_id "": none */
	double http_reqs, answered, rps, error_rate, p95_ms; /* NAN: not reported */
	bool has_quantiles;
	double quantiles[QUANTILES]; /* ms */
};

/* Fills out.  Its texts are borrowed from the run. */
void sample_of_run(const struct dash_store_run *run, struct sample *out);

/* Called for one sample, whose texts are valid until it returns. */
typedef void sample_fn(void *arg, const struct sample *sample);

#endif
