/* SPDX-License-Identifier: MIT */
/* The limits and rules of k6 itself, in addition to its worker's sandbox. */
#ifndef K6FLEET_CONFINE_H
#define K6FLEET_CONFINE_H

#include "agent/sandbox.h"

/* Called in the process that becomes k6, between fork and exec.  Sets limits, priority, a user
 * namespace of its own, Landlock, the system call filter and the parent-death signal.  work_dir
 * and the home stay writable.  k6_fd: as for confine_exec().  Returns 0, or -1 with errno. */
int confine_k6(const struct sandbox *sb, const struct conf *conf, const char *work_dir, int k6_fd);
/* Executes k6 by the descriptor k6_fd; -1: by its path in the agents' root.  Returns only if
 * that fails, with errno. */
void confine_exec(int k6_fd, char *const argv[], char *const envp[]);
/* Returns the HOME of k6; static. */
const char *confine_home(const struct sandbox *sb);

#endif
