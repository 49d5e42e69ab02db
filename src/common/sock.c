/* SPDX-License-Identifier: MIT */
/* sun_path has 108 bytes, unix(7).  A longer path is reached through /proc/self/fd/DIR. */
#include "common/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <endian.h>
#include <libgen.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/units.h"

/* Fills addr for path; *dirfd is a directory that must stay open while addr is used, or -1. */
static int make_address(const char *path, struct sockaddr_un *addr, int *dirfd)
{
	_cleanup_free_ char *dir = NULL, *base = NULL;

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	*dirfd = -1;
	if (strlen(path) < sizeof(addr->sun_path)) {
		memcpy(addr->sun_path, path, strlen(path) + 1);
		return 0;
	}
	dir = x_strdup(path);
	base = x_strdup(path);
	*dirfd = open(dirname(dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dirfd < 0)
		return -1;
	if (snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", *dirfd,
		    basename(base)) >= (int)sizeof(addr->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

int sock_connect(const char *path, struct err *err)
{
	_cleanup_fd_ int dirfd = -1, fd = -1;
	struct sockaddr_un addr;
	int saved;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || make_address(path, &addr, &dirfd) < 0 ||
		connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		saved = errno;
		err_sys(err, saved, "cannot connect to %s", path);
		errno = saved;
		return -1;
	}
	return steal_fd(&fd);
}

/* Lets the owner and both groups read and write, and nobody else: acl(5).  The mode that ls(1)
 * shows stays 0660.  Not by libacl: that would be one more library in the keeper, which has
 * privileges, for one attribute of fixed size. */
static int allow_two_groups(const char *path, gid_t second)
{
	struct {
		struct posix_acl_xattr_header header;
		struct posix_acl_xattr_entry entries[5];
	} acl = {.header.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
	const struct {
		int tag, perm;
		uint32_t id;
	} entries[] = {{ACL_USER_OBJ, ACL_READ | ACL_WRITE, (uint32_t)ACL_UNDEFINED_ID},
		{ACL_GROUP_OBJ, ACL_READ | ACL_WRITE, (uint32_t)ACL_UNDEFINED_ID},
		{ACL_GROUP, ACL_READ | ACL_WRITE, second},
		{ACL_MASK, ACL_READ | ACL_WRITE, (uint32_t)ACL_UNDEFINED_ID},
		{ACL_OTHER, 0, (uint32_t)ACL_UNDEFINED_ID}};

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		acl.entries[i] = (struct posix_acl_xattr_entry){htole16((uint16_t)entries[i].tag),
			htole16((uint16_t)entries[i].perm), htole32(entries[i].id)};
	return setxattr(path, "system.posix_acl_access", &acl, sizeof(acl), 0);
}

int sock_listen(const char *path, mode_t mode, gid_t gid, gid_t second_gid, struct err *err)
{
	_cleanup_fd_ int dirfd = -1, fd = -1, probe = -1;
	struct sockaddr_un addr;
	struct stat st;

	probe = sock_connect(path, NULL);
	if (probe >= 0) {
		err_set(err, "%s is in use: another daemon answers there", path);
		errno = EADDRINUSE;
		return -1;
	}
	/* Removes only a socket: a wrong path must not delete a file. */
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode)) {
			err_set(err,
				"%s is there and is not a socket; remove it or choose another path",
				path);
			errno = EEXIST;
			return -1;
		}
		unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || make_address(path, &addr, &dirfd) < 0)
		return err_sys(err, errno, "cannot make the socket %s", path);
	/* Binds without permissions: nobody can connect before mode and group are right. */
	mode_t old = umask(0777);
	int rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	int saved = errno;
	umask(old);
	if (rc < 0)
		return err_sys(err, saved, "cannot make the socket %s", path);
	if (gid != (gid_t)-1 && lchown(addr.sun_path, (uid_t)-1, gid) < 0)
		return err_sys(
			err, errno, "cannot give the socket %s to group %u", path, (unsigned)gid);
	if (chmod(addr.sun_path, mode) < 0)
		return err_sys(err, errno, "cannot set the mode of %s", path);
	if (second_gid != (gid_t)-1 && allow_two_groups(addr.sun_path, second_gid) < 0)
		return err_sys(err, errno,
			"cannot give the socket %s to a second group by an access control list",
			path);
	if (listen(fd, 256) < 0)
		return err_sys(err, errno, "cannot listen on %s", path);
	return steal_fd(&fd);
}

int sock_check_address(const char *value, struct err *err)
{
	const char *colon = strrchr(value, ':');
	int64_t port;

	if (!colon || colon == value || units_parse_int(colon + 1, &port, NULL) < 0 || port < 1 ||
		port > 65535)
		return err_set(err,
			"\"%s\" must be written ADDRESS:PORT, for example 127.0.0.1:3000", value);
	return 0;
}

int sock_listen_tcp(const char *address, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				.ai_flags = AI_PASSIVE | AI_NUMERICSERV},
			*list;
	_cleanup_free_ char *host = x_strdup(address);
	char *port = strrchr(host, ':');
	_cleanup_fd_ int fd = -1;
	int one = 1, rc;

	*port++ = '\0';
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		memmove(host, host + 1, strlen(host));
		host[strlen(host) - 1] = '\0';
	}
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc) {
		err_set(err, "cannot listen on %s: %s", address, gai_strerror(rc));
		errno = EINVAL;
		return -1;
	}
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) < 0 || listen(fd, 1024) < 0) {
		int saved = errno;

		freeaddrinfo(list);
		err_sys(err, saved, "cannot listen on %s", address);
		errno = saved;
		return -1;
	}
	freeaddrinfo(list);
	return steal_fd(&fd);
}
