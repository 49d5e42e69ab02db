/* SPDX-License-Identifier: MIT */
/*
 * A cgroup v2 for each slot's k6, where a subtree has been delegated to k6fleetd: cgroups(7) and
 * systemd.resource-control(5), Delegate=.  Everywhere else rlimits are all there is.
 */
#ifndef K6FLEET_CGROUP_H
#define K6FLEET_CGROUP_H

#include "common/conf.h"
#include "common/err.h"

struct cgroup {
	int base_fd; /* the delegated cgroup, -1: there is none */
	bool cpu;    /* its cpu controller, too */
};

/* What a worker gets to put its k6 where it belongs; both -1 without a cgroup. */
struct cgroup_slot {
	int dir_fd; /* to read memory.events */
	int procs_fd; /* cgroup.procs, opened for writing by the keeper: the kernel asks who opened it */
};

/* Moves this process into a leaf and hands the controllers down.  -1 and the reason when
 * nothing is delegated: that is no failure.  Must come before the host's root is left. */
int cgroup_open(struct cgroup *cg, struct err *why);
/* Makes the slot's cgroup with its limits, or uses the one that is there. */
int cgroup_enter_slot(const struct cgroup *cg, const struct conf *conf, unsigned int slot,
	struct cgroup_slot *out, struct err *err);
void cgroup_close_slot(struct cgroup_slot *s);
/* The slot's worker and its k6 are gone. */
void cgroup_remove_slot(const struct cgroup *cg, unsigned int slot);

#endif
