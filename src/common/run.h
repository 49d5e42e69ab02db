/* SPDX-License-Identifier: MIT */
/*
 * A run: one k6 process on one agent, with one result.  RUN_FIELDS has a row for each field; the
 * struct, the JSON in both directions (run_json.h), the message of the worker, the dashboard's
 * columns, the CSV and what `k6fleetctl show` prints are made from these rows.  To add a field,
 * add a row here, set the member where it is measured, and name the field in docs/openapi.yaml
 * and docs/k6fleetctl.schema.json; tests/unit/test_run_documents.c compares.
 */
#ifndef K6FLEET_RUN_H
#define K6FLEET_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/mem.h"

struct msg_reader;
struct msg_writer;

/* clang-format off */
/* X(NAME, word in the API) */
#define RUN_STATUSES(X) \
	X(RUNNING, "running") \
	X(SUCCESS, "success") \
	X(FAILED, "failed") \
	X(ERROR, "error")

/* X(NAME, word in the API).  NONE is null in JSON. */
#define RUN_REASONS(X) \
	X(NONE, "") \
	X(THRESHOLDS, "thresholds") \
	X(CHECKS, "checks") \
	X(TIMEOUT, "timeout") \
	X(OOM, "oom") \
	X(KILLED, "killed") \
	X(SCRIPT_ERROR, "script_error") \
	X(NO_SUMMARY, "no_summary") \
	X(BAD_SUMMARY, "bad_summary") \
	X(DISK_FULL, "disk_full") \
	X(SPAWN_FAILED, "spawn_failed") \
	X(CANCELLED, "cancelled") \
	X(LOST, "lost") \
	X(REAPED, "reaped") \
	X(FORBIDDEN_TARGET, "forbidden_target") \
	X(STORAGE_FULL, "storage_full")

/* X(KIND, C type of the member, the value that means null).  run.c, run_msg.c and run_json.c have a row for each
 * kind; a new kind needs a row here, one in each of them, and a RUN_DECLARE_ line below. */
#define RUN_KINDS(X) \
	X(ID, char *, "never null") \
	X(TEXT, char *, "NULL") \
	X(STATUS, enum run_status, "never null") \
	X(REASON, enum run_reason, "RUN_REASON_NONE") \
	X(TIME, int64_t, "0; else wall ms since 1970") \
	X(TIME_MS, int64_t, "0; the same member as a TIME, in JSON a number") \
	X(INTEGER, int64_t, "RUN_NONE") \
	X(REAL, double, "NAN") \
	X(QUANTILES, double *, "NULL; else QUANTILES numbers that ascend") \
	X(THRESHOLDS, struct run_thresholds, "an empty list") \
	X(LOG, char *, "NULL; kept beside the JSON by both stores")

/* X(GROUP, name of the JSON object that holds the fields, the error for anything wrong in the group; NULL: the error
 * names the field) */
#define RUN_GROUPS(X) \
	X(METRICS, "metrics", NULL) \
	X(RESOURCES, "resources", "resources must be an object of counts")

/* What the fields of a group have in common. */
#define RUN_METRIC .group = RUN_METRICS, .by_worker = true, .csv = 20, .show = 20
#define RUN_RESOURCE .group = RUN_RESOURCES, .by_worker = true, .show = 40

/*
 * X(member, KIND, "name in JSON", documents that have the field, further members of struct run_field).  The rows are in the order of the JSON.  Fields of a group are adjacent.
 */
