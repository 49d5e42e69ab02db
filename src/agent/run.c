/* SPDX-License-Identifier: MIT */
/* The life of one k6 process.  docs/architecture.md says why each flag and variable is there. */
#include "agent/run.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/confine.h"
#include "agent/outcome.h"
#include "agent/rootfs.h"
#include "agent/script.h"
#include "agent/summary.h"
#include "agent/verdict.h"
#include "common/fdio.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/target.h"
#include "common/units.h"

/* A target with a 1 MiB script, every byte escaped. */
#define JOB_MAX_BYTES (8 * 1024 * 1024)

/* Where distributions keep the one file with all certificates. */
static const char *const cert_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

struct strings {
	char **items;
	size_t count;
};

static void add(struct strings *s, char *item)
{
	s->items = x_realloc(s->items, s->count + 2, sizeof(*s->items));
	s->items[s->count++] = item;
	s->items[s->count] = NULL;
}

static struct strings make_argv(const struct run *run)
{
	static const char *const fixed[] = {"k6", "run", "--no-color", "--no-usage-report",
		"--log-format", "json", "--address", "", "--include-system-env-vars=false",
		"--paused=false", "--summary-trend-stats"};
	const struct opt_list *extra = &run->env->conf->k6.args;
	struct strings argv = {0};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add(&argv, x_strdup(fixed[i]));
	add(&argv, summary_trend_stats());
	add(&argv, x_strdup("--summary-export"));
	add(&argv, x_strdup(run->summary_path));
	for (size_t i = 0; i < extra->count; i++)
		add(&argv, x_strdup(extra->items[i]));
	add(&argv, x_strdup(run->script_path));
	return argv;
}

/* Nothing of the daemon's environment: the script can read all of k6's. */
static struct strings make_env(const struct run *run)
{
	const struct conf *conf = run->env->conf;
	long long go_limit = conf->limits.memory_bytes / 8 * 7;
	struct strings env = {0};

	add(&env, x_strdup("PATH=/usr/bin:/bin"));
	add(&env, x_asprintf("HOME=%s", confine_home(run->env->sandbox)));
	add(&env, x_asprintf("TMPDIR=%s", run->env->work_dir));
	add(&env, x_strdup("GOMAXPROCS=1"));
	add(&env, x_strdup("GOGC=50"));
	add(&env, x_asprintf("GOMEMLIMIT=%lldB", go_limit));
	for (size_t i = 0; i < ARRAY_SIZE(cert_bundles); i++) {
		if (access(cert_bundles[i], R_OK) == 0) {
			add(&env, x_asprintf("SSL_CERT_FILE=%s", cert_bundles[i]));
			add(&env, x_strdup("SSL_CERT_DIR=/nonexistent"));
			break;
		}
	}
	add(&env, x_strdup("K6_AUTO_EXTENSION_RESOLUTION=false"));
	add(&env, x_strdup("K6_HANDLE_SUMMARY_TIMEOUT=5s"));
	/* K6_SETUP_TIMEOUT and its like would overrule the script's own options; the deadline bounds
	 * what they allow. */
	for (size_t i = 0; i < conf->k6.env.count; i++)
		add(&env, x_strdup(conf->k6.env.items[i]));
	return env;
}

/* Each run finds both of its file systems as the first one did. */
static void empty_all(const struct run_env *env)
{
	sandbox_empty_dir(env->work_dir, NULL);
	if (env->sandbox->level != SANDBOX_OFF)
		sandbox_empty_dir(ROOTFS_HOME, NULL);
}

