/* SPDX-License-Identifier: MIT */
/* A loop of ppoll(2) over the socket, the lifeline, SIGCHLD and k6's pipes.  The supervisor
 * decides what runs and when. */
#include "agent/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/k6run.h"
#include "common/chan.h"
#include "common/hb.h"
#include "common/log.h"
#include "common/fdio.h"
#include "common/mem.h"
#include "common/title.h"
#include "common/trace.h"
#include "common/units.h"

/* With timers that may be a second late, a thousand idle workers wake the CPU a third as often. */
#define TIMER_SLACK_NS 1000000000UL

struct worker {
	struct worker_args args;
	struct k6run_env env;
	char name[80];
	int signal_fd;
	struct hb_page *hb;
	struct k6run *run;
	struct chan_queue out;
	bool result_waits; /* the last result is still in `out`: AGENT_STATE names its run */
	char run_id[UUID_MAX];
	bool leaving;                    /* WORK_EXIT came: end when idle */
	bool told_started, told_planned; /* about the present run */
	bool is_quiet;                   /* k6.args keep k6 from printing its plan */
	bool followed;          /* WORK_LOG came: send k6's output to the supervisor, too */
	uint64_t skipped_bytes; /* of that output, because the socket was full */
	char *last_log;         /* of the last run; NULL: its k6 printed nothing */
	uint8_t *buf;
};

__attribute__((noreturn, format(printf, 2, 3))) static void die(
	const struct worker *w, const char *fmt, ...)
{
	char text[ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_agent_error(w->name, "%s", text);
	_exit(1);
}

static void send_or_die(struct worker *w, struct msg_writer *msg)
{
	struct err err;
	enum chan_result res = chan_queue_send(&w->out, w->args.chan, msg, -1, &err);

	/* While the keeper lives it keeps the other end open. */
	if (res == CHAN_ERROR || res == CHAN_EOF)
		die(w, "cannot report: %s", res == CHAN_EOF ? "the keeper has gone" : err.msg);
	msg_free(msg);
}

_Noreturn static void leave(const struct worker *w)
{
	/* A tmpfs ends with its namespace.  Without a sandbox the directory must be removed. */
	if (w->args.sandbox->level == SANDBOX_OFF) {
		sandbox_empty_dir(w->env.work_dir, NULL);
		rmdir(w->env.work_dir);
	}
	_exit(0);
}

static void set_idle_title(const struct worker *w)
{
	title_set("k6fleet-agent", "k6fleetd: %s idle", w->name);
}

static void beat(struct worker *w)
{
	w->hb->state = w->run ? HB_RUNNING : HB_IDLE;
	w->hb->beat_mono_ms = (uint64_t)units_now_mono_ms();
}

static void send_hello(struct worker *w)
{
	struct msg_writer m = {0};

	msg_put_agent_hello(&m,
		&(struct msg_agent_hello){.slot = w->args.slot,
			.generation = w->args.generation,
			.sandbox_layers = w->args.sandbox->layers});
	send_or_die(w, &m);
}

static void send_state(struct worker *w)
{
	const char *in_hand = w->run || w->result_waits ? w->run_id : "";
	struct msg_writer m = {0};

	msg_put_agent_state(&m, &(struct msg_agent_state){.run_id = msg_text(in_hand)});
	send_or_die(w, &m);
}

/* --- output of k6 ----------------------------------------------------------------- */

/* The part of a finished run's output that is kept for `k6fleetctl logs`; the record has more. */
#define LAST_LOG_MAX 16384
/* Fits into AGENT_LOG. */
#define LOG_CHUNK_MAX 65536

static void send_log_chunk(struct worker *w, bool first, const char *text, size_t len)
{
	struct msg_writer m = {0};

	msg_put_agent_log(&m,
		&(struct msg_agent_log){.run_id = msg_text(w->run_id),
			.first = first,
			.output = {text, len > LOG_CHUNK_MAX ? LOG_CHUNK_MAX : len}});
	send_or_die(w, &m);
}

/* Sends output that somebody follows.  While the socket is full the output is skipped, because
 * k6 must not wait for a slow reader. */
static void worker_follow(void *arg, const char *text, size_t len)
{
	struct worker *w = arg;

	if (!w->followed)
		return;
	if (w->out.head) {
		w->skipped_bytes += len;
		return;
	}
	if (w->skipped_bytes) {
		char gap[80];
		int n = snprintf(gap, sizeof(gap), "\n[... %llu bytes skipped ...]\n",
			(unsigned long long)w->skipped_bytes);

		w->skipped_bytes = 0;
		send_log_chunk(w, false, gap, (size_t)n);
	}
	send_log_chunk(w, false, text, len);
}

static void note(struct worker *w, const char *what)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "[%s: run %s %s]\n", w->name, w->run_id, what);

	worker_follow(w, text, (size_t)n);
}

