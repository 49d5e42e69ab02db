/* SPDX-License-Identifier: MIT */
/*
 * A hostile stand-in for k6: it attempts everything that a run must not be able to do, and prints
 * the result of each attempt on stderr, which becomes the run's log: "NAME ok" or "NAME ERRNO".
 * PROBE_MODE in its environment selects the attempts; k6.env of the configuration sets it.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef HAVE_STRERRORNAME_NP
static const char *strerrorname_np(int code)
{
	return strerror(code);
}
#endif

static void say(const char *name, long rc)
{
	fprintf(stderr, "%s %s\n", name, rc >= 0 ? "ok" : strerrorname_np(errno));
}

static void try_open(const char *name, const char *path, int flags)
{
	int fd = path ? open(path, flags | O_CLOEXEC, 0600) : (errno = ENOENT, -1);

	say(name, fd);
	if (fd >= 0)
		close(fd);
}

static void try_calls(void)
{
	char buf[256] = {0};
	struct iovec iov = {buf, sizeof(buf)};
	struct rlimit lim = {0, 0};
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	say("mount", mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
	say("bind", mount("/", "/tmp", NULL, MS_BIND, NULL));
	say("remount", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	say("umount", umount2("/proc", MNT_DETACH));
	say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	say("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	say("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
	say("chroot", chroot("/tmp"));
	say("unshare_user", unshare(CLONE_NEWUSER));
	say("unshare_mnt", unshare(CLONE_NEWNS));
	say("unshare_net", unshare(CLONE_NEWNET));
	say("setns", setns(0, 0));
	say("clone_user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
	say("clone_pid", syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL));
	say("clone3", syscall(SYS_clone3, NULL, 0));
	say("ptrace", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	say("ptrace_seize", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
	say("vm_readv", process_vm_readv(1, &iov, 1, &iov, 1, 0));
	say("vm_writev", process_vm_writev(1, &iov, 1, &iov, 1, 0));
	say("pidfd_open", syscall(SYS_pidfd_open, 1, 0));
	say("kcmp", syscall(SYS_kcmp, 1, 1, 0, 0, 0));
	say("setuid", setuid(0));
	say("setgid", setgid(0));
	say("setresuid", setresuid(0, 0, 0));
	say("setgroups", syscall(SYS_setgroups, 0, NULL));
	say("bpf", syscall(SYS_bpf, 0, buf, sizeof(buf)));
	say("perf", syscall(SYS_perf_event_open, buf, 0, -1, -1, 0));
	say("userfaultfd", syscall(SYS_userfaultfd, 0));
	say("io_uring", syscall(SYS_io_uring_setup, 8, buf));
	say("keyctl", syscall(SYS_keyctl, 0, -3, 0));
	say("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
	say("module", syscall(SYS_init_module, buf, sizeof(buf), ""));
	say("delete_module", syscall(SYS_delete_module, "x", 0));
	say("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	say("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
	say("swapon", syscall(SYS_swapon, "/tmp", 0));
	say("syslog", syscall(SYS_syslog, 3, buf, sizeof(buf)));
	say("sethostname", sethostname("evil", 4));
	say("settime", syscall(SYS_clock_settime, 0, buf));
	say("acct", syscall(SYS_acct, NULL));
	say("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
	say("handle", syscall(SYS_open_by_handle_at, 3, buf, 0));
	say("mknod", mknod("/tmp/mem", S_IFCHR | 0666, makedev(1, 1)));
	say("fanotify", syscall(SYS_fanotify_init, 0, 0));
#ifdef SYS_iopl
	say("iopl", syscall(SYS_iopl, 3));
#endif
	say("tiocsti", ioctl(0, TIOCSTI, "x"));
	say("prlimit_init", prlimit(1, RLIMIT_CPU, &lim, NULL));
	say("priority_init", setpriority(PRIO_PROCESS, 1, 19));
	say("priority_user", setpriority(PRIO_USER, 0, 19));
	say("affinity_init", sched_setaffinity(1, sizeof(cpus), &cpus));
	say("socket_packet", socket(AF_PACKET, SOCK_RAW, 0));
	say("socket_raw", socket(AF_INET, SOCK_RAW, 1));
	say("socket_vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	say("socket_alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
	say("socket_tcp", socket(AF_INET, SOCK_STREAM, 0));
	/* The kernel accepts a signal that pid 1 ignores; the test checks that the worker lives. */
	kill(1, SIGKILL);
	kill(1, SIGSTOP);
	kill(1, SIGTERM);
	kill(1, SIGCHLD);
}

