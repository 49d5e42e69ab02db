/* SPDX-License-Identifier: MIT */
/* Starts, watches, stops and measures one k6 process.  launch.c has what the child does before
 * the exec. */
#include "agent/k6run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launch.h"
#include "agent/outcome.h"
#include "agent/rootfs.h"
#include "agent/verdict.h"
#include "common/mem.h"
#include "common/units.h"

/* Empties both file systems of the agent, so that each run starts with the same. */
static void empty_all(const struct k6run_env *env)
{
	sandbox_empty_dir(env->work_dir, NULL);
	if (env->sandbox->level != SANDBOX_OFF)
		sandbox_empty_dir(ROOTFS_HOME, NULL);
}

/* Returns the number after a word in a file of the slot's cgroup, 0 if there is none:
 * cgroups(7). */
static uint64_t read_cgroup(const struct k6run_env *env, const char *file, const char *word)
{
	char text[2048];
	const char *p;
	ssize_t n;
	int fd;

	if (env->cgroup_fd < 0)
		return 0;
	fd = openat(env->cgroup_fd, file, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	p = strstr(text, word);
	return p ? strtoull(p + strlen(word), NULL, 10) : 0;
}

/* Returns how many processes of the cgroup the OOM killer has killed, and the CPU time of all
 * its processes, both counted over all runs. */
static uint64_t count_oom_kills(const struct k6run_env *env)
{
	return read_cgroup(env, "memory.events", "oom_kill ");
}

static uint64_t read_cgroup_cpu_us(const struct k6run_env *env)
{
	return read_cgroup(env, "cpu.stat", "usage_usec ");
}

static void fail_to_start(struct k6run *run, const char *what)
{
	snprintf(run->why, sizeof(run->why), "%s: %s", what, strerror(errno));
}

static void k6run_spawn(struct k6run *run, int job_fd)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1}, fail[2] = {-1, -1};

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(fail, O_CLOEXEC) < 0) {
		fail_to_start(run, "there is no pipe");
		goto out;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	fcntl(fail[0], F_SETFL, O_NONBLOCK);
	run->oom_kills_before = count_oom_kills(run->env);
	run->cgroup_cpu_us_before = read_cgroup_cpu_us(run->env);
	run->pid = fork();
	if (run->pid == 0)
		launch_k6(&(struct launch_order){.env = run->env,
			.id = run->id,
			.summary_path = run->summary_path,
			.start_wall_ms = run->plan.start_wall_ms,
			.job_fd = job_fd,
			.out_fd = out[1],
			.err_fd = err[1],
			.fail_fd = fail[1]});
	if (run->pid < 0) {
		fail_to_start(run, "there is no room for another process");
		goto out;
	}
	run->out_fd = steal_fd(&out[0]);
	run->err_fd = steal_fd(&err[0]);
	run->fail_fd = steal_fd(&fail[0]);
out:
	for (int i = 0; i < 2; i++) {
		close_fd(&out[i]);
		close_fd(&err[i]);
		close_fd(&fail[i]);
	}
}

/* Reads the report of the launch, if it has come.  The child may take long before the exec,
 * because it looks up the names of allowed_hosts: so the worker polls and does not wait for it. */
static void watch_exec(struct k6run *run)
{
	char report[LAUNCH_REPORT_MAX];
	ssize_t n;

	if (run->fail_fd < 0)
		return;
	n = read(run->fail_fd, report, sizeof(report));
	if (n < 0)
		return; /* not yet */
	close_fd(&run->fail_fd);
	if (n > 0) {
		run->not_started = report[0] > 0 && report[0] < ERR_CODE_COUNT
			? (enum err_code)report[0]
			: ERR_OTHER;
		snprintf(run->why, sizeof(run->why), "%.*s", (int)n - 1, report + 1);
		return;
	}
	run->started = true;
	run->start_mono_ms = units_now_mono_ms();
	run->start_wall_ms = units_now_wall_ms();
}

struct k6run *k6run_start(
	const struct k6run_env *env, int job_fd, const char *id, const struct k6run_plan *plan)
{
	struct k6run *run = x_calloc(1, sizeof(*run));
	struct err err;

	run->env = env;
	run->plan = *plan;
	snprintf(run->id, sizeof(run->id), "%s", id);
	run->out_fd = run->err_fd = run->fail_fd = -1;
	run->pid = -1;
	run->start_mono_ms = run->fork_mono_ms = units_now_mono_ms();
	run->summary_path = x_asprintf("%s/summary-%s.json", env->work_dir, id);
	if (k6out_init(&run->output, &err) < 0) {
		snprintf(run->why, sizeof(run->why), "%.400s", err.msg);
		return run;
	}
	/* The summary of the last run goes with it: k6 does not always write a new one. */
	empty_all(env);
	k6run_spawn(run, job_fd);
	return run;
}