static void send_log(struct worker *w, enum msg_log what)
{
	_cleanup_free_ char *log = w->run ? k6run_log(w->run) : NULL;
	const char *text = log ? log : w->last_log ? w->last_log : "";

	w->followed = what == MSG_LOG_FOLLOW;
	w->skipped_bytes = 0;
	if (what != MSG_LOG_STOP)
		send_log_chunk(w, true, text, strlen(text));
}

static void keep_log(struct worker *w)
{
	_cleanup_free_ char *log = k6run_log(w->run);
	size_t len = strlen(log);

	if (len)
		w->last_log = x_strdup(len > LAST_LOG_MAX ? log + len - LAST_LOG_MAX : log);
}

static void start_run(struct worker *w, struct msg_reader *in, int fd)
{
	_cleanup_free_ char *id = NULL;
	struct msg_work_run order;
	struct k6run_plan plan;

	msg_get_work_run(in, &order);
	id = msg_text_dup(order.run_id);
	plan = (struct k6run_plan){
		.planned_ms = order.planned_ms,
		.timeout_ms = order.timeout_ms,
		.grace_ms = order.grace_ms,
		.start_wall_ms = order.start_wall_ms,
		.checks_count = order.checks_count,
		.is_quiet = w->is_quiet,
	};
	if (w->run || w->result_waits || !uuid_is_valid(id) || plan.planned_ms < 0 ||
		plan.timeout_ms < 0 || plan.grace_ms < 0 || plan.start_wall_ms < 0 || fd < 0)
		die(w, "a RUN that makes no sense (run %s)", id);
	snprintf(w->run_id, sizeof(w->run_id), "%s", id);
	w->hb->vus = 0;
	w->hb->iterations = 0;
	w->hb->k6_rss_bytes = 0;
	w->hb->run_duration_ms = (uint64_t)plan.planned_ms;
	title_set("k6fleet-agent", "k6fleetd: %s running %.*s", w->name, (int)order.label.len,
		order.label.p);
	free(w->last_log);
	w->last_log = NULL;
	w->told_started = w->told_planned = false;
	w->run = k6run_start(&w->env, fd, id, &plan);
	w->hb->run_start_mono_ms = (uint64_t)w->run->start_mono_ms;
	memcpy(w->hb->run_id, w->run_id, sizeof(w->hb->run_id));
	beat(w);
}

/* Reports that k6 was executed, and the duration that it has printed. */
static void tell_progress(struct worker *w)
{
	struct msg_writer m = {0};
	struct k6run *run = w->run;

	if (run->started && !w->told_started) {
		w->told_started = true;
		/* The progress begins at the common start, if there is one. */
		w->hb->run_start_mono_ms = (uint64_t)(run->start_mono_ms + k6run_wait_ms(run));
		msg_put_agent_started(&m,
			&(struct msg_agent_started){.run_id = msg_text(w->run_id),
				.started_wall_ms = run->start_wall_ms});
		send_or_die(w, &m);
		TRACE_RUN_BEGIN(w->args.slot, w->run_id, run->pid);
		note(w, "started");
	}
	if (run->planned && !w->told_planned) {
		w->told_planned = true;
		if (w->hb->run_duration_ms == (uint64_t)run->plan.planned_ms)
			return;
		w->hb->run_duration_ms = (uint64_t)run->plan.planned_ms;
		msg_put_agent_planned(&m,
			&(struct msg_agent_planned){
				.run_id = msg_text(w->run_id), .planned_ms = run->plan.planned_ms});
		send_or_die(w, &m);
	}
}

