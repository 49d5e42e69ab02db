/* SPDX-License-Identifier: MIT */
/*
 * The minimal root: what a worker and its k6 can see of the host.  Made once, by the keeper, in a
 * mount namespace of its own; workers only add what is theirs alone.
 */
#ifndef K6FLEET_ROOTFS_H
#define K6FLEET_ROOTFS_H

#include "common/conf.h"
#include "common/err.h"

/* Where k6 lies inside. */
#define ROOTFS_K6 "/k6"
/* Home of every agent, which is k6's HOME. */
#define ROOTFS_HOME "/home/k6agent"

/*
 * Moves the calling process into a new mount namespace whose root holds, read-only: /usr and what
 * of /bin, /sbin, /lib* is beside it, /etc with its secrets covered, the directory where
 * resolv.conf really lies, five device nodes, /proc, k6, and two empty directories to mount on:
 * limits.tmp_dir and ROOTFS_HOME.  Descriptors that are open stay usable; names of the host
 * outside these are gone.  Needs CAP_SYS_ADMIN over the mount namespace's owner.  After an
 * error the process must not go on: it may stand between two roots.
 */
int rootfs_enter(const struct conf *conf, int k6_fd, struct err *err);

#endif
