/* SPDX-License-Identifier: MIT */
/*
 * Numbers that more than one file must agree on: how many agents, how long, how large. Limits of
 * one file's own stay in that file; limits of a target's fields stand in target.h, beside the
 * fields.
 */
#ifndef K6FLEET_LIMITS_H
#define K6FLEET_LIMITS_H

#include <stdint.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_S 86400
#define DAY_MS INT64_C(86400000)
#define WEEK_S (7 * DAY_S)
#define WEEK_MS (7 * DAY_MS)

/* Agents of one host: the ceiling of max_workers, and the size of tables with a row an agent. */
#define LIMIT_WORKERS 10000
/* Agents of the whole fleet: the desired count, a host's maxAgents, a target's maxAgents, a
 * command's agents. */
#define LIMIT_AGENTS 100000
/* Virtual users of one run. */
#define LIMIT_VUS 10000
/* Agents or runs in one call of the HTTP API. */
#define LIMIT_BATCH 10000
/* Bytes of a shared secret, bearer token or "user:password". */
#define LIMIT_SECRET_BYTES 512
/* Bytes of the name of a host or an agent in the HTTP API. */
#define LIMIT_NAME_BYTES 255

/* Latency quantiles of a run: p0, p1 ... p100. */
#define QUANTILES 101

#endif
