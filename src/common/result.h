/* SPDX-License-Identifier: MIT */
/*
 * What became of one run: the worker fills it, AGENT_RESULT carries it, the supervisor checks
 * it again and turns it into the run object of the HTTP API.  A metric that k6 did not report
 * is absent (its bit in metrics_mask is 0), never 0.
 */
#ifndef K6FLEET_RESULT_H
#define K6FLEET_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/msg.h"
#include "common/uuid.h"

#define RESULT_QUANTILES 101
#define RESULT_THRESHOLDS_MAX 64
#define RESULT_LOG_MAX 65536
#define RESULT_MESSAGE_MAX 2048
#define RESULT_EXIT_NONE INT32_MIN

/* clang-format off */
/* X(enum, name in the API) in the order of the API's text. */
#define RESULT_METRICS(X)                                                                          \
	X(P50, "p50_ms")                                                                           \
	X(P95, "p95_ms")                                                                           \
	X(P99, "p99_ms")                                                                           \
	X(AVG, "avg_ms")                                                                           \
	X(ERROR_RATE, "error_rate")                                                                \
	X(RPS, "rps")                                                                              \
	X(DATA_RECEIVED, "data_received_bytes")                                                    \
	X(ITERATIONS, "iterations")                                                                \
	X(HTTP_REQS, "http_reqs")                                                                  \
	X(HTTP_REQS_ANSWERED, "http_reqs_answered")                                                \
	X(CHECKS_PASSED, "checks_passed")                                                          \
	X(CHECKS_FAILED, "checks_failed")                                                          \
	X(VUS, "vus")

enum result_metric {
#define X(id, name) RESULT_##id,
	RESULT_METRICS(X)
#undef X
	RESULT_METRIC_COUNT
};

/* X(enum, name in the API); NONE is JSON null. */
#define RESULT_REASONS(X)                                                                          \
	X(NONE, "")                                                                                \
	X(THRESHOLDS, "thresholds")                                                                \
	X(CHECKS, "checks")                                                                        \
	X(TIMEOUT, "timeout")                                                                      \
	X(OOM, "oom")                                                                              \
	X(KILLED, "killed")                                                                        \
	X(SCRIPT_ERROR, "script_error")                                                            \
	X(NO_SUMMARY, "no_summary")                                                                \
	X(BAD_SUMMARY, "bad_summary")                                                              \
	X(DISK_FULL, "disk_full")                                                                  \
	X(SPAWN_FAILED, "spawn_failed")                                                            \
	X(CANCELLED, "cancelled")                                                                  \
	X(LOST, "lost")                                                                            \
	X(REAPED, "reaped")                                                                        \
	X(FORBIDDEN_TARGET, "forbidden_target")                                                    \
	X(STORAGE_FULL, "storage_full")

enum result_reason {
#define X(id, name) RESULT_REASON_##id,
	RESULT_REASONS(X)
#undef X
	RESULT_REASON_COUNT
};
/* clang-format on */

enum result_status {
	RESULT_RUNNING,
	RESULT_SUCCESS,
	RESULT_FAILED,
	RESULT_ERROR,
	RESULT_STATUS_COUNT
};

extern const char *const result_metric_names[RESULT_METRIC_COUNT];
extern const char *const result_reason_names[RESULT_REASON_COUNT];
extern const char *const result_status_names[RESULT_STATUS_COUNT];

/* Index of name in one of the tables above, or -1. */
int result_find(const char *const names[], int count, const char *name);

struct result_threshold {
	char *metric;
	char *expression;
	bool ok;
};

struct run_result {
	char run_id[UUID_MAX];
	enum result_status status;
	enum result_reason reason;
	int32_t exit_code;       /* k6's, or RESULT_EXIT_NONE when it had none */
	int64_t started_wall_ms; /* 0: k6 was never started */
	int64_t finished_wall_ms;
	char *message; /* "" when there is nothing to say */
	uint32_t metrics_mask;
	double metrics[RESULT_METRIC_COUNT];
	bool has_quantiles;
	double quantiles[RESULT_QUANTILES]; /* p0..p100 in ms, of answered requests */
	struct result_threshold *thresholds;
	size_t threshold_count;
	int64_t cpu_ms, max_rss_bytes, tmp_bytes;
	char *log; /* end of k6's output, at most RESULT_LOG_MAX bytes */
};

void result_init(struct run_result *r);
void result_clear(struct run_result *r);
void result_set_metric(struct run_result *r, enum result_metric metric, double value);
bool result_has_metric(const struct run_result *r, enum result_metric metric);
void result_add_threshold(
	struct run_result *r, const char *metric, const char *expression, bool ok);

/* Packs r as AGENT_RESULT; the log is cut from its front until the message fits. */
void result_pack(const struct run_result *r, struct msg_writer *w);
/* Reads the fields behind msg_open() into r (initialised here, cleared by the caller).  Refuses
 * numbers that are not finite, ids that are no UUID, unknown statuses, wrong counts. */
int result_unpack(struct msg_reader *in, struct run_result *r, struct err *err);

#endif