#define RUN_FIELDS(X) \
	X(id, ID, "id", RUN_ALL, .max = RUN_ID_MAX, .column = "id", .csv = 1, .show = 1) \
	X(agent, TEXT, "agent", RUN_ALL, .max = LIMIT_NAME_BYTES, .column = "agent", .column_wins = true, .csv = 4, .show = 2) \
	X(host, TEXT, "host", RUN_ALL, .max = LIMIT_NAME_BYTES, .empty_for_null = true, .column = "host", .csv = 5, .show = 3) \
	X(target_id, TEXT, "targetId", RUN_ALL, .max = 255, .column = "target_id", .csv = 6) \
	X(target_label, TEXT, "targetLabel", RUN_ALL, .max = 256, .csv = 7, .show = 4) \
	X(status, STATUS, "status", RUN_ALL, .by_worker = true, .column = "status", .column_wins = true, .csv = 8, .show = 5) \
	X(reason, REASON, "reason", RUN_ALL, .by_worker = true, .column = "reason", .column_wins = true, .csv = 9, .show = 6) \
	X(planned_ms, INTEGER, "plannedMs", RUN_ALL, .unit = RUN_MS, .column = "planned_ms", .column_not_null = true, .csv = 11, .show = 12) \
	X(scheduled_ms, TIME, "scheduledAt", RUN_ALL, .show = 8) \
	X(scheduled_ms, TIME_MS, "scheduledAtMs", RUN_RECORD, .unit = RUN_MS) \
	X(started_ms, TIME, "startedAt", RUN_ALL, .by_worker = true, .csv = 2, .show = 9) \
	X(finished_ms, TIME, "finishedAt", RUN_ALL, .by_worker = true, .csv = 3, .show = 10) \
	X(lag_ms, INTEGER, "lagMs", RUN_ALL, .unit = RUN_MS, .column = "lag_ms", .csv = 10, .show = 11) \
	X(message, TEXT, "errorMessage", RUN_ALL, .max = 4096, .by_worker = true, .column = "error_message", .column_wins = true, .csv = 13, .show = 7) \
	X(p50_ms, REAL, "p50_ms", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_P50, .unit = RUN_MS) \
	X(p95_ms, REAL, "p95_ms", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_P95, .unit = RUN_MS, .column = "p95_ms") \
	X(p99_ms, REAL, "p99_ms", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_P99, .unit = RUN_MS) \
	X(avg_ms, REAL, "avg_ms", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_MEAN, .merge_by = offsetof(struct run, http_reqs_answered), .unit = RUN_MS) \
	X(error_rate, REAL, "error_rate", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_MEAN, .merge_by = offsetof(struct run, http_reqs), .max = 1, .unit = RUN_RATIO, .column = "error_rate") \
	X(rps, REAL, "rps", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_SUM, .unit = RUN_PER_S, .column = "rps") \
	X(data_received_bytes, REAL, "data_received_bytes", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_SUM, .unit = RUN_BYTES, .whole = true) \
	X(iterations, REAL, "iterations", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_SUM, .whole = true) \
	X(http_reqs, REAL, "http_reqs", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_SUM, .whole = true, .column = "http_reqs") \
	X(http_reqs_answered, REAL, "http_reqs_answered", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_SUM, .whole = true, .column = "answered") \
	X(checks_passed, REAL, "checks_passed", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_SUM, .whole = true) \
	X(checks_failed, REAL, "checks_failed", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_SUM, .whole = true) \
	X(vus, REAL, "vus", RUN_ALL, RUN_METRIC, .merge = RUN_MERGE_SUM, .whole = true) \
	X(quantiles, QUANTILES, "latencyQuantiles", RUN_RECORD | RUN_ONE, .max = QUANTILES, .unit = RUN_MS, .by_worker = true, .column = "quantiles") \
	X(thresholds, THRESHOLDS, "thresholds", RUN_ALL, .max = 1000, .by_worker = true, .show = 30) \
	X(cpu_ms, INTEGER, "cpuMs", RUN_ALL, RUN_RESOURCE, .unit = RUN_MS, .show_unit = RUN_MS, .show_word = "CPU") \
	X(max_rss_bytes, INTEGER, "maxRssBytes", RUN_ALL, RUN_RESOURCE, .unit = RUN_BYTES, .show_unit = RUN_MIB) \
	X(tmp_bytes, INTEGER, "tmpBytes", RUN_ALL, RUN_RESOURCE, .unit = RUN_BYTES, .show_unit = RUN_BYTES, .show_word = "of tmpfs") \
	X(exit_code, INTEGER, "exitCode", RUN_ALL, .min = -1, .by_worker = true, .csv = 12, .show = 13) \
	X(log, LOG, "log", RUN_ONE, .max = RUN_LOG_MAX, .by_worker = true, .column = "log", .show = 50)
