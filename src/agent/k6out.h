/* SPDX-License-Identifier: MIT */
/*
 * The output of a running k6: finds progress and plan in its standard output, and keeps the end
 * of both streams for the record.  Does no I/O.  The bytes are hostile: they are only shown to
 * the operator.  The plan alone has an effect: it bounds the run (k6run.c).
 */
#ifndef K6FLEET_K6OUT_H
#define K6FLEET_K6OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define K6OUT_LINE_MAX 320

/* The last bytes of a stream. */
struct k6out_tail {
	char *data;
	size_t size, pos;
	bool full;
};

struct k6out {
	struct k6out_tail out, err;
	void *map; /* the memory of both tails, mapped during a run */
	char line[K6OUT_LINE_MAX];
	size_t line_len;
	/* The end of the last read of standard error, for words that a read cuts in two. */
	char carry[64];
	size_t carry_len;
	/* The scenarios as k6 has announced them. */
	bool in_plan, has_plan;
	int64_t longest_ms, graceful_ms;
	/* Progress. */
	bool has_progress; /* k6 has printed progress */
	bool progressed;   /* ... since the reader has cleared this flag */
	int64_t elapsed_ms;
	uint32_t vus;
	uint64_t iterations;
	/* Words on standard error. */
	bool saw_no_memory, saw_no_process, saw_disk_full, saw_late;
	int64_t late_ms;
};

int k6out_init(struct k6out *o, struct err *err);
void k6out_clear(struct k6out *o);
/* Gets the bytes that somebody who follows a run wants to see: all but the progress. */
typedef void k6out_emit(void *arg, const char *data, size_t len);
void k6out_take_stdout(struct k6out *o, const char *data, size_t len, k6out_emit *emit, void *arg);
void k6out_take_stderr(struct k6out *o, const char *data, size_t len, k6out_emit *emit, void *arg);
/* Returns the end of standard output, then the end of standard error, RUN_LOG_MAX bytes at
 * most; the caller frees it.  *err_from gets the offset at which standard error begins. */
char *k6out_log(const struct k6out *o, size_t *err_from);
/* Returns how long the scenarios take (ms) without graceful stops.  Valid if has_plan is set. */
int64_t k6out_planned_ms(const struct k6out *o);
/* Returns a duration as Go prints it ("1m02.5s", "300ms") in ms and sets *end behind it; -1 for
 * any other text. */
int64_t k6out_parse_duration(const char *text, const char **end);

#endif
