/* SPDX-License-Identifier: MIT */
/* What the keeper has found out about this host.  main.c fills it in from the keeper's messages;
 * every other part has a pointer to const. */
#ifndef K6FLEET_HOST_FACTS_H
#define K6FLEET_HOST_FACTS_H

#include <stdint.h>

#include "common/k6version.h"
#include "common/sandbox_layers.h"

struct host_facts {
	int keeper_pid;
	int64_t started_mono_ms; /* start of the keeper */
	int64_t memory_bytes;    /* of the host, or of the keeper's cgroup; 0: unknown */
	enum sandbox_level sandbox_level;
	uint32_t sandbox_layers; /* bits of enum sandbox_layer */
	uint32_t supervisor_restarts;
	char k6_version[K6VERSION_MAX]; /* "": there is no k6 */
};

#endif
