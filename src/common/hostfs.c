/* SPDX-License-Identifier: MIT */
/* open_tree(2) is documented in the kernel's fs/namespace.c only; openat2(2) has a page. */
#include "common/hostfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static int tree_fd = -1;

int hostfs_keep(struct err *err)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/",
		(unsigned int)(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));

	/* Where a container forbids it, what lies on the root's own file system must do. */
	if (fd < 0)
		fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot keep the host's files in reach");
	tree_fd = fd;
	return 0;
}

int hostfs_fd(void)
{
	return tree_fd;
}

void hostfs_use(int fd)
{
	tree_fd = fd;
}

int hostfs_open(const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		/* Safe: names come from root's own configuration; a link in them cannot lead out of
		 * the tree. */
		.resolve = RESOLVE_IN_ROOT,
	};

	if (tree_fd < 0)
		return open(path, flags | O_CLOEXEC);
	return (int)syscall(SYS_openat2, tree_fd, path, &how, sizeof(how));
}
