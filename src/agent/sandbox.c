/* SPDX-License-Identifier: MIT */
/* Namespaces, mounts and identity of workers.  The order of the steps matters: each comment
 * gives the reason for a step's place.  confine.c has the rules for k6 alone. */
#include "agent/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/landlock.h"
#include "agent/rootfs.h"
#include "common/log.h"
#include "common/mem.h"

#define WORKER_NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
/* The exit status of a rehearsed worker. */
enum { REHEARSAL_FINE = 0, REHEARSAL_FAILED = 1, REHEARSAL_NO_USER_NAMESPACES = 3 };
/* More files than any script needs; bounds the kernel memory that empty files use. */
#define TMP_INODES 16384

static int write_file(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* Maps only the process's own uid and gid, to themselves.  Inside the namespace the process has
 * all capabilities over what the namespace owns; outside it has no more rights than before. */
static int enter_user_namespace(struct err *err)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER) < 0)
		return err_sys(err, errno, "the kernel allows no user namespace");
	/* user_namespaces(7): setgroups must be denied before an unprivileged gid_map. */
	if (write_file("/proc/self/setgroups", "deny") < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot write /proc/self/setgroups");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (write_file("/proc/self/uid_map", map) < 0)
		return err_sys(err, errno, "cannot write /proc/self/uid_map");
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	if (write_file("/proc/self/gid_map", map) < 0)
		return err_sys(err, errno, "cannot write /proc/self/gid_map");
	return 0;
}

pid_t sandbox_clone(const struct sandbox *sb, bool share_files)
{
	unsigned long flags = SIGCHLD | (sb->level == SANDBOX_OFF ? 0 : WORKER_NAMESPACES) |
		(share_files ? CLONE_FILES : 0);

	/* The system call without a stack behaves as fork(2).  The caller has one thread, so no
	 * lock can be held for which glibc's fork() has handlers. */
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
}

static int mount_tmpfs(const struct sandbox *sb, const char *dir, int64_t bytes, struct err *err)
{
	char opts[160];
	uid_t uid = sb->as_root ? sb->agent.uid : geteuid();
	gid_t gid = sb->as_root ? sb->agent.gid : getegid();

	snprintf(opts, sizeof(opts), "mode=0700,uid=%u,gid=%u,size=%lld,nr_inodes=%d", uid, gid,
		(long long)bytes, TMP_INODES);
	/* Safe: the mount namespace belongs to this worker and nothing propagates out of it.
	 * The directory comes from root's configuration, never from a socket. */
	if (mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, opts) < 0)
		return err_sys(err, errno, "cannot mount a tmpfs on %s", dir);
	return 0;
}

/* Mounts a /proc for the new pid namespace; in the old one k6 would see the host's processes.
 * The mount options hide everything except the directories of processes that k6 may ptrace: no
 * /proc/sys, no /proc/sysrq-trigger, and not the worker, which is non-dumpable (proc(5)).  The
 * kernel refuses in a container that has masked parts of /proc: an empty directory hides as
 * much. */
static int mount_proc(struct err *err)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount("proc", "/proc", "proc", flags, "subset=pid,hidepid=ptraceable") == 0 ||
		mount("proc", "/proc", "proc", flags, NULL) == 0 ||
		mount("tmpfs", "/proc", "tmpfs", flags | MS_RDONLY, "mode=0555,size=4k") == 0)
		return 0;
	return err_sys(err, errno, "cannot cover /proc");
}

static int enter_namespaces(
	const struct sandbox *sb, const struct conf *conf, const char *name, struct err *err)
{
	/* The keeper made all mounts private when it made the agents' root, and this namespace
	 * is a copy of the keeper's: no mount propagates to the host. */
	if (mount_tmpfs(sb, conf->limits.tmp_dir, conf->limits.tmp_bytes, err) < 0 ||
		mount_tmpfs(sb, ROOTFS_HOME, conf->limits.home_bytes, err) < 0 ||
		mount_proc(err) < 0)
		return -1;
	if (sethostname(name, strlen(name)) < 0)
		return err_sys(err, errno, "cannot set the host name of %s", name);
	return 0;
}

int sandbox_enter(const struct sandbox *sb, const struct conf *conf, const char *name,
	unsigned int slot, const char **work_dir, struct err *err)
{
	*work_dir = NULL;
	if (sb->level != SANDBOX_OFF) {
		if (enter_namespaces(sb, conf, name, err) < 0)
			return -1;
		*work_dir = conf->limits.tmp_dir;
	}
	/* After the mounts, which need CAP_SYS_ADMIN, and before any process of k6. */
	if (sb->as_root && creds_become(&sb->agent, NULL, 0, err) < 0)
		return -1;
	if (creds_drop_all_caps(err) < 0)
		return -1;
	/* Non-dumpable: k6 has the same uid, and must not trace the worker or take its
	 * descriptors. */
	if (sb->level != SANDBOX_OFF && prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, errno, "cannot become non-dumpable");
	if (sb->level == SANDBOX_OFF) {
		char *dir = x_asprintf("%s/k6fleet-%u-XXXXXX", conf->limits.tmp_dir, slot);

		if (!mkdtemp(dir)) {
			err_sys(err, errno, "cannot make the directory %s", dir);
			free(dir);
			return -1;
		}
		*work_dir = dir;
	}
	/* Last: the filter forbids the steps above. */
	if ((sb->layers & SANDBOX_LAYER_SECCOMP) && filter_load(&sb->agent_filter) < 0)
		return err_sys(err, errno, "cannot load the worker's system call filter");
	return 0;
}

