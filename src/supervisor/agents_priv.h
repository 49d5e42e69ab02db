/* SPDX-License-Identifier: MIT */
/* What agents.c and agents_report.c share: the supervisor's record of each worker. */
#ifndef K6FLEET_AGENTS_PRIV_H
#define K6FLEET_AGENTS_PRIV_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/chan.h"
#include "common/json.h"
#include "common/log.h"
#include "supervisor/agents.h"

struct agent {
	struct agents *all;
	unsigned int slot;
	int fd; /* -1: no worker */
	uint64_t generation;
	uint32_t pid;
	int64_t started_mono_ms;
	ev_io io;
	ev_timer retry;
	struct chan_queue out;
	bool alive, eof, reported, adopted;
	bool committing; /* a write that this agent waits for is under way */
	bool run_sent;
	bool stale;
	bool killed;   /* by us, for cause */
	bool unwanted; /* its run was cancelled before the worker heard of it */
	uint32_t wait_status, layers;
	json_t *run; /* in its hands, or given to it in a moment */
	char last_result[16];
};

struct agents {
	struct supervisor *sup;
	struct agent *slots;
	unsigned int count; /* initialised; grows with max_workers up to CONF_WORKERS_MAX */
	const uint8_t *pages;
	uint8_t *buf;
	unsigned int told_extent; /* slots that the last heartbeat named */
	int64_t last_tick_ms, judge_after_ms;
	struct log_limit limit;
	uint64_t restarts[AGENTS_RESTART_COUNT];
	char (*names)[80];
};

static inline const char *agent_run_id(const struct agent *ag)
{
	return json_get_text(ag->run, "id", "");
}

#endif
