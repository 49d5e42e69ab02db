/* SPDX-License-Identifier: MIT */
/*
 * One run of k6 inside a worker: script, process, pipes, deadline, summary, result.
 * Never blocks; the worker polls the descriptors and tells the time.
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

/* After TERM k6 has this long to write its summary: facts say 0.1 s are usual. */
#define K6RUN_KILL_AFTER_MS 5000

struct k6run_env {
	const struct conf *conf;
	const struct sandbox *sandbox;
	const char *work_dir;
	struct k6bin k6; /* opened by the keeper */
	bool is_init;    /* pid 1 of its own pid namespace: may signal everything in it */
	int cgroup_fd, cgroup_procs_fd; /* k6's own cgroup; -1: none */
};

/* As the supervisor asks for it. */
struct k6run_plan {
	int64_t planned_ms;    /* 0: the script's own business, known when k6 has said it */
	int64_t timeout_ms;    /* 0: what the scenarios take by k6's own account */
	int64_t grace_ms;      /* on top of either */
	int64_t start_wall_ms; /* that all agents wait for; 0: at once */
	bool checks_count;     /* a failed check fails the run */
	bool is_quiet;         /* k6 was told to say nothing about its plan */
};

/* Where a script has no timeout of its own.  Init code has no limit in k6; setup() and teardown() have
 * these by default (https://grafana.com/docs/k6/latest/using-k6/k6-options/reference/). */
#define K6RUN_INIT_MS 60000
#define K6RUN_SETUP_MS 60000
#define K6RUN_TEARDOWN_MS 60000
/* ... and where k6 keeps its plan to itself. */
#define K6RUN_UNKNOWN_MS HOUR_MS
/* From fork to exec: the script is written and names are looked up. */
#define K6RUN_LAUNCH_MS 30000

#define K6RUN_WHY_MAX 512

struct k6run {
	const struct k6run_env *env;
	struct k6run_plan plan;
	char id[UUID_MAX];
	char *summary_path;
	pid_t pid;
	/* Read ends of k6's stdout and stderr, and of what its launch has to say; -1 when closed. */
	int out_fd, err_fd, fail_fd;
	char why[K6RUN_WHY_MAX];   /* k6 could not be executed; "" when it could */
	enum err_code not_started; /* the kind of that, see launch.h */
	bool started;              /* k6 has been executed */
	bool planned;              /* k6 has said how long it will take */
	bool exited, term_sent, kill_sent, deadline_passed, cancelled;
	int wait_status;
	uint64_t oom_kills_before, cgroup_cpu_us_before; /* of the cgroup, which outlives runs */
	struct rusage usage;
	int64_t fork_mono_ms, start_mono_ms, start_wall_ms, end_mono_ms, kill_at_mono_ms;
	struct k6out output;
};

/* Starts k6 for the target that job_fd, a memfd, holds as JSON.  Never fails: what goes wrong
 * becomes the run's result. */
struct k6run *k6run_start(
	const struct k6run_env *env, int job_fd, const char *id, const struct k6run_plan *plan);
/* Reads what k6 has written; hb gets its progress, emit() what else it says. */
void k6run_drain(struct k6run *run, struct hb_page *hb, k6out_emit *emit, void *arg);
/* The end of its output so far; the caller frees it. */
char *k6run_log(const struct k6run *run);
/* TERM at the deadline, KILL after the grace.  Answers the ms until it wants to be called again,
 * or -1. */
int64_t k6run_tick(struct k6run *run, int64_t now_mono_ms);
void k6run_cancel(struct k6run *run, int64_t now_mono_ms);
/* Tells it that its k6 has been reaped. */
void k6run_reaped(struct k6run *run, int wait_status, const struct rusage *usage);
bool k6run_is_over(const struct k6run *run);
/* From the start of its k6 to the instant that all agents wait for. */
int64_t k6run_wait_ms(const struct k6run *run);
/* Ends all that k6 left behind and has a child in a cage of its own (verdict.h) read the summary
 * and judge.  out gets the AGENT_RESULT message. */
void k6run_finish(struct k6run *run, struct msg_writer *out);
void k6run_free(struct k6run *run);

#endif
