/* SPDX-License-Identifier: MIT */
/*
 * The filters are allowlists.  A call that no list names returns ENOSYS, as on an older kernel,
 * so that a library that tries a new call first falls back to the old one.  A call that only a
 * hostile program makes returns EPERM.  The only file that knows libseccomp.
 */
#include "common/filter.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/mem.h"

/* A program of BPF has at most 4096 instructions of 8 bytes (BPF_MAXINSNS). */
#define FILTER_MAX_BYTES 32768

/* Without CLONE_NEWTIME (0x80): for clone(2) that bit belongs to the signal number. */
#define NAMESPACE_FLAGS \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		CLONE_NEWPID | CLONE_NEWNET)

/* clang-format off */
/* Memory, open files, time, signals to oneself. */
static const char *const basic[] = {
	"read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2",
	"close", "close_range", "fstat", "lseek", "_llseek", "poll", "ppoll", "select", "_newselect", "pselect6",
	"mmap", "mmap2", "munmap", "mprotect", "mremap", "madvise", "msync", "mincore", "brk", "mlock", "mlock2",
	"munlock", "membarrier", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "rt_sigpending",
	"rt_sigtimedwait", "rt_sigsuspend", "sigaltstack", "restart_syscall", "pause", "nanosleep",
	"clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getitimer",
	"setitimer", "alarm", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
	"timerfd_create", "timerfd_settime", "timerfd_gettime", "epoll_create", "epoll_create1", "epoll_ctl",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd", "signalfd4", "pipe", "pipe2",
	"dup", "dup2", "dup3", "fcntl", "fcntl64", "flock", "futex", "futex_waitv", "set_robust_list",
	"get_robust_list", "set_tid_address", "set_thread_area", "arch_prctl", "rseq", "sched_yield", "sched_getaffinity",
	"sched_getscheduler", "sched_getparam", "sched_getattr", "sched_get_priority_max",
	"sched_get_priority_min", "getcpu", "getpid", "gettid", "getppid", "getpgrp", "getpgid", "getsid", "getuid",
	"geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget", "uname", "sysinfo",
	"getrlimit", "ugetrlimit", "getrusage", "getpriority", "ioprio_get", "getrandom", "prctl", "tgkill", "tkill", "kill",
	"exit", "exit_group", "umask",
};

static const char *const files[] = {
	"open", "openat", "openat2", "creat", "stat", "stat64", "lstat", "lstat64", "fstat64", "newfstatat", "fstatat64",
	"statx", "access", "faccessat", "faccessat2", "getcwd", "chdir", "fchdir", "getdents", "getdents64", "readlink",
	"readlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "link", "linkat", "unlink",
	"unlinkat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown",
	"fchown", "fchownat", "truncate", "ftruncate", "ftruncate64", "fallocate", "fadvise64", "readahead", "fsync",
	"fdatasync", "syncfs", "sync_file_range", "copy_file_range", "sendfile", "sendfile64", "splice", "tee", "statfs",
	"statfs64", "fstatfs", "fstatfs64", "utime", "utimes", "utimensat", "futimesat", "memfd_create",
	"inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "getxattr", "lgetxattr", "fgetxattr",
	"listxattr", "llistxattr", "flistxattr",
};

static const char *const network[] = {
	"socketpair", "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername", "setsockopt",
	"getsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown",
};

static const char *const processes[] = {
	"fork", "vfork", "execve", "execveat", "wait4", "waitid", "waitpid", "setpgid", "setsid", "setrlimit", "capset",
};

/* The process that becomes k6 confines itself with these calls, between fork and exec. */
static const char *const cage[] = {
	"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
};

static const char *const parser[] = {
	"read", "write", "fstat", "newfstatat", "lseek", "munmap", "mremap", "madvise", "brk", "close", "futex",
	"rt_sigreturn", "rt_sigprocmask", "clock_gettime", "gettimeofday", "getpid", "gettid", "exit", "exit_group",
	"sched_yield", "sigaltstack", "restart_syscall",
};

/* These return EPERM.  None of them is in a list above. */
static const char *const forbidden[] = {
	"mount", "umount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick",
	"pivot_root", "chroot", "setns", "unshare", "sethostname", "setdomainname", "swapon", "swapoff", "reboot",
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp",
	"pidfd_open", "pidfd_getfd", "pidfd_send_signal", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
	"io_uring_enter", "io_uring_register", "add_key", "request_key", "keyctl", "kexec_load", "kexec_file_load",
	"init_module", "finit_module", "delete_module", "create_module", "query_module", "acct", "quotactl",
	"quotactl_fd", "syslog", "iopl", "ioperm", "modify_ldt", "vm86", "vm86old", "personality", "mknod", "mknodat",
	"open_by_handle_at", "name_to_handle_at", "fanotify_init", "fanotify_mark", "lookup_dcookie",
	"settimeofday", "stime", "clock_settime", "clock_adjtime", "adjtimex", "setuid", "setgid", "setreuid",
	"setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "vhangup", "nfsservctl", "mbind",
	"migrate_pages", "move_pages", "set_mempolicy", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "memfd_secret",
	"setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr",
};
/* clang-format on */