/* clang-format on */

/* The largest number of rows. */
#define RUN_FIELD_MAX 64
#define RUN_ID_MAX 64
#define RUN_LOG_MAX 65536
/* Null of an INTEGER. */
#define RUN_NONE INT64_MIN
/* The thresholds that a worker reports at most, and the bytes of a metric or an expression.  A
 * sender that is not a k6fleetd may have more. */
#define RUN_WORKER_THRESHOLDS 64
#define RUN_WORKER_THRESHOLD_BYTES 256

enum run_status {
#define RUN_X(id, name) RUN_##id,
	RUN_STATUSES(RUN_X)
#undef RUN_X
		RUN_STATUS_COUNT
};

enum run_reason {
#define RUN_X(id, name) RUN_REASON_##id,
	RUN_REASONS(RUN_X)
#undef RUN_X
		RUN_REASON_COUNT
};

enum run_kind {
#define RUN_X(id, type, null) RUN_KIND_##id,
	RUN_KINDS(RUN_X)
#undef RUN_X
		RUN_KIND_COUNT
};

/* RUN_TOP: a member of the run object itself. */
enum run_group {
	RUN_TOP,
#define RUN_X(id, name, error) RUN_##id,
	RUN_GROUPS(RUN_X)
#undef RUN_X
		RUN_GROUP_COUNT
};

enum run_unit { RUN_NO_UNIT, RUN_MS, RUN_BYTES, RUN_MIB, RUN_RATIO, RUN_PER_S };

/* How the values of several runs become one; RUN_MERGE_MEAN weighs by another REAL. */
enum run_merge {
	RUN_MERGE_NOT,
	RUN_MERGE_SUM,
	RUN_MERGE_MEAN,
	RUN_MERGE_P50, /* of all samples */
	RUN_MERGE_P95,
	RUN_MERGE_P99,
};

/* The JSON documents that a field may be in. */
enum run_document {
	RUN_RECORD = 1, /* a host's record: its store, the outbox, `k6fleetctl runs` and `show` */
	RUN_LIST = 2,   /* the dashboard's lists and events */
	RUN_ONE = 4,    /* the dashboard's response for one run */
	RUN_ALL = RUN_RECORD | RUN_LIST | RUN_ONE,
};

struct run_threshold {
	char *metric, *expression;
	bool ok;
};

struct run_thresholds {
	struct run_threshold *list;
	size_t count;
};

struct run {
#define RUN_DECLARE_ID(m) char *m;
#define RUN_DECLARE_TEXT(m) char *m;
#define RUN_DECLARE_STATUS(m) enum run_status m;
#define RUN_DECLARE_REASON(m) enum run_reason m;
#define RUN_DECLARE_TIME(m) int64_t m;
#define RUN_DECLARE_TIME_MS(m) /* declared by the TIME */
#define RUN_DECLARE_INTEGER(m) int64_t m;
#define RUN_DECLARE_REAL(m) double m;
#define RUN_DECLARE_QUANTILES(m) double *m;
#define RUN_DECLARE_THRESHOLDS(m) struct run_thresholds m;
#define RUN_DECLARE_LOG(m) char *m;
#define RUN_X(member, kind, name, in, ...) RUN_DECLARE_##kind(member)
	RUN_FIELDS(RUN_X)
#undef RUN_X
	/* Whether the group is an object in JSON; false: null. */
	bool has[RUN_GROUP_COUNT];
	/* Bit i: the REAL of row i is an integer in JSON. */
	uint64_t integers;
};

