/* SPDX-License-Identifier: MIT */
/*
 * Files by the names that the host has for them, also after this process has left the host's root.
 * The keeper opens its configuration, and what that names, again when it reloads; a tree of mounts
 * that it kept is where it looks then.
 */
#ifndef K6FLEET_HOSTFS_H
#define K6FLEET_HOSTFS_H

#include "common/err.h"

/* Keeps the whole tree of mounts as this process sees it now: open_tree(2), which needs
 * CAP_SYS_ADMIN over the mount namespace.  Mounts made later are not in it. */
int hostfs_keep(struct err *err);
/* The descriptor that was kept, close-on-exec, or -1; for a process image that follows. */
int hostfs_fd(void);
/* Goes on with one that an earlier process image kept; -1: none. */
void hostfs_use(int fd);
/* As open(2) of an absolute path on the host, with O_CLOEXEC.  Absolute links resolve on the host,
 * too.  Without a kept tree it is open(2). */
int hostfs_open(const char *path, int flags);

#endif
