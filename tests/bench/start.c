/* SPDX-License-Identifier: MIT */
/*
 * Measures the start of a sandboxed worker, and the least time that the kernel needs for a child in
 * mount, pid, ipc and uts namespaces with a tmpfs.  Both are measured in turns in the same run,
 * because such times cannot be compared between machines.  Run as root: make bench.
 *
 * usage: start CONFIG [CHILDREN [ROUNDS]]
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "common/hb.h"
#include "common/log.h"
#include "common/mem.h"
#include "keeper/children.h"
#include "keeper/privs.h"

#define FLOOR_FLAGS (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD)

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* A dead child would never report: the bench then ends without a number instead of waiting for
 * ever. */
static void await(volatile const void *flag, size_t size, double start_us)
{
	static const char zero[8];

	while (!memcmp((const void *)(uintptr_t)flag, zero, size)) {
		if (now_us() - start_us > 60e6)
			fatal(1, "a child did not come up within a minute");
		usleep(50);
	}
}

/* Returns the microseconds per child, from the first clone to the last child's message. */
static double run_floor(int children)
{
	volatile char *up = mmap(
		NULL, (size_t)children, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t *pids = x_calloc((size_t)children, sizeof(*pids));
	double start = now_us(), end;

	for (int i = 0; i < children; i++) {
		pids[i] = (pid_t)syscall(SYS_clone, FLOOR_FLAGS, NULL, NULL, NULL, NULL);
		if (pids[i] == 0) {
			if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") < 0)
				_exit(1);
			up[i] = 1;
			pause();
		}
		if (pids[i] < 0)
			fatal(1, "clone: %s", strerror(errno));
	}
	for (int i = 0; i < children; i++) {
		await(&up[i], 1, start);
	}
	end = now_us();
	for (int i = 0; i < children; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < children; i++)
		reap(pids[i]);
	free(pids);
	munmap((void *)(uintptr_t)up, (size_t)children);
	return (end - start) / children;
}

static double run_workers(
	const struct conf *conf, const struct sandbox *sb, const struct k6bin *k6, int children)
{
	struct children c;
	struct err err;
	int hb_fd = hb_create((unsigned)children, &err);
	const struct children_config config = {.conf = conf,
		.sandbox = sb,
		.cgroup = {.base_fd = -1},
		.hb_fd = hb_fd,
		.k6 = *k6,
		.lifeline = {-1, -1}};
	const uint8_t *pages;
	double start, end;

	if (hb_fd < 0 || children_init(&c, &config, &err) < 0)
		fatal(1, "%s", err.msg);
	pages = hb_map_all(hb_fd, (unsigned)children, &err);
	start = now_us();
	for (int i = 0; i < children; i++) {
		if (children_spawn(&c, (unsigned)i, 1, 0, &err) < 0)
			fatal(1, "%s", err.msg);
	}
	for (int i = 0; i < children; i++) {
		const volatile struct hb_page *p =
			(const void *)(pages + (size_t)i * HB_PAGE_BYTES);

		await(&p->beat_mono_ms, sizeof(p->beat_mono_ms), start);
	}
	end = now_us();
	children_kill_all(&c);
	for (int i = 0; i < children; i++)
		reap(c.slots[i].pid);
	children_free(&c);
	close(c.lifeline[0]);
	close(c.lifeline[1]);
	munmap((void *)(uintptr_t)pages, (size_t)children * HB_PAGE_BYTES);
	close(hb_fd);
	return (end - start) / children;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int children = argc > 2 ? atoi(argv[2]) : 500, rounds = argc > 3 ? atoi(argv[3]) : 9;
	_cleanup_file_ FILE *f = argc > 1 ? fopen(argv[1], "re") : NULL;
	struct sandbox sb;
	struct conf *conf;
	struct err err;
	double floors[64], ours[64];
	struct k6bin k6;
	int k6_fd;

	if (!f || children < 1 || rounds < 1 || rounds > 64) {
		fputs("usage: start CONFIG [CHILDREN [ROUNDS]]\n", stderr);
		return 2;
	}
	log_init("bench", LOG_LEVEL_WARN, false);
	conf = conf_load(f, argv[1], NULL, &err);
	if (!conf)
		fatal(1, "%s", err.msg);
	conf->max_workers = children;
	k6_fd = open(conf->k6.binary, O_PATH | O_CLOEXEC);
	if (k6_fd < 0)
		fatal(1, "there is no k6 at %s: set K6_BINARY to where it is", conf->k6.binary);
	/* The floor is measured in a child that was forked before the keeper's own steps, so that
	 * it starts from the host's mounts. */
	int to[2], from[2];
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		fatal(1, "pipe: %s", strerror(errno));
	pid_t measurer = fork();
	if (measurer == 0) {
		char c;

		close(to[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNS) < 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			fatal(1, "needs root: %s", strerror(errno));
		while (read(to[0], &c, 1) == 1) {
			double us = run_floor(children);

			if (write(from[1], &us, sizeof(us)) < 0)
				break;
		}
		_exit(0);
	}
	if (sandbox_prepare(conf, k6_fd, &sb, &err) < 0 ||
		privs_raise_files((unsigned long)children + 64, &err) < 0 || privs_limit(&err) < 0)
		fatal(1, "%s", err.msg);
	k6 = (struct k6bin){.fd = k6_fd};
	if (filestamp_take(k6_fd, &k6.stamp) < 0)
		fatal(1, "%s: %s", conf->k6.binary, strerror(errno));
	for (int i = 0; i < rounds; i++) {
		if (write(to[1], "x", 1) != 1 ||
			read(from[0], &floors[i], sizeof(floors[i])) != (ssize_t)sizeof(floors[i]))
			fatal(1, "the floor could not be measured");
		ours[i] = run_workers(conf, &sb, &k6, children);
	}
	qsort(floors, (size_t)rounds, sizeof(double), compare);
	qsort(ours, (size_t)rounds, sizeof(double), compare);
	printf("%d children, %d rounds, medians in microseconds a child\n"
	       "floor (clone, mnt+pid+ipc+uts, tmpfs)  %7.1f\n"
	       "worker (%s)%*s%7.1f\n"
	       "ratio                                  %7.2f\n",
		children, rounds, floors[rounds / 2], sandbox_level_name(sb.level),
		(int)(29 - strlen(sandbox_level_name(sb.level))), "", ours[rounds / 2],
		ours[rounds / 2] / floors[rounds / 2]);
	close(to[1]);
	waitpid(measurer, NULL, 0);
	return 0;
}