static void try_files(void)
{
	static const char *const readable[] = {"/etc/shadow", "/etc/gshadow", "/etc/sudoers",
		"/etc/k6fleet", "/etc/ssl/private", "/root", "/var", "/var/lib", "/run", "/sys",
		"/sys/kernel", "/boot", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/tty",
		"/proc/1/environ", "/proc/1/mem", "/proc/1/maps", "/proc/1/fd", "/proc/1/root",
		"/proc/1/cwd", "/proc/kcore", "/proc/kallsyms", "/proc/kmsg",
		"/proc/sysrq-trigger"};
	static const char *const writable[] = {"/x", "/usr/x", "/etc/x", "/etc/hosts", "/home/x",
		"/dev/x", "/proc/x", "/bin/sh", "/k6", "/proc/sysrq-trigger",
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/sys/x", "/.none"};
	char name[300];

	for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++) {
		snprintf(name, sizeof(name), "read:%s", readable[i]);
		try_open(name, readable[i], O_RDONLY);
	}
	for (size_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++) {
		snprintf(name, sizeof(name), "write:%s", writable[i]);
		try_open(name, writable[i], O_WRONLY | O_CREAT);
	}
	try_open("state", getenv("PROBE_STATE"), O_RDONLY);
	try_open("config", getenv("PROBE_CONFIG"), O_RDONLY);
	try_open("devnull", "/dev/null", O_WRONLY);
	try_open("tmp", "/tmp/mine", O_WRONLY | O_CREAT);
	snprintf(name, sizeof(name), "%s/mine", getenv("HOME"));
	try_open("home", name, O_WRONLY | O_CREAT);
}

static int connect_unix(const char *path, size_t len)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(addr.sun_path, path, len);
	return connect(fd, (struct sockaddr *)&addr,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static void try_sockets(void)
{
	const char *control = getenv("PROBE_SOCKET"), *abstract = getenv("PROBE_ABSTRACT");
	char name[100] = {0};

	if (control)
		say("control_socket", connect_unix(control, strlen(control) + 1));
	if (abstract) {
		snprintf(name + 1, sizeof(name) - 1, "%s", abstract);
		say("abstract_socket", connect_unix(name, strlen(abstract) + 1));
	}
}

static void try_exec(void)
{
	char name[] = "x", *const argv[] = {name, NULL}, *const envp[] = {NULL};
	int fd = open("/tmp/program", O_WRONLY | O_CREAT | O_TRUNC, 0700);
	static const char text[] = "#!/bin/sh\nexit 0\n";

	if (fd < 0 || write(fd, text, sizeof(text) - 1) < 0 || fchmod(fd, 04755) < 0)
		say("make_program", -1);
	close(fd);
	execve("/tmp/program", argv, envp);
	say("exec_tmp", -1);
}

static void describe(void)
{
	char line[512], host[100] = {0};
	FILE *f = fopen("/proc/self/status", "re");
	DIR *d;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs", 10) ||
			!strncmp(line, "Seccomp:", 8))
			fprintf(stderr, "%s", line);
	}
	if (f)
		fclose(f);
	gethostname(host, sizeof(host) - 1);
	fprintf(stderr, "hostname %s\nHOME %s\n", host, getenv("HOME"));
	/* Lists every other process that is visible in /proc. */
	d = opendir("/proc");
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && atoi(e->d_name) != getpid())
			fprintf(stderr, "sees-pid %s\n", e->d_name);
	}
	if (d)
		closedir(d);
	for (int fd = 0; fd < 1024; fd++) {
		char path[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, line, sizeof(line) - 1);
		if (n > 0)
			fprintf(stderr, "fd %d %.*s\n", fd, (int)n, line);
	}
}

