/* SPDX-License-Identifier: MIT */
/* Merges what several runs have measured. */
#ifndef K6FLEET_CTL_MERGE_H
#define K6FLEET_CTL_MERGE_H

#include <jansson.h>

/* Returns {"runs", "statuses", "metrics", "latencyQuantiles"} of the array of runs, new
 * reference. */
json_t *ctl_merge_runs(const json_t *runs);

#endif
