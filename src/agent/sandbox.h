/* SPDX-License-Identifier: MIT */
/*
 * The sandbox that separates a worker from the host and from other workers.  The keeper calls
 * sandbox_prepare() once. sandbox_clone() forks a worker into its namespaces.  The worker calls
 * sandbox_enter(), after which it has no privilege.
 */
#ifndef K6FLEET_SANDBOX_H
#define K6FLEET_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/conf.h"
#include "common/creds.h"
#include "common/err.h"
#include "common/filter.h"
#include "common/sandbox_layers.h"

struct sandbox {
	enum sandbox_level level;
	unsigned int layers;
	bool as_root;         /* the keeper was started as root: workers change user */
	bool user_namespaces; /* each k6 can have a user namespace of its own */
	struct creds agent;   /* the user and group of workers */
	int landlock;         /* ABI version; 0: no Landlock */
	struct filter agent_filter, k6_filter, parser_filter;
};

/* Finds the level by trial: a child enters a sandbox and must succeed.  Returns 0 and fills sb;
 * or -1 and err, which names what the kernel forbids, if `sandbox = require` cannot be met.
 * Afterwards the calling process has the agents' root (rootfs.h) and, if it is not root, a user
 * namespace of its own: all files of the host that it needs must be open before. */
int sandbox_prepare(const struct conf *conf, int k6_fd, struct sandbox *sb, struct err *err);
/* For the next image of the keeper, which has filled sb but for its filters: makes the filters
 * and sets the process non-dumpable again.  Returns 0, or -1 and err. */
int sandbox_resume(struct sandbox *sb, struct err *err);
/* Returns 0, or -1 and err if require_layers names a layer that sb does not have. */
int sandbox_check_layers(const struct sandbox *sb, const struct conf *conf, struct err *err);
/* As fork(2), into the namespaces of the level.  share_files: the child shares the caller's
 * table of descriptors (CLONE_FILES), which saves copying thousands of them, and must leave it
 * first of all.  Returns the pid in the caller and 0 in the child, or -1 with errno. */
pid_t sandbox_clone(const struct sandbox *sb, bool share_files);
/* Called in the worker: sets up mounts, host name, user, capabilities and filter.  *work_dir
 * gets the directory for the files of a run; the string lives as long as the process.
 * Afterwards the process has no privilege.  Returns 0, or -1 and err. */
int sandbox_enter(const struct sandbox *sb, const struct conf *conf, const char *name,
	unsigned int slot, const char **work_dir, struct err *err);
/* Removes everything below dir, but not dir.  Follows no link; needs no memory that grows with
 * the depth.  Returns 0, or
 * -1 and err (which may be NULL). */
int sandbox_empty_dir(const char *dir, struct err *err);

#endif