/* NULL and errno.  The supervisor has checked it; this is another process and looks again. */
static struct target *read_job(int fd)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *object = NULL;
	struct target_error terr;
	struct target *t;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	text = x_calloc((size_t)st.st_size + 1, 1);
	errno = EBADMSG;
	if (st.st_size <= 0 || st.st_size > JOB_MAX_BYTES ||
		pread(fd, text, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
		return NULL;
	object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	t = target_new();
	if (!object || target_apply_json(t, object, false, &terr) < 0 ||
		target_validate(t, &terr) < 0) {
		target_free(t);
		errno = EBADMSG;
		return NULL;
	}
	return t;
}

static int write_script(const struct run *run, int job_fd)
{
	struct target *t = read_job(job_fd);
	_cleanup_free_ char *text = t ? script_make(t) : NULL;
	_cleanup_fd_ int fd = -1;

	if (!t)
		return -1;
	fd = open(run->script_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -1 : fdio_write_all(fd, text, strlen(text));
}

/* How often the kernel has killed in k6's cgroup for want of memory: memory.events in
 * cgroups(7). */
static uint64_t count_oom_kills(const struct run_env *env)
{
	char text[512];
	const char *p;
	ssize_t n;
	int fd;

	if (env->cgroup_fd < 0)
		return 0;
	fd = openat(env->cgroup_fd, "memory.events", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	p = strstr(text, "oom_kill ");
	return p ? strtoull(p + 9, NULL, 10) : 0;
}

/* In the child, between fork and exec.  Failures go up the pipe as errno. */
_Noreturn static void exec_k6(const struct run *run, int job_fd, int out, int err, int fail)
{
	enum { K6_FD = 3, FAIL_FD = 4 };
	struct strings argv, env;
	sigset_t none;
	int k6_copy, fail_copy, null;

	if (write_script(run, job_fd) < 0)
		goto fail_early;
	/* "0" is the writer itself.  First of all: what it uses from here on counts. */
	if (run->env->cgroup_procs_fd >= 0 && write(run->env->cgroup_procs_fd, "0", 1) != 1)
		goto fail_early;
	argv = make_argv(run);
	env = make_env(run);

	/* Move the two we keep out of the way before 0..4 are overwritten. */
	k6_copy = fcntl(run->env->k6_fd, F_DUPFD, 10);
	fail_copy = fcntl(fail, F_DUPFD, 10);
	null = open("/dev/null", O_RDONLY);
	if (k6_copy < 0 || fail_copy < 0 || null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
		dup2(err, 2) < 0 || dup2(k6_copy, K6_FD) < 0 ||
		dup3(fail_copy, FAIL_FD, O_CLOEXEC) < 0) {
		fail = fail_copy;
		goto fail_early;
	}
	/* The result socket, the lifeline and the heartbeat page's descriptor end here. */
	close_range(FAIL_FD + 1, ~0U, 0);
	setpgid(0, 0);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	/* k6 dies of HUP and of a closed log; neither may end a run by accident. */
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir(run->env->work_dir) < 0 ||
		confine_k6(run->env->sandbox, run->env->conf, run->env->work_dir) < 0)
		goto fail;
	/* Where it is executed by path, the descriptor has done its duty.  Elsewhere it stays open
	 * across exec, because an interpreter script is read through /dev/fd/3. */
	if (run->env->sandbox->level != SANDBOX_OFF)
		close(K6_FD);
	confine_exec(run->env->sandbox, K6_FD, argv.items, env.items);
fail:
	fail = FAIL_FD;
fail_early:;
	int e = errno;
	if (write(fail, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

static void spawn(struct run *run, int job_fd)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1}, fail[2] = {-1, -1};

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(fail, O_CLOEXEC) < 0) {
		run->spawn_errno = errno;
		goto out;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	run->oom_kills_before = count_oom_kills(run->env);
	run->start_mono_ms = units_now_mono_ms();
	run->start_wall_ms = units_now_wall_ms();
	run->pid = fork();
	if (run->pid == 0)
		exec_k6(run, job_fd, out[1], err[1], fail[1]);
	if (run->pid < 0) {
		run->spawn_errno = errno;
		goto out;
	}
	close_fd(&fail[1]);
	/* Ends with exec, in a millisecond; the pipe is closed by it. */
	if (read(fail[0], &run->spawn_errno, sizeof(run->spawn_errno)) <= 0)
		run->spawn_errno = 0;
	run->out_fd = steal_fd(&out[0]);
	run->err_fd = steal_fd(&err[0]);
out:
	for (int i = 0; i < 2; i++) {
		close_fd(&out[i]);
		close_fd(&err[i]);
		close_fd(&fail[i]);
	}
}

struct run *run_start(const struct run_env *env, int job_fd, const char *id, int64_t planned_ms,
	int64_t deadline_ms, bool checks_count)
{
	struct run *run = x_calloc(1, sizeof(*run));

	run->env = env;
	run->checks_count = checks_count;
	snprintf(run->id, sizeof(run->id), "%s", id);
	run->out_fd = run->err_fd = -1;
	run->pid = -1;
	run->planned_ms = planned_ms;
	run->deadline_ms = deadline_ms;
	run->start_mono_ms = units_now_mono_ms();
	run->script_path = x_asprintf("%s/k6-script-%s.js", env->work_dir, id);
	run->summary_path = x_asprintf("%s/summary-%s.json", env->work_dir, id);
	/* An idle worker does not pay for the log of a busy one. */
	run->ring = mmap(
		NULL, RESULT_LOG_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (run->ring == MAP_FAILED) {
		run->ring = NULL;
		run->spawn_errno = errno;
		return run;
	}
	/* Also of a summary that was left over: facts about k6 say that it may not write one. */
	empty_all(env);
	spawn(run, job_fd);
	return run;
}

static bool contains(const char *hay, size_t len, const char *needle)
{
	return memmem(hay, len, needle, strlen(needle)) != NULL;
}

static void search_words(struct run *run, const char *data, size_t len)
{
	if (contains(data, len, "out of memory") || contains(data, len, "cannot allocate memory") ||
		contains(data, len, "pthread_create failed"))
		run->saw_no_memory = true;
	/* The Go runtime's words for EAGAIN from clone(2). */
	if (contains(data, len, "failed to create new OS thread"))
		run->saw_no_process = true;
	if (contains(data, len, "no space left on device") || contains(data, len, "file too large"))
		run->saw_disk_full = true;
}

static void take_stderr(struct run *run, const char *data, size_t len)
{
	char joint[2 * sizeof(run->carry)];
	size_t head = len < sizeof(run->carry) ? len : sizeof(run->carry);

	/* A word may be cut by the end of a read: look at the seam as well. */
	memcpy(joint, run->carry, run->carry_len);
	memcpy(joint + run->carry_len, data, head);
	search_words(run, joint, run->carry_len + head);
	search_words(run, data, len);
	if (len >= sizeof(run->carry)) {
		memcpy(run->carry, data + len - sizeof(run->carry), sizeof(run->carry));
		run->carry_len = sizeof(run->carry);
	} else {
		size_t all = run->carry_len + len;
		size_t keep = all < sizeof(run->carry) ? all : sizeof(run->carry);

		memmove(joint, joint + all - keep, keep);
		memcpy(run->carry, joint, keep);
		run->carry_len = keep;
	}
	for (size_t i = 0; i < len; i++) {
		run->ring[run->ring_pos++] = data[i];
		if (run->ring_pos == RESULT_LOG_MAX) {
			run->ring_pos = 0;
			run->ring_full = true;
		}
	}
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

/* "running (02.0s), 2/2 VUs, 38 complete and 0 interrupted iterations": once a second. */
static void take_progress_line(const struct run *run, const char *line, struct hb_page *hb)
{
	unsigned int vus;
	unsigned long long done;
	const char *p;

	if (strncmp(line, "running (", 9) != 0)
		return;
	p = strstr(line, "), ");
	if (p && sscanf(p + 3, "%u/%*u VUs, %llu complete", &vus, &done) == 2) {
		hb->vus = vus;
		hb->iterations = done;
		hb->k6_rss_bytes = read_rss(run->pid);
	}
}

static void take_stdout(struct run *run, const char *data, size_t len, struct hb_page *hb)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' || data[i] == '\r') {
			run->progress[run->progress_len] = '\0';
			take_progress_line(run, run->progress, hb);
			run->progress_len = 0;
		} else if (run->progress_len < sizeof(run->progress) - 1) {
			run->progress[run->progress_len++] = data[i];
		}
	}
}

/* A script that prints without end must not keep the worker from its other duties. */
#define DRAIN_READS_MAX 64

static void drain(struct run *run, int *fd, struct hb_page *hb)
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
			take_stderr(run, buf, (size_t)n);
		else
			take_stdout(run, buf, (size_t)n, hb);
	}
}