struct run_field {
	const char *name;
	size_t offset;
	enum run_kind kind;
	enum run_group group;
	enum run_unit unit;
	unsigned in; /* of enum run_document */
	int64_t min; /* of an INTEGER; a REAL is never negative */
	int64_t max; /* of a REAL; bytes of a text, which is cut; members of a list.  0: none */
	bool whole;  /* a REAL that counts: an integer in JSON when it is one */
	bool empty_for_null;  /* the dashboard stores "" for null */
	bool by_worker;       /* comes from the worker's result; else the supervisor sets it */
	const char *column;   /* of the dashboard's table of runs; NULL: only within its JSON */
	bool column_not_null; /* the column of an INTEGER has 0 for null */
	bool column_wins; /* the column is newer than the JSON: the reaper changes columns only */
	/* Position in the CSV and in `k6fleetctl show`, 0: not there.  Rows with the same
	 * position keep the order of the table. */
	int csv, show;
	enum run_unit
		show_unit; /* `show` prints the number with this unit, in one line for the group */
	const char *show_word; /* ... and with this word behind it; NULL: none */
	enum run_merge merge;
	size_t merge_by; /* offset of the member of struct run that a mean weighs by */
};

extern const struct run_field run_fields[];
extern const size_t run_field_count;
extern const char *const run_status_names[RUN_STATUS_COUNT];
extern const char *const run_reason_names[RUN_REASON_COUNT];
/* By enum run_group, as RUN_GROUPS has them; NULL for RUN_TOP. */
extern const char *const run_group_names[RUN_GROUP_COUNT];
extern const char *const run_group_errors[RUN_GROUP_COUNT];

/* Returns the index of name in one of the tables above, or -1. */
int run_find_name(const char *const names[], int count, const char *name);
/* Returns -1 with an error that says which statuses the field `name` may have. */
int run_wrong_status(const char *name, struct err *err);
/* Returns the address of the field's member in r, of the type that RUN_KINDS gives. */
static inline void *run_member(const struct run_field *f, const struct run *r)
{
	return (char *)(uintptr_t)r + f->offset;
}
/* Bit of a REAL in struct run.integers. */
static inline uint64_t run_bit(const struct run_field *f)
{
	return UINT64_C(1) << (f - run_fields);
}
/* Whether v is an integer that a double has exactly. */
bool run_is_integer(double v);

/* The JSON name of a member of struct run; static. */
#define RUN_NAME(member) run_name_at(offsetof(struct run, member))
const char *run_name_at(size_t offset);
/* Fills out with the rows that have a position there (offsetof(struct run_field, csv) or show),
 * in its order. out has room for RUN_FIELD_MAX rows.  Returns how many there are. */
size_t run_order(size_t position_offset, const struct run_field **out);

/* All null, status running.  run_clear() frees what r owns and leaves it as run_init() does. */
void run_init(struct run *r);
void run_clear(struct run *r);
static inline void cleanup_run(struct run *r)
{
	run_clear(r);
}
#define _cleanup_run_ _cleanup_(cleanup_run)

/* Replaces a text member by a copy; NULL or "" makes it null. */
void run_set_text(char **member, const char *text);
/* Sets all fields of a group to null; has[] of the group becomes false. */
void run_clear_group(struct run *r, enum run_group group);
/* Appends a copy.  With RUN_WORKER_THRESHOLDS in the list it does nothing; long texts are cut. */
void run_add_threshold(struct run *r, const char *metric, const char *expression, bool ok);
/* Moves the fields that the worker makes from result to r; result is left as run_init() does. */
void run_take_result(struct run *r, struct run *result);

/* Writes the AGENT_RESULT message: the id and every field of the worker that is not null, each
 * with its name, so that a supervisor of another version reads what it knows.  The log is cut
 * from its front until the message fits. */
void run_put(const struct run *r, struct msg_writer *w);
/* Reads what msg_open() has found to be AGENT_RESULT into r (initialised here, cleared by the
 * caller in any case). The sender is hostile.  Returns 0; returns -1 with err when the id is no
 * UUID, a field is there twice, has the wrong size, a value out of its range, or belongs to the
 * supervisor.  Skips fields of unknown names. */
int run_get(struct msg_reader *in, struct run *r, struct err *err);

#endif
