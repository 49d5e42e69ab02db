/* SPDX-License-Identifier: MIT */
/* The kernel's fs/namespace.c is the only documentation of open_tree(2). */
#include "common/hostfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mem.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* The kernel's limit, path_resolution(7). */
#define LINKS_MAX 40

static int tree_fd = -1;

int hostfs_keep(struct err *err)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/",
		(unsigned int)(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));

	/* A container may forbid the recursive copy: then only the root's own file system is in
	 * the tree. */
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

/* Puts the target of a symbolic link before the rest of the path.  Returns 0, or -1 with errno. */
static int follow(int link_fd, char *rest, size_t size)
{
	char target[PATH_MAX], left[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	snprintf(left, sizeof(left), "%s", rest);
	if ((size_t)snprintf(rest, size, "%s%s%s", target, *left ? "/" : "", left) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/* Moves the first component of the path to component.  Returns false if there is none. */
static bool next_component(char *path, char component[NAME_MAX + 1])
{
	size_t skip = strspn(path, "/"), len = strcspn(path + skip, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(component, path + skip, len);
	component[len] = '\0';
	skip += len;
	skip += strspn(path + skip, "/");
	memmove(path, path + skip, strlen(path + skip) + 1);
	return true;
}

/*
 * Does the same as RESOLVE_IN_ROOT of openat2(2), component by component: a service with
 * RestrictSUIDSGID= may not call openat2, systemd.exec(5).  Safe: all names come from root's
 * configuration.  An absolute link starts again at the root of the tree, and ".." stops there,
 * because the tree is attached to nothing.
 */
int hostfs_open(const char *path, int flags)
{
	char rest[PATH_MAX], component[NAME_MAX + 1];
	_cleanup_fd_ int dir = -1;
	int links = 0;

	if (tree_fd < 0)
		return open(path, flags | O_CLOEXEC);
	if ((size_t)snprintf(rest, sizeof(rest), "%s", path) >= sizeof(rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	dir = fcntl(tree_fd, F_DUPFD_CLOEXEC, 3);
	while (dir >= 0 && next_component(rest, component)) {
		_cleanup_fd_ int fd = openat(dir, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0)
			return -1;
		if (S_ISLNK(st.st_mode)) {
			if (++links > LINKS_MAX) {
				errno = ELOOP;
				return -1;
			}
			if (follow(fd, rest, sizeof(rest)) < 0)
				return -1;
			if (rest[0] != '/')
				continue;
			close_fd(&dir);
			dir = fcntl(tree_fd, F_DUPFD_CLOEXEC, 3);
		} else if (!*rest) {
			/* Fails if a link has taken the place of the file since it was looked
			 * at. */
			return openat(dir, component, flags | O_NOFOLLOW | O_CLOEXEC);
		} else {
			close_fd(&dir);
			dir = steal_fd(&fd);
		}
	}
	if (dir >= 0)
		errno = ENOENT;
	return -1;
}