static void finish_run(struct worker *w)
{
	struct msg_writer m = {0};

	keep_log(w);
	k6run_finish(w->run, &m);
	TRACE_RUN_END(w->args.slot, w->run_id, w->run->wait_status);
	note(w, "ended");
	k6run_free(w->run);
	w->run = NULL;
	memset(w->hb->run_id, 0, sizeof(w->hb->run_id));
	w->hb->k6_rss_bytes = 0;
	send_or_die(w, &m);
	w->result_waits = w->out.head != NULL;
	set_idle_title(w);
	beat(w);
	/* An idle worker has no more memory than before its first run. */
	mem_trim();
}

static void handle_message(struct worker *w, size_t len, int fd)
{
	struct msg_work_cancel cancel;
	struct msg_work_log log;
	struct msg_reader in;
	struct err err;

	switch (msg_open(&in, w->buf, len, MSG_TO_WORKER, &err)) {
	case MSG_WORK_RUN: start_run(w, &in, fd); break;
	case MSG_WORK_CANCEL:
		msg_get_work_cancel(&in, &cancel);
		/* A WORK_CANCEL for a run that has just ended is no error. */
		if (w->run && msg_text_is(cancel.run_id, w->run_id))
			k6run_cancel(w->run, units_now_mono_ms());
		break;
	case MSG_WORK_STATE_REQ: send_state(w); break;
	case MSG_WORK_LOG:
		msg_get_work_log(&in, &log);
		send_log(w, (enum msg_log)log.what);
		break;
	case MSG_WORK_EXIT: w->leaving = true; break;
	default: die(w, "from the supervisor: %s", err.msg);
	}
	if (fd >= 0)
		close(fd);
}

static void read_messages(struct worker *w)
{
	struct err err;
	size_t len;
	int fd;

	for (;;) {
		switch (chan_recv(w->args.chan, w->buf, &len, &fd, false, &err)) {
		case CHAN_OK: handle_message(w, len, fd); break;
		case CHAN_AGAIN: return;
		case CHAN_EOF: die(w, "the keeper has closed the socket");
		case CHAN_ERROR: die(w, "%s", err.msg);
		}
	}
}