static uint64_t read_rss(pid_t pid)
{
	_cleanup_file_ FILE *f = NULL;
	unsigned long size, rss;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%lu %lu", &size, &rss) != 2)
		return 0;
	return (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Bounds one turn: a script may print without end, and the worker has other work. */
#define DRAIN_READS_MAX 64

static void k6run_drain_pipe(struct k6run *run, int *fd, k6out_emit *emit, void *arg)
{
	char buf[8192];

	for (int i = 0; *fd >= 0 && i < DRAIN_READS_MAX; i++) {
		ssize_t n = read(*fd, buf, sizeof(buf));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			close_fd(fd);
			return;
		}
		if (fd == &run->err_fd)
			k6out_take_stderr(&run->output, buf, (size_t)n, emit, arg);
		else
			k6out_take_stdout(&run->output, buf, (size_t)n, emit, arg);
	}
}

/* Takes the duration that k6 has printed, if the target has none. */
static void k6run_take_plan(struct k6run *run)
{
	if (run->planned || !run->output.has_plan)
		return;
	run->planned = true;
	if (!run->plan.planned_ms)
		run->plan.planned_ms = k6out_planned_ms(&run->output);
}

void k6run_drain(struct k6run *run, struct hb_page *hb, k6out_emit *emit, void *arg)
{
	watch_exec(run);
	k6run_drain_pipe(run, &run->out_fd, emit, arg);
	k6run_drain_pipe(run, &run->err_fd, emit, arg);
	k6run_take_plan(run);
	if (!run->output.progressed)
		return;
	run->output.progressed = false;
	hb->vus = run->output.vus;
	hb->iterations = run->output.iterations;
	hb->k6_rss_bytes = read_rss(run->pid);
}

int64_t k6run_wait_ms(const struct k6run *run)
{
	int64_t wait = run->plan.start_wall_ms ? run->plan.start_wall_ms - run->start_wall_ms : 0;

	return wait > 0 ? wait : 0;
}

/* Returns how long k6 may run (ms from its start). */
static int64_t time_limit_ms(const struct k6run *run)
{
	const struct k6run_plan *plan = &run->plan;
	int64_t limit = plan->timeout_ms;

	if (!limit && plan->is_quiet)
		limit = K6RUN_UNKNOWN_MS;
	else if (!limit && run->planned)
		limit = run->output.longest_ms + K6RUN_SETUP_MS + K6RUN_TEARDOWN_MS;
	else if (!limit)
		limit = K6RUN_INIT_MS;
	return limit + plan->grace_ms + k6run_wait_ms(run);
}

static void signal_k6(struct k6run *run, int sig)
{
	if (run->pid > 0 && !run->exited)
		kill(run->pid, sig);
}

static void k6run_stop(struct k6run *run, int64_t now)
{
	/* One TERM only: after a second one k6 writes no summary. */
	if (run->term_sent)
		return;
	run->term_sent = true;
	run->kill_at_mono_ms = now + K6RUN_KILL_AFTER_MS;
	signal_k6(run, SIGTERM);
}

int64_t k6run_tick(struct k6run *run, int64_t now)
{
	int64_t deadline = run->started ? run->start_mono_ms + time_limit_ms(run)
					: run->fork_mono_ms + K6RUN_LAUNCH_MS;

	if (run->exited || run->pid <= 0)
		return -1;
	if (!run->term_sent) {
		if (now < deadline)
			return deadline - now;
		run->deadline_passed = true;
		k6run_stop(run, now);
	}
	if (now < run->kill_at_mono_ms)
		return run->kill_at_mono_ms - now;
	if (!run->kill_sent) {
		run->kill_sent = true;
		signal_k6(run, SIGKILL);
	}
	return -1;
}

void k6run_cancel(struct k6run *run, int64_t now)
{
	run->cancelled = true;
	k6run_stop(run, now);
}

void k6run_reaped(struct k6run *run, int wait_status, const struct rusage *usage)
{
	watch_exec(run);
	close_fd(&run->fail_fd);
	run->exited = true;
	run->end_mono_ms = units_now_mono_ms();
	run->wait_status = wait_status;
	run->usage = *usage;
}

bool k6run_is_over(const struct k6run *run)
{
	return run->exited || run->pid <= 0;
}

/* Kills all processes that k6 has started. */
static void end_descendants(const struct k6run *run)
{
	if (run->env->is_init) {
		/* Safe: this process is pid 1 of its own pid namespace, so -1 reaches only k6's
		 * descendants: kill(2), pid_namespaces(7). */
		kill(-1, SIGKILL);
		while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
			;
	} else if (run->pid > 0) {
		/* Without a namespace only the process group of k6 may be signalled. */
		kill(-run->pid, SIGKILL);
	}
}

static void ignore_output(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

static void measure(const struct k6run *run, struct run *r, bool *tmp_full)
{
	struct statvfs fs;
	int64_t cgroup_ms;

	r->cpu_ms = (run->usage.ru_utime.tv_sec + run->usage.ru_stime.tv_sec) * 1000 +
		(run->usage.ru_utime.tv_usec + run->usage.ru_stime.tv_usec) / 1000;
	r->max_rss_bytes = run->usage.ru_maxrss * 1024;
	/* The cgroup also counts processes that nobody has waited for. */
	cgroup_ms = (int64_t)(read_cgroup_cpu_us(run->env) - run->cgroup_cpu_us_before) / 1000;
	if (cgroup_ms > r->cpu_ms)
		r->cpu_ms = cgroup_ms;
	*tmp_full = false;
	r->tmp_bytes = 0;
	/* Only the agent's own tmpfs shows how much this run has used. */
	if (run->env->is_init && statvfs(run->env->work_dir, &fs) == 0) {
		r->tmp_bytes = (int64_t)((fs.f_blocks - fs.f_bfree) * fs.f_frsize);
		*tmp_full = fs.f_bavail == 0 || fs.f_favail == 0;
	}
	if (run->env->is_init && statvfs(ROOTFS_HOME, &fs) == 0)
		r->tmp_bytes += (int64_t)((fs.f_blocks - fs.f_bfree) * fs.f_frsize);
}

/* Returns the time over which rps is counted: as long as virtual users ran, by k6's progress or
 * else by the clock; not longer than planned, because a generated script starts no request after
 * that. */
static double seconds_run(const struct k6run *run)
{
	int64_t ms = run->output.has_progress && run->output.elapsed_ms > 0
		? run->output.elapsed_ms
		: run->end_mono_ms - run->start_mono_ms;
	int64_t waited = k6run_wait_ms(run);

	ms -= waited < ms ? waited : ms;
	if (run->plan.planned_ms && ms > run->plan.planned_ms)
		ms = run->plan.planned_ms;
	return (double)ms / 1000;
}

void k6run_finish(struct k6run *run, struct msg_writer *out)
{
	const struct conf *conf = run->env->conf;
	struct run r;
	struct outcome_facts facts = {
		.why_not_started = run->why,
		.not_started = run->not_started,
		.wait_status = run->wait_status,
		.deadline_passed = run->deadline_passed,
		.cancelled = run->cancelled,
		.checks_count = run->plan.checks_count,
		.deadline_ms = run->started ? time_limit_ms(run) : K6RUN_LAUNCH_MS,
		.memory_bytes = conf->limits.memory_bytes,
		.cpu_time_ms = conf->limits.cpu_time_ms,
		.processes = conf->limits.processes,
	};

	run_init(&r);
	run_set_text(&r.id, run->id);
	end_descendants(run);
	for (int i = 0; i < 1024 && (run->err_fd >= 0 || run->out_fd >= 0); i++) {
		size_t before = run->output.err.pos + run->output.out.pos;

		k6run_drain_pipe(run, &run->err_fd, ignore_output, NULL);
		k6run_drain_pipe(run, &run->out_fd, ignore_output, NULL);
		if (run->output.err.pos + run->output.out.pos == before)
			break;
	}
	facts.saw_no_memory = run->output.saw_no_memory;
	facts.saw_no_process = run->output.saw_no_process;
	facts.saw_disk_full = run->output.saw_disk_full;
	facts.late_ms = run->output.saw_late ? run->output.late_ms + 1 : 0;
	facts.oom_killed = count_oom_kills(run->env) > run->oom_kills_before;
	measure(run, &r, &facts.tmp_full);
	if (run->started) {
		r.started_ms = run->start_wall_ms;
		/* The duration is of the monotonic clock: a jump of the wall clock does not
		 * change it. */
		r.finished_ms = run->start_wall_ms + (run->end_mono_ms - run->start_mono_ms);
	}
	r.log = k6out_log(&run->output, &facts.log_from);
	verdict_reach(run->env->sandbox, run->summary_path, seconds_run(run), &facts, &r, out);
	run_clear(&r);
	empty_all(run->env);
}

char *k6run_log(const struct k6run *run)
{
	size_t err_from;

	return k6out_log(&run->output, &err_from);
}

void k6run_free(struct k6run *run)
{
	if (!run)
		return;
	close_fd(&run->out_fd);
	close_fd(&run->err_fd);
	close_fd(&run->fail_fd);
	k6out_clear(&run->output);
	free(run->summary_path);
	free(run);
}
