/* SPDX-License-Identifier: MIT */
/*
 * The agents' root: the part of the host that workers and their k6 can see.  The keeper makes it
 * once, in a mount namespace of its own; each worker adds its own tmpfs and /proc.
 */
#ifndef K6FLEET_ROOTFS_H
#define K6FLEET_ROOTFS_H

#include "common/conf.h"
#include "common/err.h"

/* The path of k6 inside. */
#define ROOTFS_K6 "/k6"
/* The HOME of every k6. */
#define ROOTFS_HOME "/home/k6agent"

/*
 * Moves the calling process into a new mount namespace.  Its root has, read-only: /usr, /bin,
 * /sbin and /lib*, /etc with its secrets covered, the directory of resolv.conf, five device
 * nodes, /proc, k6, and two empty directories as mount points, limits.tmp_dir and ROOTFS_HOME.
 * Open descriptors stay usable; all other names of the host are gone. k6_fd: the k6 that conf
 * names, which stays the caller's; -1: none.  Needs CAP_SYS_ADMIN in the user namespace that
 * owns the mount namespace.  Returns 0, or -1 and err; after an error the process must end,
 * because its root may be half made.
 */
int rootfs_enter(const struct conf *conf, int k6_fd, struct err *err);

#endif
