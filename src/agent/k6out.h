/* SPDX-License-Identifier: MIT */
/*
 * What k6 writes while it runs: progress and plan out of its standard output, the end of both streams
 * for the record.  Does no I/O; the bytes are hostile and nothing of them is believed beyond what is
 * shown to the operator, except the plan, which bounds the run (see k6run.c).
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
	void *map; /* holds both, only while a run goes on */
	char line[K6OUT_LINE_MAX];
	size_t line_len;
	char carry[64]; /* tail of standard error, for words that are cut by the end of a read */
	size_t carry_len;
	/* The scenarios as k6 has announced them. */
	bool in_plan, has_plan;
	int64_t longest_ms, graceful_ms;
	/* Progress. */
	bool has_progress, progressed; /* ever; since it was last looked at */
	int64_t elapsed_ms;
	uint32_t vus;
	uint64_t iterations;
	/* Words on standard error. */
	bool saw_no_memory, saw_no_process, saw_disk_full, saw_late;
	int64_t late_ms;
};

int k6out_init(struct k6out *o, struct err *err);
void k6out_clear(struct k6out *o);
/* What of the bytes is worth following goes to emit(): all but the progress. */
typedef void k6out_emit(void *arg, const char *data, size_t len);
void k6out_take_stdout(struct k6out *o, const char *data, size_t len, k6out_emit *emit, void *arg);
void k6out_take_stderr(struct k6out *o, const char *data, size_t len, k6out_emit *emit, void *arg);
/* The end of standard output, then that of standard error, at most RUN_LOG_MAX bytes; the caller
 * frees it.  *err_from: where the latter begins. */
char *k6out_log(const struct k6out *o, size_t *err_from);
/* How long the scenarios take without graceful stops; has_plan tells whether k6 has said so. */
int64_t k6out_planned_ms(const struct k6out *o);
/* A duration as Go prints it ("1m02.5s", "300ms") in ms, -1 for anything else; *end behind it. */
int64_t k6out_parse_duration(const char *text, const char **end);

#endif
