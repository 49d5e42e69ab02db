/* SPDX-License-Identifier: MIT */
/*
 * Opens files by their names on the host after the process has left the host's root.  At a
 * reload the keeper opens its configuration, and the files that it names, in a tree of the
 * host's mounts that it kept.
 */
#ifndef K6FLEET_HOSTFS_H
#define K6FLEET_HOSTFS_H

#include "common/err.h"

/* Keeps the tree of all mounts as the process sees it now, with open_tree(2).  Needs
 * CAP_SYS_ADMIN over the mount namespace.  Mounts that are made later are not in it.  Returns 0,
 * or -1 and err. */
int hostfs_keep(struct err *err);
/* Returns the descriptor of the tree, which stays hostfs's, or -1. */
int hostfs_fd(void);
/* Takes over the tree that an earlier image of the process kept; -1: none. */
void hostfs_use(int fd);
/* As open(2) of an absolute path on the host, with O_CLOEXEC.  Absolute links lead to files of
 * the host, too.  Without a kept tree it is open(2).  Returns a descriptor, which the caller
 * closes, or -1 with errno. */
int hostfs_open(const char *path, int flags);

#endif