struct builder {
	scmp_filter_ctx ctx;
	uint32_t otherwise; /* the action for calls without a rule */
	int rc;             /* the first error */
};

/* Adds a rule for one call, with up to two conditions on its arguments. */
static void rule(struct builder *b, uint32_t action, int nr, unsigned int n,
	const struct scmp_arg_cmp *conditions)
{
	int rc;

	/* Another architecture may lack the call, and an old libseccomp may not know its name:
	 * it gets the action of calls without a rule.  libseccomp refuses a rule with that same
	 * action. */
	if (nr < 0 || action == b->otherwise)
		return;
	rc = seccomp_rule_add_array(b->ctx, action, nr, n, conditions);
	if (rc < 0 && b->rc == 0)
		b->rc = rc;
}

static void allow_if(struct builder *b, int nr, struct scmp_arg_cmp condition)
{
	rule(b, SCMP_ACT_ALLOW, nr, 1, &condition);
}

static void refuse_if(struct builder *b, int nr, int errnum, struct scmp_arg_cmp condition)
{
	rule(b, SCMP_ACT_ERRNO((uint32_t)errnum), nr, 1, &condition);
}

static void name_all(struct builder *b, uint32_t action, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rule(b, action, seccomp_syscall_resolve_name(names[i]), 0, NULL);
}

#define ALLOW(b, list) name_all(b, SCMP_ACT_ALLOW, list, ARRAY_SIZE(list))
#define FORBID(b, list) name_all(b, SCMP_ACT_ERRNO(EPERM), list, ARRAY_SIZE(list))

/* Allows the families that a load test or a name look-up uses: no packet, vsock, alg or
 * bluetooth. */
static void allow_sockets(struct builder *b)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		allow_if(b, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	refuse_if(b, SCMP_SYS(socket), EAFNOSUPPORT, SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
	ALLOW(b, network);
}

/* clone3(2) passes its flags in memory, which a filter cannot read: with ENOSYS libc and Go use
 * clone(2), whose flags are an argument. */
static void allow_clone(struct builder *b, bool threads_only)
{
	static const scmp_datum_t flags[] = {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS,
		CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET};
	scmp_datum_t want = threads_only ? CLONE_THREAD : 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		refuse_if(
			b, SCMP_SYS(clone), EPERM, SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
	allow_if(b, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, NAMESPACE_FLAGS | want, want));
	rule(b, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
}

/* Allows calls with a pid only for the process itself: k6 has its worker's uid and could set a
 * CPU limit of 0 for the worker. */
static void allow_on_self(struct builder *b)
{
	static const int by_pid[] = {SCMP_SYS(prlimit64), SCMP_SYS(sched_setaffinity),
		SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_setparam), SCMP_SYS(sched_setattr)};
	const struct scmp_arg_cmp own_nice[] = {
		SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS), SCMP_A1(SCMP_CMP_EQ, 0)};
	/* 1 is IOPRIO_WHO_PROCESS, ioprio_set(2); no header has it. */
	const struct scmp_arg_cmp own_ioprio[] = {SCMP_A0(SCMP_CMP_EQ, 1), SCMP_A1(SCMP_CMP_EQ, 0)};

	for (size_t i = 0; i < ARRAY_SIZE(by_pid); i++) {
		allow_if(b, by_pid[i], SCMP_A0(SCMP_CMP_EQ, 0));
		refuse_if(b, by_pid[i], EPERM, SCMP_A0(SCMP_CMP_NE, 0));
	}
	rule(b, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 2, own_nice);
	rule(b, SCMP_ACT_ALLOW, SCMP_SYS(ioprio_set), 2, own_ioprio);
	refuse_if(b, SCMP_SYS(setpriority), EPERM, SCMP_A0(SCMP_CMP_NE, PRIO_PROCESS));
	refuse_if(b, SCMP_SYS(setpriority), EPERM, SCMP_A1(SCMP_CMP_NE, 0));
	refuse_if(b, SCMP_SYS(ioprio_set), EPERM, SCMP_A0(SCMP_CMP_NE, 1));
	refuse_if(b, SCMP_SYS(ioprio_set), EPERM, SCMP_A1(SCMP_CMP_NE, 0));
}

