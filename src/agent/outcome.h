/* SPDX-License-Identifier: MIT */
/* Decides status, reason and message of a run from the end of its k6 process.  Pure. */
#ifndef K6FLEET_OUTCOME_H
#define K6FLEET_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/run.h"

enum outcome_summary { OUTCOME_SUMMARY_OK, OUTCOME_SUMMARY_MISSING, OUTCOME_SUMMARY_BAD };

/* All facts about the end of k6. */
struct outcome_facts {
	const char *why_not_started; /* NULL or "": k6 was executed */
	enum err_code not_started;   /* the code of that failure, launch.h */
	int wait_status;             /* of waitpid(2) */
	bool deadline_passed;        /* the worker stopped it because its time was over */
	bool cancelled;              /* the worker stopped it because it was asked to */
	enum outcome_summary summary;
	const char *summary_error; /* with OUTCOME_SUMMARY_BAD */
	/* standard error had words that mean this */
	bool saw_no_memory, saw_no_process, saw_disk_full;
	bool oom_killed; /* the kernel killed a process of its cgroup for want of memory */
	bool tmp_full;
	bool checks_count; /* a failed check fails the run */
	int64_t deadline_ms;
	int64_t memory_bytes;
	int64_t processes;   /* limits.processes */
	int64_t cpu_time_ms; /* limits.cpu_time; 0: none */
	int64_t late_ms;     /* how much too late for the common start; 0: in time */
	const char *log;     /* end of standard error */
	size_t log_from;     /* offset of `log` in the log of the result */
};

/* Sets status, reason, exit_code and message of r.  r has its metrics and thresholds already. */
void outcome_judge(const struct outcome_facts *facts, struct run *r);
/* Returns the last error in k6's log (JSON lines or plain text) as one line, "" if there is
 * none; the caller frees it. */
char *outcome_last_error(const char *log);

#endif
