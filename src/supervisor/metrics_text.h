/* SPDX-License-Identifier: MIT */
/*
 * The metrics as text in the exposition format of Prometheus
 * (https://prometheus.io/docs/instrumenting/exposition_formats/) and as JSON for status.  Reads
 * everything, changes nothing.
 */
#ifndef K6FLEET_METRICS_TEXT_H
#define K6FLEET_METRICS_TEXT_H

#include <jansson.h>

#include "supervisor/agents.h"
#include "supervisor/desired.h"
#include "supervisor/fleet.h"
#include "supervisor/host_facts.h"
#include "supervisor/metrics.h"
#include "supervisor/schedule.h"
#include "supervisor/fleet_store.h"
#include "supervisor/sync.h"

struct metrics_sources {
	const struct metrics *counters;
	const struct host_facts *host;
	const struct fleet *fleet;
	const struct schedule *schedule;
	const struct fleet_store *store;
	const struct desired *desired;
	const struct agents *agents;
	const struct sync *sync;
};

/* Returns the text; the caller frees it. */
char *metrics_text(const struct metrics_sources *from);
/* "counters" of the verb status; a new reference. */
json_t *metrics_text_counters(const struct metrics_sources *from);
/* "load" of the verb status: runs that go on and wait, and the limits; a new reference. */
json_t *metrics_text_load(const struct metrics_sources *from);

#endif