void run_drain(struct run *run, struct hb_page *hb)
{
	drain(run, &run->out_fd, hb);
	drain(run, &run->err_fd, hb);
}

static void signal_k6(struct run *run, int sig)
{
	if (run->pid > 0 && !run->exited)
		kill(run->pid, sig);
}

static void stop(struct run *run, int64_t now)
{
	/* Exactly one TERM: a second one would make k6 drop its summary. */
	if (run->term_sent)
		return;
	run->term_sent = true;
	run->kill_at_mono_ms = now + RUN_KILL_AFTER_MS;
	signal_k6(run, SIGTERM);
}

int64_t run_tick(struct run *run, int64_t now)
{
	int64_t deadline = run->start_mono_ms + run->deadline_ms;

	if (run->exited || run->pid <= 0)
		return -1;
	if (!run->term_sent) {
		if (now < deadline)
			return deadline - now;
		run->deadline_passed = true;
		stop(run, now);
	}
	if (now < run->kill_at_mono_ms)
		return run->kill_at_mono_ms - now;
	if (!run->kill_sent) {
		run->kill_sent = true;
		signal_k6(run, SIGKILL);
	}
	return -1;
}

void run_cancel(struct run *run, int64_t now)
{
	run->cancelled = true;
	stop(run, now);
}

void run_reaped(struct run *run, int wait_status, const struct rusage *usage)
{
	run->exited = true;
	run->end_mono_ms = units_now_mono_ms();
	run->wait_status = wait_status;
	run->usage = *usage;
}

