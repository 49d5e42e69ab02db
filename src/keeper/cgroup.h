/* SPDX-License-Identifier: MIT */
/*
 * A cgroup v2 for the k6 of each slot, where a subtree is delegated to k6fleetd: cgroups(7) and
 * systemd.resource-control(5), Delegate=.  Without a delegated subtree only rlimits bound k6.
 */
#ifndef K6FLEET_CGROUP_H
#define K6FLEET_CGROUP_H

#include "common/conf.h"
#include "common/err.h"

struct cgroup {
	int base_fd; /* the delegated cgroup; -1: there is none */
	bool cpu;    /* the cpu controller is delegated, too */
};

/* The cgroup of one slot, as its worker gets it; both -1 without a cgroup. */
struct cgroup_slot {
	int dir_fd; /* the directory, to read memory.events and cpu.stat */
	/* cgroup.procs, which the keeper opens: the kernel checks the opener's rights. */
	int procs_fd;
};

/* Moves this process into a leaf and enables the controllers for the slots.  Returns 0 with an
 * open descriptor in cg, or -1 and the reason in why: nothing is delegated, which is no failure.
 * Must be called before the process leaves the host's root, because it needs /sys. */
int cgroup_open(struct cgroup *cg, struct err *why);
/* Makes the cgroup of the slot, if it does not exist, and sets its limits.  Fills out, which the
 * caller closes with cgroup_close_slot().  Returns 0, or -1 and err. */
int cgroup_enter_slot(const struct cgroup *cg, const struct conf *conf, unsigned int slot,
	struct cgroup_slot *out, struct err *err);
/* Closes both descriptors and sets them to -1. */
void cgroup_close_slot(struct cgroup_slot *s);
/* Removes the cgroup of the slot, whose worker and k6 must have ended.  A failure is ignored:
 * the next worker of the slot uses it again. */
void cgroup_remove_slot(const struct cgroup *cg, unsigned int slot);

#endif