int sandbox_empty_dir(const char *dir, struct err *err)
{
	char *const paths[] = {(char *)(uintptr_t)dir, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV, NULL);
	FTSENT *e;
	int rc = 0;

	if (!fts)
		return err_sys(err, errno, "cannot empty %s", dir);
	while ((e = fts_read(fts)) != NULL) {
		switch (e->fts_info) {
		case FTS_D:
			/* A script may have made directories that their owner cannot list. */
			if (e->fts_level > 0 && (e->fts_statp->st_mode & 0700) != 0700 &&
				chmod(e->fts_accpath, 0700) < 0)
				rc = err_sys(err, errno, "cannot open %s", e->fts_path);
			break;
		case FTS_DP:
			if (e->fts_level > 0 && rmdir(e->fts_accpath) < 0)
				rc = err_sys(err, errno, "cannot remove %s", e->fts_path);
			break;
		case FTS_DC: break;
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS: rc = err_sys(err, e->fts_errno, "cannot empty %s", e->fts_path); break;
		default:
			if (unlink(e->fts_accpath) < 0 && errno != ENOENT)
				rc = err_sys(err, errno, "cannot remove %s", e->fts_path);
			break;
		}
	}
	fts_close(fts);
	return rc;
}

/* Moves the calling process into the agents' root, in which its workers are forked. */
static int make_cage(const struct sandbox *sb, const struct conf *conf, int k6_fd, struct err *err)
{
	if (!sb->as_root && enter_user_namespace(err) < 0)
		return -1;
	if (rootfs_enter(conf, k6_fd, err) < 0)
		return -1;
	/* An ordinary user's processes all have one uid: k6 must not be able to trace the
	 * keeper.  After the maps are written, because a non-dumpable process cannot write them. */
	if (!sb->as_root && prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, errno, "cannot become non-dumpable");
	return 0;
}

