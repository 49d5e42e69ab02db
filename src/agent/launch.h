/* SPDX-License-Identifier: MIT */
/* The worker's child between fork and exec: it makes script, arguments and environment of a
 * target and executes k6. */
#ifndef K6FLEET_LAUNCH_H
#define K6FLEET_LAUNCH_H

#include <stdint.h>

#include "agent/k6run.h"

/* The report through fail_fd if k6 could not be executed: one byte of enum err_code, then a
 * sentence without a NUL. ERR_FORBIDDEN: allowed_hosts does not allow the target.  ERR_NO_SPACE:
 * the script does not fit into the run's file system.  If the pipe is closed without a byte, k6
 * was executed. */
#define LAUNCH_REPORT_MAX 512

struct launch_order {
	const struct k6run_env *env;
	const char *id, *summary_path;
	int64_t start_wall_ms; /* as in struct k6run_plan */
	int job_fd;            /* a memfd with the target as JSON */
	int out_fd, err_fd,
		fail_fd; /* k6's standard output and error, and the way for the report */
};

/* Reads the target, writes its script, makes k6's arguments and environment, confines itself and
 * executes k6.  May block for name look-ups.  A failure is reported through fail_fd and ends the
 * process. */
_Noreturn void launch_k6(const struct launch_order *order);

#endif
