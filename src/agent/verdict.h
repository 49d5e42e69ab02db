/* SPDX-License-Identifier: MIT */
/*
 * Reading what k6 wrote.  A summary is hostile input of up to 4 MiB of JSON: it is read by a child
 * that may do nothing but use memory, read that one file and write to one pipe.  If the summary
 * breaks it, that is this run's result and nobody else's trouble.
 */
#ifndef K6FLEET_VERDICT_H
#define K6FLEET_VERDICT_H

#include "agent/outcome.h"
#include "agent/sandbox.h"
#include "common/msg.h"
#include "common/run.h"

/* r has its run id, times, resources and log; the rest comes from the summary at path, over run_s
 * seconds, and from the facts, whose summary part is filled here.  out gets the AGENT_RESULT
 * message, always. */
void verdict_reach(const struct sandbox *sb, const char *path, double run_s,
	struct outcome_facts *facts, struct run *r, struct msg_writer *out);

#endif
