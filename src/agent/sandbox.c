/* SPDX-License-Identifier: MIT */
/* Namespaces, mounts, limits and identity of workers.  Order matters everywhere here: each
 * comment says why a step may stand where it stands. */
#include "agent/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"

#define WORKER_NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
#define K6_NICE 5
#define K6_OOM_SCORE "500"
#define K6_TIMER_SLACK_NS 50000UL
/* One file a KiB would already be absurd for a script; this bounds the kernel memory that
 * empty files cost. */
#define TMP_INODES 16384

const char *sandbox_level_name(enum sandbox_level level)
{
	switch (level) {
	case SANDBOX_NAMESPACES: return "namespaces";
	case SANDBOX_USER_NAMESPACE: return "user-namespace";
	case SANDBOX_OFF: break;
	}
	return "off";
}

static int write_file(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* Maps exactly our own uid and gid to themselves: inside we have all capabilities over what the
 * namespace owns, outside nothing more than before. */
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

pid_t sandbox_clone(const struct sandbox *sb)
{
	unsigned long flags = SIGCHLD | (sb->level == SANDBOX_OFF ? 0 : WORKER_NAMESPACES);

	/* The raw call without a stack behaves as fork(2); the caller has a single thread, so
	 * nothing that glibc's fork() handlers guard can be locked. */
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
}

static int mount_tmpfs(const struct sandbox *sb, const char *dir, int64_t bytes, struct err *err)
{
	char opts[160];
	uid_t uid = sb->as_root ? sb->agent.uid : geteuid();
	gid_t gid = sb->as_root ? sb->agent.gid : getegid();

	snprintf(opts, sizeof(opts), "mode=0700,uid=%u,gid=%u,size=%lld,nr_inodes=%d", uid, gid,
		(long long)bytes, TMP_INODES);
	/* Safe: the mount namespace is this worker's alone and nothing is propagated out of it; the
	 * directory is root's configuration, never a name that came in over a socket. */
	if (mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, opts) < 0)
		return err_sys(err, errno, "cannot mount a tmpfs on %s", dir);
	return 0;
}

static int enter_namespaces(
	const struct sandbox *sb, const struct conf *conf, const char *name, struct err *err)
{
	/* First of all: what is mounted from here on must never reach the host's table. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "cannot make the mounts private");
	if (mount_tmpfs(sb, conf->limits.tmp_dir, conf->limits.tmp_bytes, err) < 0)
		return -1;
	/* The new pid namespace needs its own /proc, else k6 would see the host's processes.  Where
	 * a container has masked parts of /proc the kernel refuses; an empty one hides as much. */
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 &&
		mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
			"mode=0555,size=4k") < 0)
		return err_sys(err, errno, "cannot cover /proc");
	if (sethostname(name, strlen(name)) < 0)
		return err_sys(err, errno, "cannot set the host name of %s", name);
	return 0;
}

int sandbox_enter(const struct sandbox *sb, const struct conf *conf, const char *name,
	unsigned int slot, char **work_dir, struct err *err)
{
	*work_dir = NULL;
	if (sb->level != SANDBOX_OFF) {
		if (enter_namespaces(sb, conf, name, err) < 0)
			return -1;
		*work_dir = x_strdup(conf->limits.tmp_dir);
	}
	/* Identity after the mounts, which need CAP_SYS_ADMIN, and before anything of k6's. */
	if (sb->as_root && creds_become(&sb->agent, NULL, 0, err) < 0)
		return -1;
	if (creds_drop_all_caps(err) < 0)
		return -1;
	/* Non-dumpable: k6 has the same uid and must not trace us or take our descriptors. */
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
	return 0;
}

static void set_limit(__rlimit_resource_t what, int64_t value)
{
	struct rlimit old, lim = {(rlim_t)value, (rlim_t)value};

	/* Never above the hard limit that we were given: raising it would fail and leave no limit. */
	if (getrlimit(what, &old) == 0 && old.rlim_max != RLIM_INFINITY &&
		lim.rlim_max > old.rlim_max)
		lim.rlim_cur = lim.rlim_max = old.rlim_max;
	setrlimit(what, &lim);
}

