/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor counts, and its text in the exposition format of Prometheus
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).  Counters begin with the
 * supervisor; a new one starts at 0, which rate() allows for.
 */
#ifndef K6FLEET_METRICS_H
#define K6FLEET_METRICS_H

#include <jansson.h>
#include <stdint.h>

#include "common/run.h"
#include "supervisor/supervisor.h"

/* A terminal record; lag_ms: how much later than due its k6 was started, -1: it never was. */
void metrics_count_run(struct metrics *m, enum run_status status, int64_t lag_ms);
void metrics_count_request(struct metrics *m, int status);
/* What a run has cost. */
void metrics_count_cost(struct metrics *m, int64_t cpu_ms, int64_t rss_bytes, int64_t tmp_bytes);
/* The caller frees. */
char *metrics_text(const struct supervisor *sup);
/* For status; new references. */
json_t *metrics_counters(const struct supervisor *sup);
/* Runs that go on and wait, and the limits. */
json_t *metrics_load(const struct supervisor *sup);

#endif
