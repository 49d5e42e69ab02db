/* SPDX-License-Identifier: MIT */
/*
 * What separates a worker from the host and from its neighbours.  sandbox_prepare() is done
 * once, in the keeper; sandbox_clone() forks a worker into its namespaces; sandbox_enter() is
 * the worker's own way down, after which it holds no privilege.
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
	bool user_namespaces; /* each k6 can have one of its own */
	struct creds agent;   /* whom workers become */
	int landlock;         /* ABI version, 0: none */
	struct filter agent_filter, k6_filter, parser_filter;
};

/* Decides the level by trying it: a child is put into a sandbox and must come back well.
 * With sandbox = require a refusal is an error that names what forbids it.  Afterwards the calling
 * process, the keeper, has the agents' root for its own (rootfs.h) and, not as root, a user
 * namespace of its own: whatever of the host it needs later must be open before. */
int sandbox_prepare(const struct conf *conf, int k6_fd, struct sandbox *sb, struct err *err);
/* In the next image of the keeper, whose `sb` is as the last one's but for the filters: makes those
 * anew and hides the process again. */
int sandbox_resume(struct sandbox *sb, struct err *err);
/* Error when require_layers names one that is missing. */
int sandbox_check_layers(const struct sandbox *sb, const struct conf *conf, struct err *err);
/* As fork(2), into the namespaces of the level.  share_files: with the caller's table of descriptors
 * (CLONE_FILES), which spares copying thousands; the child's first act is to leave it. */
pid_t sandbox_clone(const struct sandbox *sb, bool share_files);
/* In the worker: mounts, host name, user, capabilities, filter.  *work_dir gets the directory for the
 * run's files, which lives as long as the process.  Afterwards nothing privileged is left to do. */
int sandbox_enter(const struct sandbox *sb, const struct conf *conf, const char *name,
	unsigned int slot, const char **work_dir, struct err *err);
/* Removes everything below dir, but not dir.  Follows no link, needs no memory for depth. */
int sandbox_empty_dir(const char *dir, struct err *err);

#endif
