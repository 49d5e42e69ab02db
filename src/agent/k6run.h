/* SPDX-License-Identifier: MIT */
/*
 * One run of k6 inside a worker: script, process, pipes, deadline, summary, result.  Does not
 * block, but for k6run_finish(), which waits for the reader of the summary.  The worker polls
 * the descriptors and passes the time.
 */
#ifndef K6FLEET_AGENT_K6RUN_H
#define K6FLEET_AGENT_K6RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent/k6bin.h"
#include "agent/k6out.h"
#include "agent/sandbox.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/hb.h"
#include "common/limits.h"
#include "common/msg.h"
#include "common/run.h"

/* After TERM k6 has this time to write its summary, which usually takes 0.1 s. */
#define K6RUN_KILL_AFTER_MS 5000

struct k6run_env {
	const struct conf *conf;
	const struct sandbox *sandbox;
	const char *work_dir;
	struct k6bin k6; /* opened by the keeper */
	/* The worker is pid 1 of its own pid namespace: it may signal all processes there. */
	bool is_init;
	int cgroup_fd, cgroup_procs_fd; /* k6's own cgroup; -1: none */
};

/* The run that the supervisor asks for (WORK_RUN). */
struct k6run_plan {
	int64_t planned_ms;    /* duration; 0: the script decides, and k6 prints it at the start */
	int64_t timeout_ms;    /* 0: as long as the scenarios take, as k6 prints it */
	int64_t grace_ms;      /* on top of either */
	int64_t start_wall_ms; /* common start of all agents; 0: at once */
	bool checks_count;     /* a failed check fails the run */
	bool is_quiet;         /* k6.args keep k6 from printing its plan */
};

/* Time limits of a script without a timeout of its own.  k6 does not limit init code; the limits
 * of setup() and teardown() are k6's defaults
 * (https://grafana.com/docs/k6/latest/using-k6/k6-options/reference/). */
#define K6RUN_INIT_MS 60000
#define K6RUN_SETUP_MS 60000
#define K6RUN_TEARDOWN_MS 60000
/* ... and of one whose plan k6 does not print. */
#define K6RUN_UNKNOWN_MS HOUR_MS
/* From fork to exec: in this time the script is written and names are looked up. */
#define K6RUN_LAUNCH_MS 30000

#define K6RUN_WHY_MAX 512

struct k6run {
	const struct k6run_env *env;
	struct k6run_plan plan;
	char id[UUID_MAX];
	char *summary_path;
	pid_t pid;
	/* Read ends: k6's stdout and stderr, and the report of its launch (launch.h); -1 when
	 * closed. */
	int out_fd, err_fd, fail_fd;
	char why[K6RUN_WHY_MAX];   /* why k6 could not be executed; "": it was executed */
	enum err_code not_started; /* the code of that failure, launch.h */
	bool started;              /* k6 has been executed */
	bool planned;              /* k6 has printed how long it will take */
	bool exited, term_sent, kill_sent, deadline_passed, cancelled;
	int wait_status;
	uint64_t oom_kills_before,
		cgroup_cpu_us_before; /* counters of the slot's cgroup before this run */
	struct rusage usage;
	int64_t fork_mono_ms, start_mono_ms, start_wall_ms, end_mono_ms, kill_at_mono_ms;
	struct k6out output;
};

/* Starts k6 for the target in job_fd, a memfd with JSON that stays the caller's.  Never returns
 * NULL: a failure becomes the result of the run.  env must outlive the run.  The caller frees it
 * with k6run_free(). */
struct k6run *k6run_start(
	const struct k6run_env *env, int job_fd, const char *id, const struct k6run_plan *plan);
/* Reads all that k6 has written: hb gets its progress, emit() the rest, synchronously. */
void k6run_drain(struct k6run *run, struct hb_page *hb, k6out_emit *emit, void *arg);
/* Returns the end of the output so far; the caller frees it. */
char *k6run_log(const struct k6run *run);
/* Sends TERM at the deadline and KILL after K6RUN_KILL_AFTER_MS.  Returns the ms until the next
 * call is needed; -1: none is. */
int64_t k6run_tick(struct k6run *run, int64_t now_mono_ms);
/* Sends TERM, once; the result will say that the run was cancelled. */
void k6run_cancel(struct k6run *run, int64_t now_mono_ms);
/* Takes the exit of k6. */
void k6run_reaped(struct k6run *run, int wait_status, const struct rusage *usage);
/* Whether k6 has ended or could not be started. */
bool k6run_is_over(const struct k6run *run);
/* Returns the ms from the start of this k6 to the common start of all agents; 0: no waiting. */
int64_t k6run_wait_ms(const struct k6run *run);
/* Kills all processes that k6 has left, lets a confined child read the summary (verdict.h),
 * waits for it, and makes out the AGENT_RESULT message. */
void k6run_finish(struct k6run *run, struct msg_writer *out);
void k6run_free(struct k6run *run);

#endif
