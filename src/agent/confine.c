/* SPDX-License-Identifier: MIT */
/* Runs in a child that has one thread and its own copy of the worker's memory.  Every step only
 * takes away rights. */
#include "agent/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/landlock.h"
#include "agent/rootfs.h"

#define K6_NICE 5
#define K6_OOM_SCORE "500"
#define K6_TIMER_SLACK_NS 50000UL

/* The type of a resource is an enum in glibc and an int in other C libraries. */
#ifdef __GLIBC__
typedef __rlimit_resource_t limit_name;
#else
typedef int limit_name;
#endif

static void set_limit(limit_name what, int64_t value)
{
	struct rlimit old, lim = {(rlim_t)value, (rlim_t)value};

	/* Not above the hard limit that the process has: raising that fails and would leave the
	 * limit unset. */
	if (getrlimit(what, &old) == 0 && old.rlim_max != RLIM_INFINITY &&
		lim.rlim_max > old.rlim_max)
		lim.rlim_cur = lim.rlim_max = old.rlim_max;
	setrlimit(what, &lim);
}

/* If memory runs out, the OOM killer should kill a load test before the host's services. */
static void offer_to_oom_killer(void)
{
	int fd;

	/* The /proc files of a non-dumpable process belong to root.  Safe: this is a fork with
	 * its own memory, and all processes that the last run left in this pid namespace are
	 * dead. */
	prctl(PR_SET_DUMPABLE, 1);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* A failure is ignored. */
	if (write(fd, K6_OOM_SCORE, sizeof(K6_OOM_SCORE) - 1) < 0)
		errno = 0;
	close(fd);
}

/* RLIMIT_NPROC counts the processes of a uid (getrlimit(2)), and all agents share one uid.  But
 * each user namespace has a count of its own (user_namespaces(7)).  So k6 gets a user namespace,
 * without any ids mapped, before the limit is set. */
static int count_processes_apart(const struct sandbox *sb, const struct conf *conf)
{
	if (sb->user_namespaces) {
		if (unshare(CLONE_NEWUSER) < 0)
			return -1;
		/* A new user namespace gives its first process all capabilities in it and a full
		 * bounding set. */
		creds_prepare();
		if (creds_drop_all_caps(NULL) < 0)
			return -1;
		set_limit(RLIMIT_NPROC, conf->limits.processes);
	} else if (sb->as_root) {
		set_limit(RLIMIT_NPROC, conf->limits.processes * conf->max_workers);
	}
	/* The limit would count the other processes of an ordinary user, too: his own limit
	 * stays. */
	return 0;
}

int confine_k6(const struct sandbox *sb, const struct conf *conf, const char *work_dir, int k6_fd)
{
	const char *const writable[] = {
		work_dir, sb->level == SANDBOX_OFF ? NULL : ROOTFS_HOME, NULL};

	/* With the worker's timer slack k6's sleeps would be a second late. */
	prctl(PR_SET_TIMERSLACK, K6_TIMER_SLACK_NS);
	offer_to_oom_killer();
	setpriority(PRIO_PROCESS, 0, K6_NICE);
	set_limit(RLIMIT_NOFILE, conf->limits.open_files);
	set_limit(RLIMIT_FSIZE, conf->limits.file_bytes);
	set_limit(RLIMIT_CORE, conf->limits.core_bytes);
	if (conf->limits.cpu_time_ms)
		set_limit(RLIMIT_CPU, (conf->limits.cpu_time_ms + 999) / 1000);
	if (count_processes_apart(sb, conf) < 0)
		return -1;
	set_limit(RLIMIT_DATA, conf->limits.memory_bytes);
	/* A change of credentials clears PDEATHSIG (prctl(2)), so it is set after all such
	 * changes. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	if ((sb->layers & SANDBOX_LAYER_LANDLOCK) &&
		landlock_confine(sb->landlock, writable, k6_fd) < 0)
		return -1;
	if ((sb->layers & SANDBOX_LAYER_SECCOMP) && filter_load(&sb->k6_filter) < 0)
		return -1;
	return 0;
}

void confine_exec(int k6_fd, char *const argv[], char *const envp[])
{
	if (k6_fd < 0)
		execve(ROOTFS_K6, argv, envp);
	else
		/* The path may lead through a directory that only root may search, or lie
		 * outside this root. */
		syscall(SYS_execveat, k6_fd, "", argv, envp, AT_EMPTY_PATH);
}

const char *confine_home(const struct sandbox *sb)
{
	return sb->level == SANDBOX_OFF ? "/nonexistent" : ROOTFS_HOME;
}
