/* SPDX-License-Identifier: MIT */
/*
 * One run of k6 inside a worker: script, process, pipes, deadline, summary, result.
 * Never blocks; the worker polls the descriptors and tells the time.
 */
#ifndef K6FLEET_RUN_H
#define K6FLEET_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent/sandbox.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/hb.h"
#include "common/msg.h"
#include "common/result.h"

/* After TERM k6 has this long to write its summary: facts say 0.1 s are usual. */
#define RUN_KILL_AFTER_MS 5000

struct run_env {
	const struct conf *conf;
	const struct sandbox *sandbox;
	const char *work_dir;
	int k6_fd;    /* the k6 binary, opened by the keeper */
	bool is_init; /* pid 1 of its own pid namespace: may signal everything in it */
	int cgroup_fd, cgroup_procs_fd; /* k6's own cgroup; -1: none */
};

struct run {
	const struct run_env *env;
	bool checks_count; /* a failed check fails the run */
	char id[UUID_MAX];
	char *script_path, *summary_path;
	pid_t pid;
	int out_fd, err_fd; /* read ends of k6's stdout and stderr, -1 when closed */
	int spawn_errno;
	bool exited, term_sent, kill_sent, deadline_passed, cancelled;
	bool saw_no_memory, saw_no_process, saw_disk_full;
	int wait_status;
	uint64_t oom_kills_before; /* of the cgroup, which outlives runs */
	struct rusage usage;
	int64_t planned_ms, deadline_ms; /* deadline after start */
	int64_t start_mono_ms, start_wall_ms, end_mono_ms, kill_at_mono_ms;
	char *ring; /* RESULT_LOG_MAX bytes, mapped only while a run goes on */
	size_t ring_pos;
	bool ring_full;
	char carry[64], progress[160]; /* tail of stderr for the word search; stdout's open line */
	size_t carry_len, progress_len;
};

/* Starts k6 for the target that job_fd, a memfd, holds as JSON.  Never fails: what goes wrong
 * becomes the run's result.  The target is read and the script written by the child that becomes
 * k6, so that the worker's memory stays as small as it was. */
struct run *run_start(const struct run_env *env, int job_fd, const char *id, int64_t planned_ms,
	int64_t deadline_ms, bool checks_count);
/* Reads what k6 has written; hb gets its progress. */
void run_drain(struct run *run, struct hb_page *hb);
/* TERM at the deadline, KILL after the grace.  Answers the ms until it wants to be called again,
 * or -1. */
int64_t run_tick(struct run *run, int64_t now_mono_ms);
void run_cancel(struct run *run, int64_t now_mono_ms);
/* Tells it that its k6 has been reaped. */
void run_reaped(struct run *run, int wait_status, const struct rusage *usage);
bool run_is_over(const struct run *run);
/* Ends all that k6 left behind and has a child in a cage of its own (verdict.h) read the summary
 * and judge.  out gets the AGENT_RESULT message. */
void run_finish(struct run *run, struct msg_writer *out);
void run_free(struct run *run);

#endif