int sandbox_confine_k6(const struct sandbox *sb, const struct conf *conf)
{
	int fd;

	/* prctl(2): cleared by a change of credentials, so it comes after all of them. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	/* k6 must not inherit the worker's coarse timers: its sleeps would be a second late. */
	prctl(PR_SET_TIMERSLACK, K6_TIMER_SLACK_NS);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		/* When memory runs out a load test goes first, not the host's services. */
		if (write(fd, K6_OOM_SCORE, sizeof(K6_OOM_SCORE) - 1) < 0)
			errno = 0;
		close(fd);
	}
	setpriority(PRIO_PROCESS, 0, K6_NICE);
	set_limit(RLIMIT_DATA, conf->limits.memory_bytes);
	set_limit(RLIMIT_NOFILE, conf->limits.open_files);
	set_limit(RLIMIT_FSIZE, conf->limits.file_bytes);
	set_limit(RLIMIT_CORE, conf->limits.core_bytes);
	if (conf->limits.cpu_time_ms)
		set_limit(RLIMIT_CPU, (conf->limits.cpu_time_ms + 999) / 1000);
	/* Counted per uid, and all agents share one: getrlimit(2).  Ordinary users' other processes
	 * count too, so there it is left to the user's own limit. */
	if (sb->as_root)
		set_limit(RLIMIT_NPROC, conf->limits.processes * conf->max_workers);
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
			/* A script may have made directories that not even their owner may list. */
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

/* Tries the whole way down in a child that does nothing else. */
static int rehearse(const struct sandbox *sb, const struct conf *conf, struct err *err)
{
	int pipefd[2], status;
	struct err why = {0};
	char *work_dir;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	pid = sandbox_clone(sb);
	if (pid == 0) {
		if (sandbox_enter(sb, conf, "rehearsal", 0, &work_dir, &why) == 0)
			_exit(0);
		if (write(pipefd[1], why.msg, strlen(why.msg)) < 0)
			_exit(2);
		_exit(1);
	}
	int saved = errno;
	close(pipefd[1]);
	if (pid < 0) {
		close(pipefd[0]);
		return err_sys(err, saved, "the kernel refuses new namespaces");
	}
	n = read(pipefd[0], why.msg, sizeof(why.msg) - 1);
	close(pipefd[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (n > 0)
		return err_set(err, "%s", why.msg);
	return err_set(err, "a sandboxed child died (wait status 0x%x)", (unsigned)status);
}

/* Which switch of the host forbids it, as far as it can be told. */
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

int sandbox_prepare(const struct conf *conf, struct sandbox *sb, struct err *err)
{
	struct stat st;
	struct err why;
	int rc;

	*sb = (struct sandbox){.level = SANDBOX_OFF, .as_root = geteuid() == 0};
	if (sb->as_root && creds_find(conf->agent_user, &sb->agent, err) < 0)
		return err_prefix(err, "agent_user");
	if (stat(conf->limits.tmp_dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, "limits.tmp_dir %s is not a directory", conf->limits.tmp_dir);
	if (conf->sandbox == CONF_SANDBOX_OFF)
		return 0;
	sb->level = sb->as_root ? SANDBOX_NAMESPACES : SANDBOX_USER_NAMESPACE;
	rc = sb->as_root ? 0 : enter_user_namespace(&why);
	if (rc == 0)
		rc = rehearse(sb, conf, &why);
	if (rc == 0) {
		sb->layers |= SANDBOX_LAYER_NAMESPACES;
		return 0;
	}
	if (conf->sandbox == CONF_SANDBOX_REQUIRE)
		return err_set(err, "sandbox = require, but %s; %s, or set sandbox = try", why.msg,
			advice(sb->as_root));
	log_warn("sandbox", "unavailable, going on without: %s", why.msg);
	sb->level = SANDBOX_OFF;
	return 0;
}
