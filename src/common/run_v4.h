/* SPDX-License-Identifier: MIT */
/* Reads the result of a run as workers of protocol 4 sent it, for a hand-over from a keeper of
 * that protocol. */
#ifndef K6FLEET_RUN_V4_H
#define K6FLEET_RUN_V4_H

#include "common/err.h"
#include "common/msg.h"
#include "common/run.h"

/* As run_get(), for a message that msg_open() has found to be AGENT_RESULT_4. */
int run_v4_get(struct msg_reader *in, struct run *r, struct err *err);

#endif