bool run_is_over(const struct run *run)
{
	return run->exited || run->pid <= 0;
}

/* Whatever k6 has started ends with its run. */
static void end_descendants(const struct run *run)
{
	if (run->env->is_init) {
		/* Safe: as pid 1 of a pid namespace of our own, -1 reaches k6's descendants and nobody
		 * else: kill(2), pid_namespaces(7). */
		kill(-1, SIGKILL);
		while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
			;
	} else if (run->pid > 0) {
		/* Without a namespace only the process group that we made may be signalled. */
		kill(-run->pid, SIGKILL);
	}
}

static char *take_log(const struct run *run)
{
	char *log = x_calloc(RESULT_LOG_MAX + 1, 1);
	size_t n = 0;

	if (!run->ring)
		return log;
	if (run->ring_full) {
		n = RESULT_LOG_MAX - run->ring_pos;
		memcpy(log, run->ring + run->ring_pos, n);
	}
	memcpy(log + n, run->ring, run->ring_pos);
	n += run->ring_pos;
	for (size_t i = 0; i < n; i++) {
		if (!log[i])
			log[i] = ' ';
	}
	return log;
}

static void measure(const struct run *run, struct run_result *r, bool *tmp_full)
{
	struct statvfs fs;

	r->cpu_ms = (run->usage.ru_utime.tv_sec + run->usage.ru_stime.tv_sec) * 1000 +
		(run->usage.ru_utime.tv_usec + run->usage.ru_stime.tv_usec) / 1000;
	r->max_rss_bytes = run->usage.ru_maxrss * 1024;
	*tmp_full = false;
	/* Only a tmpfs of our own tells what this run alone has used. */
	if (run->env->is_init && statvfs(run->env->work_dir, &fs) == 0) {
		r->tmp_bytes = (int64_t)((fs.f_blocks - fs.f_bfree) * fs.f_frsize);
		*tmp_full = fs.f_bavail == 0 || fs.f_favail == 0;
	}
	if (run->env->is_init && statvfs(ROOTFS_HOME, &fs) == 0)
		r->tmp_bytes += (int64_t)((fs.f_blocks - fs.f_bfree) * fs.f_frsize);
}

void run_finish(struct run *run, struct msg_writer *out)
{
	const struct conf *conf = run->env->conf;
	struct hb_page ignored = {0};
	struct run_result r;
	double run_s;
	struct outcome_facts facts = {
		.spawn_errno = run->spawn_errno,
		.wait_status = run->wait_status,
		.deadline_passed = run->deadline_passed,
		.cancelled = run->cancelled,
		.checks_count = run->checks_count,
		.deadline_ms = run->deadline_ms,
		.memory_bytes = conf->limits.memory_bytes,
		.cpu_time_ms = conf->limits.cpu_time_ms,
		.processes = conf->limits.processes,
	};

	result_init(&r);
	memcpy(r.run_id, run->id, sizeof(r.run_id));
	end_descendants(run);
	for (int i = 0; i < 1024 && run->err_fd >= 0; i++) {
		size_t before = run->ring_pos;

		drain(run, &run->err_fd, &ignored);
		if (run->ring_pos == before)
			break;
	}
	facts.saw_no_memory = run->saw_no_memory;
	facts.saw_no_process = run->saw_no_process;
	facts.saw_disk_full = run->saw_disk_full;
	facts.oom_killed = count_oom_kills(run->env) > run->oom_kills_before;
	measure(run, &r, &facts.tmp_full);
	/* rps is over the time really run: what was planned, unless it ended earlier. */
	run_s = (double)(run->end_mono_ms - run->start_mono_ms) / 1000;
	if (run->planned_ms && run_s > (double)run->planned_ms / 1000)
		run_s = (double)run->planned_ms / 1000;
	if (!run->spawn_errno) {
		r.started_wall_ms = run->start_wall_ms;
		/* From the monotonic clock, so that a jump of the wall clock bends no run. */
		r.finished_wall_ms = run->start_wall_ms + (run->end_mono_ms - run->start_mono_ms);
	}
	free(r.log);
	r.log = take_log(run);
	verdict_reach(run->env->sandbox, run->summary_path, run_s, &facts, &r, out);
	result_clear(&r);
	empty_all(run->env);
}

void run_free(struct run *run)
{
	if (!run)
		return;
	close_fd(&run->out_fd);
	close_fd(&run->err_fd);
	if (run->ring)
		munmap(run->ring, RESULT_LOG_MAX);
	free(run->script_path);
	free(run->summary_path);
	free(run);
}
