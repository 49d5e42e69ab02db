/* SPDX-License-Identifier: MIT */
/*
 * A read-only bind of the host's root would hide nothing: k6 could still connect to its sockets
 * and open its devices (path_resolution(7), mount_namespaces(7)).  So the root is a small tmpfs
 * with bind mounts of some of the host's directories.  Directories, not files: a bind mount of a
 * file does not follow rename(2).
 */
#include "config.h"

#include "agent/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/hostfs.h"
#include "common/mem.h"

/* With older C libraries sys/mount.h and linux/mount.h cannot be included together. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	const void *data);
int umount2(const char *target, int flags);
#define UMOUNT_DETACH 2

#define READ_ONLY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define EMPTY_DIR ".empty"
#define EMPTY_FILE ".none"

static const struct shown {
	const char *path; /* on the host, and the same inside */
	uint64_t attrs;
} shown[] = {
	{"/usr", READ_ONLY},
	{"/bin", READ_ONLY},
	{"/sbin", READ_ONLY},
	{"/lib", READ_ONLY},
	{"/lib32", READ_ONLY},
	{"/lib64", READ_ONLY},
	{"/libx32", READ_ONLY},
	{"/etc", READ_ONLY | MOUNT_ATTR_NOEXEC},
	/* On SUSE, links in /etc lead to the certificates here. */
	{"/var/lib/ca-certificates", READ_ONLY | MOUNT_ATTR_NOEXEC},
	/* The supervisor opens /proc/self/fd; each worker mounts a /proc of its own over it. */
	{"/proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC},
	/* Device nodes, so without nodev.  Read-only applies to the inode, not to the device. */
	{"/dev/null", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
	{"/dev/zero", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
	{"/dev/full", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
	{"/dev/random", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
	{"/dev/urandom", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
};

static const char own_config[] = SYSCONFDIR "/k6fleet";

/* Paths with secrets.  Their modes should keep agents out; these covers do so if a mode is
 * wrong. */
static const char *const covered[] = {
	"/etc/k6fleet",
	"/etc/shadow",
	"/etc/shadow-",
	"/etc/gshadow",
	"/etc/gshadow-",
	"/etc/security/opasswd",
	"/etc/sudoers",
	"/etc/sudoers.d",
	"/etc/ssh",
	"/etc/ssl/private",
	"/etc/pki/tls/private",
	"/etc/letsencrypt",
	"/etc/wireguard",
	"/etc/credstore",
	"/etc/credstore.encrypted",
	"/etc/krb5.keytab",
	"/etc/machine-id",
	"/etc/NetworkManager/system-connections",
};

static const struct {
	const char *path, *target;
} links[] = {
	{"/dev/fd", "/proc/self/fd"},
	{"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"},
	{"/dev/stderr", "/proc/self/fd/2"},
};

static int set_attrs(const char *path, uint64_t attrs, bool recursive)
{
	struct mount_attr attr = {.attr_set = attrs};

	/* Adding restrictions is allowed on locked mounts, too: mount_setattr(2). */
	return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, recursive ? AT_RECURSIVE : 0, &attr,
		sizeof(attr));
}

/* Makes the parents of a path, and with `whole` the path itself, below the current directory.
 * The path is absolute, as the agents will see it. */
static int make_parents(const char *path, bool whole, struct err *err)
{
	_cleanup_free_ char *copy = x_strdup(path + 1);
	char *last = strrchr(copy, '/');

	if (!whole)
		*(last ? last : copy) = '\0';
	return fdio_mkdir_parents(copy, 0755, (uid_t)-1, (gid_t)-1, err);
}

/* Binds the file or directory of fd (O_PATH) at `path` in the new root, which is the current
 * directory. */
static int bind_at(int fd, const char *path, uint64_t attrs, struct err *err)
{
	char source[64];
	struct stat st;
	int file;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot make room for %s in the agents' root", path);
	if (make_parents(path, S_ISDIR(st.st_mode), err) < 0)
		return err_prefix(err, "cannot make room for %s in the agents' root", path);
	if (!S_ISDIR(st.st_mode)) {
		file = open(path + 1, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0755);
		if (file < 0)
			return err_sys(
				err, errno, "cannot make room for %s in the agents' root", path);
		close(file);
	}
	/* By descriptor: the name was looked up while all of the host could be seen.  Recursive,
	 * because in a user namespace the kernel refuses to separate inherited mounts. */
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	if (mount(source, path + 1, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_sys(err, errno, "cannot bind %s into the agents' root", path);
	if (set_attrs(path + 1, attrs, true) < 0)
		return err_sys(err, errno, "cannot make %s read-only for agents", path);
	return 0;
}

/* With a merged /usr, /bin and /lib are links: these links are recreated. */
static int show(const struct shown *s, int fd, struct err *err)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot read %s", s->path);
	if (!S_ISLNK(st.st_mode))
		return bind_at(fd, s->path, s->attrs, err);
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0)
		return err_sys(err, errno, "cannot read the link %s", s->path);
	target[n] = '\0';
	if (symlink(target, s->path + 1) < 0)
		return err_sys(err, errno, "cannot make the link %s in the agents' root", s->path);
	return 0;
}

static int cover(const char *path, struct err *err)
{
	struct stat st;

	/* If the keeper cannot look it up, a worker cannot either. */
	if (path[0] != '/' || lstat(path + 1, &st) < 0 || S_ISLNK(st.st_mode))
		return 0;
	if (mount(S_ISDIR(st.st_mode) ? EMPTY_DIR : EMPTY_FILE, path + 1, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, errno, "cannot cover %s", path);
	return 0;
}

/* Opened while the host's root is still in place; -1 and NULL: missing. */
struct sources {
	int shown[ARRAY_SIZE(shown)];
	int k6_fd, resolver_fd;
	char *resolver_path;
};

/* /etc/resolv.conf is often a link to a file below /run, which is replaced by rename(2): so its
 * directory is shown. Returns a descriptor of that directory with its path, which the caller
 * frees; or -1 and NULL if the file is in a directory that is shown anyway. */
static int resolver_dir(char **path)
{
	_cleanup_free_ char *real = realpath("/etc/resolv.conf", NULL);
	char *slash = real ? strrchr(real, '/') : NULL;

	*path = NULL;
	if (!slash || slash == real || !strncmp(real, "/etc/", 5) || !strncmp(real, "/usr/", 5))
		return -1;
	*slash = '\0';
	*path = steal_ptr(real);
	return open(*path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Opens k6 again, as a file of a mount of this namespace, and checks that it is the one that was
 * opened before. */
static int reopen_k6(const struct conf *conf, int k6_fd, struct err *err)
{
	_cleanup_fd_ int fd = open(conf->k6.binary, O_PATH | O_CLOEXEC);
	struct stat a, b;

	if (fd < 0 || fstat(fd, &a) < 0 || fstat(k6_fd, &b) < 0)
		return err_sys(err, errno, "cannot open %s", conf->k6.binary);
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return err_set(err, "%s was replaced just now; start again", conf->k6.binary);
	return steal_fd(&fd);
}

static int fill(const struct conf *conf, const struct sources *from, struct err *err)
{
	int file;

	if (mkdir(EMPTY_DIR, 0) < 0 ||
		(file = open(EMPTY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)) < 0)
		return err_sys(err, errno, "cannot fill the agents' root");
	close(file);
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		if (from->shown[i] >= 0 && show(&shown[i], from->shown[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (symlink(links[i].target, links[i].path + 1) < 0)
			return err_sys(err, errno, "cannot make the link %s in the agents' root",
				links[i].path);
	}
	if (from->resolver_fd >= 0 &&
		bind_at(from->resolver_fd, from->resolver_path, READ_ONLY | MOUNT_ATTR_NOEXEC,
			err) < 0)
		return -1;
	if (from->k6_fd >= 0 && bind_at(from->k6_fd, ROOTFS_K6, READ_ONLY, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(covered); i++) {
		if (cover(covered[i], err) < 0)
			return -1;
	}
	if (strcmp(own_config, "/etc/k6fleet") != 0 && cover(own_config, err) < 0)
		return -1;
	if (cover(conf->dashboard.secret_file, err) < 0 ||
		cover(conf->dashboard.client_key, err) < 0)
		return -1;
	if (make_parents(conf->limits.tmp_dir, true, err) < 0)
		return err_prefix(err, "limits.tmp_dir: cannot make %s in the agents' root",
			conf->limits.tmp_dir);
	if (make_parents(ROOTFS_HOME, true, err) < 0)
		return err_prefix(err, "cannot make %s in the agents' root", ROOTFS_HOME);
	return 0;
}

static int move_in(const struct conf *conf, const struct sources *from, struct err *err)
{
	const char *staging = conf->limits.tmp_dir;

	/* Safe: no other process is in this namespace, and nothing propagates out of it.  The
	 * mount point is a directory that root's configuration names; the mount hides it in this
	 * namespace only. */
	if (mount("tmpfs", staging, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    "mode=0755,size=1m,nr_inodes=512") < 0)
		return err_sys(err, errno, "cannot mount the agents' root on %s", staging);
	if (chdir(staging) < 0)
		return err_sys(err, errno, "cannot enter the agents' root");
	if (fill(conf, from, err) < 0)
		return -1;
	if (set_attrs(".", READ_ONLY | MOUNT_ATTR_NOEXEC, false) < 0)
		return err_sys(err, errno, "cannot make the agents' root read-only");
	/* pivot_root(2), section "pivot_root(".", ".")": the old root is stacked on the new one
	 * and then unmounted with everything in it. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(err, errno, "cannot change to the agents' root (pivot_root)");
	if (umount2(".", UMOUNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(err, errno, "cannot leave the host's root");
	return 0;
}

int rootfs_enter(const struct conf *conf, int k6_fd, struct err *err)
{
	struct sources from = {.k6_fd = -1, .resolver_fd = -1};
	int rc = -1;
	mode_t old_umask = umask(022);

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, errno, "the kernel refuses a mount namespace");
	/* First of all: mounts made from here on must not propagate to the host. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(err, errno, "cannot make the mounts private");
	/* As slaves, so that an unmount on the host reaches the kept tree and no file system
	 * stays busy. */
	if (hostfs_keep(err) < 0)
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "cannot make the mounts private");
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		from.shown[i] = open(shown[i].path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	from.resolver_fd = resolver_dir(&from.resolver_path);
	if (k6_fd >= 0)
		from.k6_fd = reopen_k6(conf, k6_fd, err);
	if (k6_fd < 0 || from.k6_fd >= 0)
		rc = move_in(conf, &from, err);
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		close_fd(&from.shown[i]);
	close_fd(&from.k6_fd);
	close_fd(&from.resolver_fd);
	free(from.resolver_path);
	umask(old_umask);
	return rc;
}