static void fill(const char *dir)
{
	static char block[65536];
	char name[300];
	int fd;

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "%s/d%d", dir, i);
		if (mkdir(name, i % 2 ? 0700 : 0) < 0) {
			fprintf(stderr, "files:%s %s after %d\n", dir, strerrorname_np(errno), i);
			break;
		}
		if (i == 1000)
			break;
	}
	snprintf(name, sizeof(name), "%s/bytes", dir);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	fprintf(stderr, "bytes:%s %s\n", dir, strerrorname_np(errno));
	close(fd);
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "%s/f%d", dir, i);
		fd = open(name, O_WRONLY | O_CREAT, 0600);
		if (fd < 0) {
			fprintf(stderr, "inodes:%s %s\n", dir, strerrorname_np(errno));
			break;
		}
		close(fd);
	}
}

static int count_files(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	const char *mode = getenv("PROBE_MODE");

	if (argc > 1 && !strcmp(argv[1], "version")) {
		puts("k6 v2.2.0 (probe)");
		return 0;
	}
	setvbuf(stderr, NULL, _IOFBF, 65536);
	if (!mode || !strcmp(mode, "attempts")) {
		describe();
		try_calls();
		try_files();
		try_sockets();
		try_exec();
		fprintf(stderr, "finished\n");
	} else if (!strcmp(mode, "forkbomb")) {
		int most = 0;

		while (most < 20000 && fork() >= 0)
			most++;
		if (most > 0)
			fprintf(stderr, "forkbomb %s\n", strerrorname_np(errno));
		fflush(stderr);
		for (;;)
			pause();
	} else if (!strcmp(mode, "daemon")) {
		if (fork() == 0) {
			setsid();
			if (fork() == 0) {
				signal(SIGTERM, SIG_IGN);
				signal(SIGHUP, SIG_IGN);
				for (int fd = 0; fd < 1024; fd++)
					close(fd);
				execl("/bin/sleep", "sleep", getenv("PROBE_SLEEP"), NULL);
			}
			_exit(0);
		}
		wait(NULL);
		fprintf(stderr, "daemonised\n");
	} else if (!strcmp(mode, "fill")) {
		fprintf(stderr, "before %d %d\n", count_files("/tmp"), count_files(getenv("HOME")));
		fill("/tmp");
		fill(getenv("HOME"));
		fprintf(stderr, "filled\n");
	} else if (!strcmp(mode, "junk")) {
		static char junk[4096];

		memset(junk, 0xff, sizeof(junk));
		for (int fd = 0; fd < 4096; fd++) {
			for (int i = 0; i < 3; i++) {
				if (write(fd, junk, sizeof(junk)) < 0 &&
					send(fd, junk, sizeof(junk), MSG_DONTWAIT) < 0)
					break;
			}
		}
	} else if (!strcmp(mode, "killall")) {
		kill(-1, SIGTERM);
		kill(-1, SIGKILL);
	} else if (!strcmp(mode, "deaf")) {
		sigset_t all;

		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		for (;;)
			pause();
	} else if (!strcmp(mode, "sockets")) {
		int n = 0;

		while (n < 100000 && socket(AF_INET, SOCK_STREAM, 0) >= 0)
			n++;
		fprintf(stderr, "sockets %d %s\n", n, strerrorname_np(errno));
	} else if (!strcmp(mode, "memory")) {
		size_t mib = 0;

		for (char *p; mib < 100000 && (p = malloc(1 << 20)); mib++)
			memset(p, 1, 1 << 20);
		fprintf(stderr, "memory %zu %s\n", mib, strerrorname_np(errno));
	}
	fflush(stderr);
	return 0;
}
