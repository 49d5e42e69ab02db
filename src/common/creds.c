/* SPDX-License-Identifier: MIT */
/* Capabilities go through libcap, users through setresuid(2). */
#include "common/creds.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hostfs.h"
#include "common/mem.h"

bool creds_may_change(void)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t uid = CAP_CLEAR, gid = CAP_CLEAR;

	if (caps) {
		cap_get_flag(caps, CAP_SETUID, CAP_EFFECTIVE, &uid);
		cap_get_flag(caps, CAP_SETGID, CAP_EFFECTIVE, &gid);
	}
	cap_free(caps);
	return geteuid() == 0 && uid == CAP_SET && gid == CAP_SET;
}

int creds_find(const char *user, struct creds *out, struct err *err)
{
	struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (!pw)
		return err_set(err,
			"there is no user \"%s\"; make it with: useradd --system --no-create-home "
			"--shell /usr/sbin/nologin %s",
			user, user);
	if (pw->pw_uid == 0)
		return err_set(err, "user \"%s\" is root; choose one without privileges", user);
	*out = (struct creds){pw->pw_uid, pw->pw_gid};
	return 0;
}

/* The capabilities that may be in the bounding set, as read once: a fork drops these and does
 * not query forty of them again. */
static uint64_t bounding = UINT64_MAX;
/* The empty set, allocated once, so that a worker does not touch its heap. */
static cap_t none;

void creds_prepare(void)
{
	if (!none)
		none = cap_init();
	bounding = 0;
	for (int cap = 0; cap < 64 && cap_get_bound(cap) >= 0; cap++) {
		if (cap_get_bound(cap) > 0)
			bounding |= UINT64_C(1) << cap;
	}
}

/* Without CAP_SETPCAP the bounding set stays as it is.  That is harmless with no_new_privs,
 * because an exec then gains nothing. */
static int cut_bounding_set(struct err *err)
{
	if (bounding == UINT64_MAX)
		creds_prepare();
	for (int cap = 0; cap < 64 && bounding >> cap; cap++) {
		if (!(bounding >> cap & 1))
			continue;
		if (cap_drop_bound(cap) == 0)
			bounding &= ~(UINT64_C(1) << cap);
		else if (errno != EPERM)
			return err_sys(err, errno, "cannot cut the capability bounding set");
	}
	return 0;
}

int creds_drop_all_caps(struct err *err)
{
	/* Safe in any state: each step only takes away rights. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot set no_new_privs");
	if (cut_bounding_set(err) < 0)
		return -1;
	/* One call, where cap_reset_ambient(3) queries forty capabilities first. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (!none || cap_set_proc(none) < 0)
		return err_sys(err, errno, "cannot drop all capabilities");
	return 0;
}

int creds_become(const struct creds *to, const gid_t *groups, size_t n, struct err *err)
{
	uid_t r, e, s;

	/* First the bounding set, which needs CAP_SETPCAP, then the groups, and the uid last:
	 * after setresuid(2) the process has no permission for the others. */
	if (cut_bounding_set(err) < 0)
		return -1;
	if (setgroups(n, groups) < 0)
		return err_sys(err, errno, "cannot set the supplementary groups");
	if (setresgid(to->gid, to->gid, to->gid) < 0)
		return err_sys(err, errno, "cannot become group %u", (unsigned)to->gid);
	if (setresuid(to->uid, to->uid, to->uid) < 0)
		return err_sys(err, errno, "cannot become user %u", (unsigned)to->uid);
	/* Checks the ids that the kernel has: with a saved uid of 0 the process could become
	 * root again. */
	if (getresuid(&r, &e, &s) < 0 || r != to->uid || e != to->uid || s != to->uid)
		return err_set(err, "the change to user %u is not complete", (unsigned)to->uid);
	return 0;
}

int creds_read_secret(const char *path, size_t max, char **out, struct err *err)
{
	_cleanup_fd_ int fd = hostfs_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	char *buf;
	ssize_t n;

	*out = NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot read the secret file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, "the secret file %s is not a regular file", path);
	if (st.st_mode & 007)
		return err_set(err, "the secret file %s can be read by others; run: chmod 600 %s",
			path, path);
	buf = x_calloc(max + 2, 1);
	n = read(fd, buf, max + 1);
	if (n < 0) {
		err_sys(err, errno, "cannot read the secret file %s", path);
	} else {
		buf[strcspn(buf, "\r\n")] = '\0';
		if (!buf[0])
			err_set(err, "the first line of the secret file %s is empty", path);
		else if (strlen(buf) > max)
			err_set(err,
				"the first line of the secret file %s is longer than %zu bytes",
				path, max);
		else
			*out = buf;
	}
	if (!*out) {
		mem_wipe(buf, max + 2);
		free(buf);
		return -1;
	}
	return 0;
}

char *creds_given(const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	_cleanup_free_ char *path = dir ? x_asprintf("%s/%s", dir, name) : NULL;
	_cleanup_fd_ int fd = path ? hostfs_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK) : -1;
	char first;

	return fd >= 0 && read(fd, &first, 1) == 1 && first != '\n' ? steal_ptr(path) : NULL;
}
