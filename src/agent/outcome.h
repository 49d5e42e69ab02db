/* SPDX-License-Identifier: MIT */
/* From what became of a k6 process to the run's status, reason and sentence.  Pure. */
#ifndef K6FLEET_OUTCOME_H
#define K6FLEET_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/run.h"

enum outcome_summary { OUTCOME_SUMMARY_OK, OUTCOME_SUMMARY_MISSING, OUTCOME_SUMMARY_BAD };

/* What the worker saw. */
struct outcome_facts {
	const char *why_not_started; /* NULL or "": k6 was executed */
	enum err_code not_started;   /* the kind of that, see launch.h */
	int wait_status;             /* as waitpid(2) gives it */
	bool deadline_passed;        /* the worker stopped it because its time was over */
	bool cancelled;              /* the worker stopped it because it was asked to */
	enum outcome_summary summary;
	const char *summary_error; /* with OUTCOME_SUMMARY_BAD */
	/* words of that kind on its stderr */
	bool saw_no_memory, saw_no_process, saw_disk_full;
	bool oom_killed; /* the kernel has killed in its cgroup */
	bool tmp_full;
	bool checks_count; /* a failed check fails the run */
	int64_t deadline_ms;
	int64_t memory_bytes;
	int64_t processes;   /* limit */
	int64_t cpu_time_ms; /* limit, 0: none */
	int64_t late_ms;     /* for the common start, 0: in time */
	const char *log;     /* end of its stderr */
	size_t log_from;     /* where that begins in the log of the result */
};

/* Sets status, reason, exit_code and message of r, whose metrics and thresholds are filled. */
void outcome_judge(const struct outcome_facts *facts, struct run *r);
/* The last error in k6's log (JSON lines or plain), in one line; the caller frees it. */
char *outcome_last_error(const char *log);

#endif