/* An allowlist, too: no request that types into a terminal or configures a device. */
static void allow_ioctl(struct builder *b)
{
	static const scmp_datum_t requests[] = {FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TCGETS,
		TIOCGWINSZ, TIOCGPGRP, TIOCSPGRP, TIOCOUTQ, SIOCGIFCONF, SIOCGIFNAME, SIOCGIFINDEX,
		SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFNETMASK, SIOCGIFMTU};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		allow_if(b, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
}

/* The rules that a worker and k6 have in common. */
static void allow_agent(struct builder *b)
{
	ALLOW(b, basic);
	ALLOW(b, files);
	ALLOW(b, processes);
	allow_sockets(b);
	allow_clone(b, false);
	allow_on_self(b);
	allow_ioctl(b);
}

/* Every worker loads this filter at its start, so it is short: all other calls return EPERM
 * without a rule.  If two filters forbid a call, the error of the later one counts (seccomp(2)),
 * which is k6's. */
static void build_agent(struct builder *b)
{
	allow_agent(b);
	ALLOW(b, cage);
	allow_if(b, SCMP_SYS(unshare), SCMP_A0(SCMP_CMP_EQ, CLONE_NEWUSER));
}

static void build_k6(struct builder *b)
{
	allow_agent(b);
	FORBID(b, forbidden);
	FORBID(b, cage);
}

static void build_supervisor(struct builder *b)
{
	ALLOW(b, basic);
	ALLOW(b, files);
	allow_sockets(b);
	allow_clone(b, true);
	allow_on_self(b);
	allow_ioctl(b);
	FORBID(b, forbidden);
	FORBID(b, cage);
	FORBID(b, processes);
}

static void build_parser(struct builder *b)
{
	ALLOW(b, parser);
	/* Memory without execution. */
	allow_if(b, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	allow_if(b, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int build(enum filter_kind kind, int fd)
{
	static const struct {
		void (*build)(struct builder *b);
		uint32_t otherwise;
	} kinds[FILTER_KINDS] = {
		[FILTER_SUPERVISOR] = {build_supervisor, SCMP_ACT_ERRNO(ENOSYS)},
		[FILTER_AGENT] = {build_agent, SCMP_ACT_ERRNO(EPERM)},
		[FILTER_K6] = {build_k6, SCMP_ACT_ERRNO(ENOSYS)},
		[FILTER_PARSER] = {build_parser, SCMP_ACT_KILL_PROCESS},
	};
	struct builder b = {.otherwise = kinds[kind].otherwise};

	b.ctx = seccomp_init(b.otherwise);
	if (!b.ctx)
		return -ENOMEM;
	/* A binary tree, so that the cost of a call does not grow with the number of rules. */
	b.rc = seccomp_attr_set(b.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	kinds[kind].build(&b);
	if (b.rc == 0)
		b.rc = seccomp_export_bpf(b.ctx, fd);
	seccomp_release(b.ctx);
	return b.rc;
}

int filter_build(enum filter_kind kind, struct filter *out, struct err *err)
{
	_cleanup_fd_ int fd = memfd_create("k6fleet-filter", MFD_CLOEXEC);
	int status = 0;
	size_t size = 0;
	pid_t pid;

	*out = (struct filter){0};
	if (fd < 0 || prctl(PR_GET_SECCOMP) < 0)
		return err_sys(err, errno, fd < 0 ? "memfd_create" : "the kernel has no seccomp");
	/* In a child: libseccomp fragments the heap, and workers are forks of this process. */
	pid = fork();
	if (pid == 0)
		_exit(-build(kind, fd) & 0xff);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		return err_sys(err, errno, "cannot make a system call filter");
	if (status != 0)
		return err_sys(err, WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT,
			"libseccomp cannot make a filter");
	out->code = (struct sock_filter *)fdio_read_all(
		fd, "the system call filter", FILTER_MAX_BYTES, &size, err);
	out->len = size / sizeof(*out->code);
	return out->code ? 0 : -1;
}

void filter_free(struct filter *f)
{
	free(f->code);
	*f = (struct filter){0};
}

int filter_load(const struct filter *f)
{
	const struct sock_fprog prog = {(unsigned short)f->len, f->code};

	/* SECCOMP_SET_MODE_FILTER is 1: seccomp(2). */
	return (int)syscall(SYS_seccomp, 1, 0, &prog);
}

int filter_confine_self(enum filter_kind kind, struct err *err)
{
	struct filter filter;
	int rc;

	if (filter_build(kind, &filter, err) < 0) {
		if (err)
			err->code = ERR_UNSUPPORTED;
		return -1;
	}
	rc = filter_load(&filter);
	if (rc < 0)
		err_sys(err, errno, "cannot load the system call filter");
	filter_free(&filter);
	return rc;
}