/* Does what a worker does, up to the user namespace of its k6.  Returns the exit status. */
static int rehearse_worker(const struct sandbox *sb, const struct conf *conf, struct err *err)
{
	const char *work_dir;
	int status;
	pid_t pid = sandbox_clone(sb, false);

	if (pid == 0) {
		if (sandbox_enter(sb, conf, "rehearsal", 0, &work_dir, err) < 0) {
			log_debug("sandbox", "rehearsal: %s", err->msg);
			_exit(REHEARSAL_FAILED);
		}
		_exit(unshare(CLONE_NEWUSER) == 0 ? REHEARSAL_FINE : REHEARSAL_NO_USER_NAMESPACES);
	}
	if (pid < 0) {
		err_sys(err, errno, "the kernel refuses new namespaces");
		return REHEARSAL_FAILED;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	err_set(err, "a sandboxed child died (wait status 0x%x)", (unsigned)status);
	return REHEARSAL_FAILED;
}

/* Tries all steps in a child: a keeper that failed half-way would have a root that is half made.
 * The child's error comes back in shared memory. */
static int rehearse(struct sandbox *sb, const struct conf *conf, int k6_fd, struct err *err)
{
	struct err *why =
		mmap(NULL, sizeof(*why), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid;

	if (why == MAP_FAILED)
		return err_sys(err, errno, "cannot map memory");
	pid = fork();
	if (pid == 0)
		_exit(make_cage(sb, conf, k6_fd, why) < 0 ? REHEARSAL_FAILED
							  : rehearse_worker(sb, conf, why));
	if (pid < 0) {
		err_sys(err, errno, "cannot fork");
		munmap(why, sizeof(*why));
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	why->msg[sizeof(why->msg) - 1] = '\0';
	err_set(err, "%s", why->msg[0] ? why->msg : "a sandboxed child died");
	munmap(why, sizeof(*why));
	sb->user_namespaces = WIFEXITED(status) && WEXITSTATUS(status) == REHEARSAL_FINE;
	return WIFEXITED(status) &&
			(sb->user_namespaces || WEXITSTATUS(status) == REHEARSAL_NO_USER_NAMESPACES)
		? 0
		: -1;
}

/* Returns which setting of the host forbids namespaces, as far as can be seen; static. */
static const char *advice(bool as_root)
{
	if (as_root)
		return "the container or unit that k6fleetd runs in withholds CAP_SYS_ADMIN or filters "
		       "mount(2) and clone(2)";
	if (access("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", F_OK) == 0)
		return "see sysctl kernel.apparmor_restrict_unprivileged_userns (or an AppArmor profile "
		       "with userns), user.max_user_namespaces and kernel.unprivileged_userns_clone";
	return "see sysctl user.max_user_namespaces and kernel.unprivileged_userns_clone";
}

static int build_filters(struct sandbox *sb, struct err *err)
{
	return filter_build(FILTER_AGENT, &sb->agent_filter, err) < 0 ||
			filter_build(FILTER_K6, &sb->k6_filter, err) < 0 ||
			filter_build(FILTER_PARSER, &sb->parser_filter, err) < 0
		? -1
		: 0;
}

int sandbox_resume(struct sandbox *sb, struct err *err)
{
	creds_prepare();
	if ((sb->layers & SANDBOX_LAYER_SECCOMP) && build_filters(sb, err) < 0)
		return -1;
	/* execve(2) has made the process dumpable again. */
	if (sb->level == SANDBOX_USER_NAMESPACE && prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, errno, "cannot become non-dumpable");
	return 0;
}

/* Each layer is optional: it is tried once and reported once. */
static void find_layers(struct sandbox *sb)
{
	struct err why;

	if (build_filters(sb, &why) == 0)
		sb->layers |= SANDBOX_LAYER_SECCOMP;
	else
		log_warn("sandbox", "going on without seccomp: %s", why.msg);
	sb->landlock = landlock_abi();
	if (sb->landlock > 0)
		sb->layers |= SANDBOX_LAYER_LANDLOCK;
	else
		log_warn("sandbox", "going on without landlock: %s",
			errno == EOPNOTSUPP ? "it is switched off at boot (kernel parameter lsm=)"
					    : "the kernel has none (5.13 and later do)");
}

int sandbox_check_layers(const struct sandbox *sb, const struct conf *conf, struct err *err)
{
	static const struct {
		const char *name;
		enum sandbox_layer bit;
		const char *advice;
	} layers[] = {
		{"seccomp", SANDBOX_LAYER_SECCOMP,
			"this needs a kernel with CONFIG_SECCOMP_FILTER"},
		{"landlock", SANDBOX_LAYER_LANDLOCK,
			"this needs Linux 5.13 with landlock among the kernel parameter lsm="},
		{"cgroup", SANDBOX_LAYER_CGROUP,
			"this needs cgroup v2 with the controllers memory and pids delegated to "
			"k6fleetd (Delegate=yes in its unit)"},
	};

	for (size_t i = 0; i < conf->require_layers.count; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(layers); k++) {
			if (!strcmp(conf->require_layers.items[i], layers[k].name) &&
				!(sb->layers & layers[k].bit))
				return err_set(err, "require_layers: %s is not there: %s%s",
					layers[k].name,
					sb->level == SANDBOX_OFF ? "the sandbox is off; " : "",
					layers[k].advice);
		}
	}
	return 0;
}

int sandbox_prepare(const struct conf *conf, int k6_fd, struct sandbox *sb, struct err *err)
{
	struct stat st;
	struct err why;

	*sb = (struct sandbox){.level = SANDBOX_OFF, .as_root = creds_may_change()};
	if (sb->as_root && creds_find(conf->agent_user, &sb->agent, err) < 0)
		return err_prefix(err, "agent_user");
	if (stat(conf->limits.tmp_dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, "limits.tmp_dir %s is not a directory", conf->limits.tmp_dir);
	if (!strcmp(conf->limits.tmp_dir, "/") || !strcmp(conf->limits.tmp_dir, ROOTFS_HOME))
		return err_set(err,
			"limits.tmp_dir cannot be %s; choose another directory, as /tmp",
			conf->limits.tmp_dir);
	if (conf->sandbox == CONF_SANDBOX_OFF) {
		log_warn("sandbox", "off: k6 sees all of the host that its user may see");
		return 0;
	}
	creds_prepare();
	find_layers(sb);
	sb->level = sb->as_root ? SANDBOX_NAMESPACES : SANDBOX_USER_NAMESPACE;
	if (rehearse(sb, conf, k6_fd, &why) == 0) {
		sb->layers |= SANDBOX_LAYER_NAMESPACES;
		if (!sb->user_namespaces)
			log_warn("sandbox",
				"k6 gets no user namespace of its own (%s); limits.processes is "
				"shared by all agents",
				advice(false));
		return make_cage(sb, conf, k6_fd, err);
	}
	if (conf->sandbox == CONF_SANDBOX_REQUIRE)
		return err_set(err, "sandbox = require, but %s; %s, or set sandbox = try", why.msg,
			advice(sb->as_root));
	log_warn("sandbox", "going on without namespaces: %s", why.msg);
	sb->level = SANDBOX_OFF;
	return 0;
}
