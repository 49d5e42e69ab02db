/* SPDX-License-Identifier: MIT */
/* From a job to an executed k6: what the child of the worker does between fork and exec. */
#ifndef K6FLEET_LAUNCH_H
#define K6FLEET_LAUNCH_H

#include <stdint.h>

#include "agent/k6run.h"

/* Reads the target from job_fd, writes its script, works out k6's arguments and environment, confines
 * itself and executes k6 with `out` and `err` as its standard output and error.  What goes wrong
 * goes up `fail` as a sentence; a pipe that is closed without one says that k6 has been executed. */
_Noreturn void launch_k6(const struct k6run_env *env, const char *id, const char *summary_path,
	int64_t start_wall_ms, int job_fd, int out, int err, int fail);

#endif
