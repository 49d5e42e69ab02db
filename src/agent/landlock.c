/* SPDX-License-Identifier: MIT */
/* The bits are those of linux/landlock.h.  They stand here because the header that the program
 * is built with may be older than the kernel that it runs on. */
#include "agent/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_MAKE_CHAR = 1 << 6,
	FS_MAKE_BLOCK = 1 << 11,
	FS_ABI1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,                  /* ABI 2: link and rename between directories */
	FS_TRUNCATE = 1 << 14,               /* ABI 3 */
	FS_IOCTL_DEV = 1 << 15,              /* ABI 5 */
	SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, /* ABI 6 */
	SCOPE_SIGNAL = 1 << 1,               /* ABI 6 */
	RULE_PATH_BENEATH = 1,
	CREATE_RULESET_VERSION = 1,
};

struct ruleset_attr {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

static int allow(int ruleset, int fd, uint64_t access)
{
	struct path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};

	return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
}

static int allow_beneath(int ruleset, const char *path, uint64_t access)
{
	int fd = open(path, O_PATH | O_CLOEXEC), rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	rc = allow(ruleset, fd, access);
	close(fd);
	return rc;
}

int landlock_confine(int abi, const char *const *writable, int exe_fd)
{
	struct ruleset_attr attr = {.handled_access_fs = FS_ABI1};
	/* A kernel refuses a longer structure than its own if the part that it does not know is
	 * not zero. */
	size_t size = abi >= 6 ? sizeof(attr) : offsetof(struct ruleset_attr, handled_access_net);
	uint64_t everything;
	int ruleset, rc;

	if (abi >= 2)
		attr.handled_access_fs |= FS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= FS_TRUNCATE;
	if (abi >= 5)
		attr.handled_access_fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return -1;
	everything = attr.handled_access_fs &
		~(uint64_t)(FS_EXECUTE | FS_MAKE_CHAR | FS_MAKE_BLOCK | FS_IOCTL_DEV);
	rc = allow_beneath(ruleset, "/", FS_EXECUTE | FS_READ_FILE | FS_READ_DIR);
	if (rc == 0)
		rc = allow_beneath(ruleset, "/dev",
			(FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE) & attr.handled_access_fs);
	for (; rc == 0 && *writable; writable++)
		rc = allow_beneath(ruleset, *writable, everything);
	if (rc == 0 && exe_fd >= 0)
		rc = allow(ruleset, exe_fd, FS_EXECUTE | FS_READ_FILE);
	if (rc == 0)
		rc = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
	close(ruleset);
	return rc;
}