static void worker_reap(struct worker *w)
{
	struct signalfd_siginfo info;
	struct rusage usage;
	int status;
	pid_t pid;

	while (read(w->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		;
	/* Pid 1 of the namespace inherits all orphans of k6 and reaps them. */
	while ((pid = wait4(-1, &status, WNOHANG | __WALL, &usage)) > 0) {
		if (w->run && pid == w->run->pid)
			k6run_reaped(w->run, status, &usage);
	}
}

/* The descriptors that the worker polls. */
enum { CHAN, LIFELINE, SIGNALS, K6_OUT, K6_ERR, K6_FAIL, WATCHED };

/* Waits until a descriptor is ready, a deadline of the run has come, or the next beat is due. */
static void wait_for_events(struct worker *w, struct pollfd fds[WATCHED])
{
	int64_t wait_ms = w->args.conf->worker_heartbeat_ms, run_ms = -1;
	struct timespec timeout;

	if (w->run)
		run_ms = k6run_tick(w->run, units_now_mono_ms());
	if (run_ms >= 0 && run_ms < wait_ms)
		wait_ms = run_ms;
	timeout = (struct timespec){wait_ms / 1000, (wait_ms % 1000) * 1000000};
	if (ppoll(fds, WATCHED, &timeout, NULL) < 0 && errno != EINTR)
		die(w, "ppoll: %s", strerror(errno));
}

static void flush(struct worker *w)
{
	struct err err;

	if (chan_queue_flush(&w->out, w->args.chan, &err) == CHAN_ERROR)
		die(w, "%s", err.msg);
	w->result_waits = w->out.head != NULL;
}

static void finish_if_over(struct worker *w)
{
	if (w->run && k6run_is_over(w->run))
		finish_run(w);
}

static void attend_run(struct worker *w, bool has_output)
{
	if (!w->run)
		return;
	if (has_output)
		k6run_drain(w->run, w->hb, worker_follow, w);
	tell_progress(w);
	finish_if_over(w);
}

static void worker_loop_once(struct worker *w)
{
	struct pollfd fds[WATCHED] = {
		[CHAN] = {.fd = w->args.chan,
			.events = (short)(POLLIN | (w->out.head ? POLLOUT : 0))},
		[LIFELINE] = {.fd = w->args.lifeline, .events = POLLIN},
		[SIGNALS] = {.fd = w->signal_fd, .events = POLLIN},
		[K6_OUT] = {.fd = w->run ? w->run->out_fd : -1, .events = POLLIN},
		[K6_ERR] = {.fd = w->run ? w->run->err_fd : -1, .events = POLLIN},
		[K6_FAIL] = {.fd = w->run ? w->run->fail_fd : -1, .events = POLLIN},
	};

	wait_for_events(w, fds);
	if (fds[LIFELINE].revents)
		leave(w); /* the keeper has died; a worker must not outlive it */
	if (fds[CHAN].revents & POLLOUT)
		flush(w);
	if (fds[SIGNALS].revents)
		worker_reap(w);
	attend_run(w, fds[K6_OUT].revents || fds[K6_ERR].revents || fds[K6_FAIL].revents);
	if (fds[CHAN].revents & (POLLIN | POLLHUP | POLLERR))
		read_messages(w);
	/* A run whose k6 could not be started is over at once. */
	finish_if_over(w);
	beat(w);
	if (w->leaving && !w->run && !w->out.head)
		leave(w);
}

static void keep_only(const struct worker_args *args)
{
	int keep[] = {args->chan, args->lifeline, args->hb_fd, args->k6.fd, args->cgroup_fd,
		args->cgroup_procs_fd, log_journal_fd()};
	unsigned int from = 3;

	/* Sorts the descriptors, then closes the gaps between them. */
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++) {
		for (size_t k = i + 1; k < ARRAY_SIZE(keep); k++) {
			if (keep[k] < keep[i]) {
				int t = keep[i];

				keep[i] = keep[k];
				keep[k] = t;
			}
		}
		if (keep[i] < 0)
			continue;
		if ((unsigned)keep[i] > from)
			fdio_close_range(from, (unsigned)keep[i] - 1, false);
		from = (unsigned)keep[i] + 1;
	}
	fdio_close_range(from, ~0U, false);
}

static bool is_quiet(const struct conf *conf)
{
	for (size_t i = 0; i < conf->k6.args.count; i++) {
		if (!strcmp(conf->k6.args.items[i], "-q") ||
			!strncmp(conf->k6.args.items[i], "--quiet", 7))
			return true;
	}
	return false;
}

/* close_range(2) copies only the descriptors below the range, however many there are above. */
static void leave_shared_files(const struct worker_args *args)
{
	if (fdio_close_range(WORKER_FDS_END, ~0U, true) < 0)
		_exit(1);
	atomic_store(args->has_own_files, 1);
	syscall(SYS_futex, args->has_own_files, FUTEX_WAKE, 1, NULL, NULL, 0);
}

_Noreturn void worker_main(const struct worker_args *args)
{
	struct worker w = {.args = *args};
	struct err err;
	const char *work_dir;
	sigset_t all;

	/* First of all: until then a descriptor that is closed here is closed in the keeper,
	 * too. */
	if (args->has_own_files)
		leave_shared_files(args);
	conf_agent_name(args->conf, args->slot, w.name, sizeof(w.name));
	log_init("k6fleetd", (enum log_level)args->conf->log_level, args->conf->log_format == 1);
	keep_only(args);
	/* All signals are blocked: k6 has the same uid and must not be able to end the worker. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (sandbox_enter(args->sandbox, args->conf, w.name, args->slot, &work_dir, &err) < 0)
		die(&w, "cannot enter the sandbox: %s", err.msg);
	/* After the last change of credentials, which clears this setting.  If the keeper died
	 * before, the lifeline shows it; getppid() is 0 in a pid namespace and does not. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	w.hb = hb_map_own(args->hb_fd, args->slot, &err);
	if (!w.hb)
		die(&w, "%s", err.msg);
	close(args->hb_fd);
	memset(w.hb, 0, sizeof(*w.hb));
	w.env = (struct k6run_env){args->conf, args->sandbox, work_dir, args->k6,
		args->sandbox->level != SANDBOX_OFF, args->cgroup_fd, args->cgroup_procs_fd};
	w.is_quiet = is_quiet(args->conf);
	w.buf = mem_unshared(MSG_MAX_BYTES);
	chan_queue_init(&w.out);
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	w.signal_fd = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
	if (w.signal_fd < 0)
		die(&w, "signalfd: %s", strerror(errno));
	set_idle_title(&w);
	beat(&w);
	send_hello(&w);
	for (;;)
		worker_loop_once(&w);
}
