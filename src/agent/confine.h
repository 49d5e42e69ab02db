/* SPDX-License-Identifier: MIT */
/* What k6 alone is subject to, on top of its worker's sandbox. */
#ifndef K6FLEET_CONFINE_H
#define K6FLEET_CONFINE_H

#include "agent/sandbox.h"

/* In the k6 child, between fork and exec: limits, priority, a user namespace of its own, Landlock,
 * the system call filter, parent-death signal.  work_dir and the home stay writable.  k6_fd as
 * for confine_exec().  0, or -1 with errno. */
int confine_k6(const struct sandbox *sb, const struct conf *conf, const char *work_dir, int k6_fd);
/* Executes k6: what k6_fd stands for, or if that is -1 its mount in the agents' root.  Comes back
 * only with errno. */
void confine_exec(int k6_fd, char *const argv[], char *const envp[]);
/* The HOME of k6. */
const char *confine_home(const struct sandbox *sb);

#endif
