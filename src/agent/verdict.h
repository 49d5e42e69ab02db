/* SPDX-License-Identifier: MIT */
/*
 * Reads the summary that k6 wrote.  A summary is hostile input of up to 4 MiB of JSON.  A child
 * reads it that may only use memory, read that one file and write to one pipe.  If the summary
 * crashes the child, only this run fails.
 */
#ifndef K6FLEET_VERDICT_H
#define K6FLEET_VERDICT_H

#include "agent/outcome.h"
#include "agent/sandbox.h"
#include "common/msg.h"
#include "common/run.h"

/* Makes out the AGENT_RESULT message, always.  r has its run id, times, resources and log.  The
 * rest comes from the summary at path, over run_s seconds, and from the facts, whose summary
 * part is filled here.  Waits for the child, some seconds at most. */
void verdict_reach(const struct sandbox *sb, const char *path, double run_s,
	struct outcome_facts *facts, struct run *r, struct msg_writer *out);

#endif
