/* SPDX-License-Identifier: MIT */
/*
 * k6fleetd, the keeper: parent of the supervisor and of all workers.  It forks, reaps, hands
 * descriptors over and passes signals on.  It uses no network, parses nothing but its own
 * configuration file and fixed-size orders, and decides nothing.
 */
#include "config.h"

#include <errno.h>
#include <libgen.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/title.h"
#include "common/units.h"
#include "keeper/keeper.h"
#include "keeper/notify.h"
#include "keeper/reload.h"
#include "keeper/upgrade.h"

/* A supervisor that is silent for so long is as bad as a dead one. */
#define SUPERVISOR_SILENT_MS 5000
/* The keeper itself was away when it wakes so much later than it wanted to. */
#define LATE_MS 1000
#define SUPERVISOR_STABLE_MS 10000
/* KILL comes from outside, from the OOM killer or an operator: no crash of its own, unless it comes
 * again before the next one has done anything. */
#define SUPERVISOR_KILLED_MS 200
#define SUPERVISOR_DELAY_MAX_MS 10000
/* After the second TERM the supervisor has this long to end everything in order. */
#define STOP_NOW_MS 8000

static void set_up_signals(struct keeper *k)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	k->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signal_fd < 0)
		fatal(EXIT_START, "signalfd: %s", strerror(errno));
}

static void read_orders(struct keeper *k);

static void drop_supervisor(struct keeper *k)
{
	close_fd(&k->sup_chan);
	chan_queue_clear(&k->sup_out);
}

static void kill_supervisor(struct keeper *k, const char *why)
{
	log_warn("supervisor", "killed pid=%d: %s", (int)k->sup_pid, why);
	if (k->sup_pid > 0)
		kill(k->sup_pid, SIGKILL);
	/* Deaf to it from now on; the rest happens when it is reaped. */
	drop_supervisor(k);
}

void keeper_tell(struct keeper *k, struct msg_writer *m, int fd)
{
	struct err err;

	if (k->sup_chan >= 0) {
		switch (chan_queue_send(&k->sup_out, k->sup_chan, m, fd, &err)) {
		case CHAN_OK:
		case CHAN_AGAIN: break;
		case CHAN_EOF: break; /* its death is reaped in a moment */
		case CHAN_ERROR: kill_supervisor(k, err.msg); break;
		}
	}
	msg_free(m);
}

static void tell_worker(struct keeper *k, unsigned int slot, bool fresh)
{
	const struct child *c = &k->children.slots[slot];
	struct msg_writer m = {0};

	msg_start(&m, MSG_KEEPER_WORKER);
	msg_put_u32(&m, slot);
	msg_put_u64(&m, c->generation);
	msg_put_u32(&m, (uint32_t)c->pid);
	msg_put_u64(&m, (uint64_t)c->started_mono_ms);
	msg_put_u8(&m, c->alive);
	msg_put_u32(&m, (uint32_t)c->wait_status);
	msg_put_u8(&m, fresh);
	msg_put_u32(&m, c->restarts);
	msg_put_u8(&m, c->epoch != k->children.epoch);
	keeper_tell(k, &m, c->chan);
}

static void tell_signal(struct keeper *k, enum msg_signal what)
{
	struct msg_writer m = {0};

	msg_start(&m, MSG_KEEPER_SIGNAL);
	msg_put_u32(&m, what);
	keeper_tell(k, &m, -1);
}

/* Everything that a supervisor needs to go on where the last one stopped. */
static void hand_over(struct keeper *k)
{
	struct msg_writer m = {0};

	msg_start(&m, MSG_KEEPER_HELLO);
	msg_put_u32(&m, MSG_PROTOCOL);
	msg_put_u64(&m, (uint64_t)k->memory_bytes);
	msg_put_u32(&m, k->sup_restarts);
	msg_put_u32(&m, k->sandbox.level);
	msg_put_u32(&m, k->sandbox.layers);
	msg_put_u64(&m, (uint64_t)k->started_ms);
	msg_put_u64(&m, (uint64_t)k->clock_offset_ms);
	msg_put_str(&m, k->k6_version);
	msg_put_u32(&m, k->handover.control_gid);
	msg_put_u32(&m, k->handover.read_gid);
	keeper_tell(k, &m, -1);
	/* Before the workers: it must not fill slots that are to be emptied. */
	if (k->stop_signals)
		tell_signal(k, k->stop_signals > 1 ? MSG_SIGNAL_NOW : MSG_SIGNAL_DRAIN);
	for (unsigned int i = 0; i < k->children.high; i++) {
		if (k->children.slots[i].used)
			tell_worker(k, i, false);
	}
	msg_start(&m, MSG_KEEPER_HANDED_OVER);
	keeper_tell(k, &m, -1);
}

static void start_supervisor(struct keeper *k)
{
	struct err err;
	int pair[2];

	k->sup_restart_at_ms = 0;
	k->sup_started_ms = k->sup_heard_ms = units_now_mono_ms();
	if (chan_pair(pair, &err) < 0)
		goto failed;
	k->sup_pid = handover_start(&k->handover, pair[1], &err);
	close(pair[1]);
	if (k->sup_pid < 0) {
		close(pair[0]);
		goto failed;
	}
	k->sup_chan = pair[0];
	hand_over(k);
	return;
failed:
	if (!k->ever_seen)
		fatal(EXIT_START, "%s", err.msg);
	log_error("supervisor", "cannot be started, trying again in 1 s: %s", err.msg);
	k->sup_restart_at_ms = units_now_mono_ms() + 1000;
}

static void describe_status(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(
			buf, size, "signal=%d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(buf, size, "exit=%d", WEXITSTATUS(status));
}

static void supervisor_died(struct keeper *k, int status)
{
	int64_t now = units_now_mono_ms(), lived = now - k->sup_started_ms;
	char how[64];

	/* Its last words, QUIT among them, may lie unread although it was reaped already. */
	read_orders(k);
	drop_supervisor(k);
	k->sup_pid = -1;
	if (k->quit)
		return;
	if (k->upgrade.goodbye) {
		upgrade_supervisor_gone(k);
		/* Still here: this image goes on. */
		k->sup_restart_at_ms = now;
		return;
	}
	describe_status(status, how, sizeof(how));
	/* Its own message has been printed: a daemon that cannot start must say so by its exit. */
	if (!k->ever_seen && WIFEXITED(status))
		exit(EXIT_START);
	if (lived >= SUPERVISOR_STABLE_MS ||
		(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
			lived >= SUPERVISOR_KILLED_MS))
		k->sup_delay_ms = 0;
	k->sup_restarts++;
	k->sup_restart_at_ms = now + k->sup_delay_ms;
	log_warn("supervisor", "died %s after_ms=%lld workers=%u kept; next start in %lld ms", how,
		(long long)lived, k->children.alive, (long long)k->sup_delay_ms);
	k->sup_delay_ms = k->sup_delay_ms ? k->sup_delay_ms * 2 : 100;
	if (k->sup_delay_ms > SUPERVISOR_DELAY_MAX_MS)
		k->sup_delay_ms = SUPERVISOR_DELAY_MAX_MS;
}

static void reap(struct keeper *k)
{
	int status, slot;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == k->sup_pid) {
			supervisor_died(k, status);
			continue;
		}
		if (upgrade_reaped(k, pid, status))
			continue;
		slot = children_reaped(&k->children, pid, status);
		if (slot >= 0) {
			struct msg_writer m = {0};

			msg_start(&m, MSG_KEEPER_EXITED);
			msg_put_u32(&m, (uint32_t)slot);
			msg_put_u64(&m, k->children.slots[slot].generation);
			msg_put_u32(&m, (uint32_t)status);
			keeper_tell(k, &m, -1);
		}
	}
}

/* Nonsense is never obeyed: the supervisor is replaced. */
static void order_spawn(struct keeper *k, struct msg_reader *in)
{
	uint32_t slot = msg_get_u32(in);
	uint64_t generation = msg_get_u64(in);
	uint32_t restarts = msg_get_u32(in);
	struct err err;

	if (slot >= k->children.count || k->children.slots[slot].used || generation == 0) {
		kill_supervisor(k, "asked for a worker in a slot that does not exist or is taken");
		return;
	}
	if (children_spawn(&k->children, slot, generation, restarts, &err) == 0) {
		tell_worker(k, slot, true);
	} else {
		struct msg_writer m = {0};

		msg_start(&m, MSG_KEEPER_SPAWN_FAILED);
		msg_put_u32(&m, slot);
		msg_put_u64(&m, generation);
		msg_put_str(&m, err.msg);
		keeper_tell(k, &m, -1);
	}
}

static void order_kill(struct keeper *k, struct msg_reader *in)
{
	uint32_t slot = msg_get_u32(in);
	uint64_t generation = msg_get_u64(in);
	uint32_t sig = msg_get_u32(in);
	struct child *c;

	if (slot >= k->children.count || (sig != SIGTERM && sig != SIGKILL)) {
		kill_supervisor(k, "asked for a kill that makes no sense");
		return;
	}
	/* One that has just ended, or been replaced, is not an error: the order crossed its exit. */
	c = children_find(&k->children, slot, generation);
	/* Safe: the pid is the keeper's own record of a child that it has not reaped, so it can be
	 * nobody else's; the supervisor names slots, never pids. */
	if (c && c->alive)
		kill(c->pid, (int)sig);
}

static void order_forget(struct keeper *k, struct msg_reader *in)
{
	uint32_t slot = msg_get_u32(in);
	uint64_t generation = msg_get_u64(in);
	struct child *c = children_find(&k->children, slot, generation);

	if (!c || c->alive) {
		kill_supervisor(k, "asked to forget a worker that lives or never was");
		return;
	}
	children_forget(&k->children, c);
}

static void tell_systemd(struct msg_reader *in)
{
	static const char *const dashboard[] = {
		"no dashboard", "dashboard ok", "dashboard unreachable"};
	static const char *const obstacles[] = {[MSG_OBSTACLE_NONE] = "",
		[MSG_OBSTACLE_PAUSED] = ", paused",
		[MSG_OBSTACLE_STORAGE] = ", no place for results: no runs",
		[MSG_OBSTACLE_K6] = ", k6 is missing: no runs"};
	uint32_t desired = msg_get_u32(in), running = msg_get_u32(in), busy = msg_get_u32(in);
	uint32_t state = msg_get_u32(in), obstacle = msg_get_u32(in);

	notify_send("STATUS=%u/%u agents, %u running, %s%s", running, desired, busy,
		dashboard[state < ARRAY_SIZE(dashboard) ? state : 0],
		obstacles[obstacle < ARRAY_SIZE(obstacles) ? obstacle : 0]);
}

/* Once, when everything has come up. */
static void announce(const struct keeper *k)
{
	const struct sandbox *sb = &k->sandbox;
	char landlock[16] = "no";

	log_info("k6fleetd", "started version=%s pid=%d socket=%s sandbox=%s k6=\"%s\"",
		PACKAGE_VERSION, (int)getpid(), k->conf->control_socket,
		sandbox_level_name(sb->level), k->k6_version[0] ? k->k6_version : "missing");
	if (sb->layers & SANDBOX_LAYER_LANDLOCK)
		snprintf(landlock, sizeof(landlock), "ABI-%d", sb->landlock);
	log_info("sandbox", "level=%s seccomp=%s landlock=%s cgroup=%s%s%s%s",
		sandbox_level_name(sb->level), sb->layers & SANDBOX_LAYER_SECCOMP ? "yes" : "no",
		landlock, sb->layers & SANDBOX_LAYER_CGROUP ? "yes" : "no",
		k->no_cgroup.msg[0] ? " (" : "", k->no_cgroup.msg, k->no_cgroup.msg[0] ? ")" : "");
	if (k->no_k6.msg[0])
		log_error("k6", "%s; no runs are started until then", k->no_k6.msg);
	if (k->no_metrics.msg[0])
		log_warn("metrics", "metrics_listen: %s; going on without the endpoint",
			k->no_metrics.msg);
}

static void order_reload(struct keeper *k, struct msg_reader *in)
{
	uint64_t asker = msg_get_u64(in);

	if (msg_get_u8(in))
		upgrade_begin(k, asker);
	else
		reload_config(k, asker);
}

static void handle_order(struct keeper *k, size_t len)
{
	struct msg_reader in;
	struct err err;

	k->sup_heard_ms = units_now_mono_ms();
	switch (msg_open(&in, k->buf, len, MSG_TO_KEEPER, &err)) {
	case MSG_KEEP_SPAWN: order_spawn(k, &in); break;
	case MSG_KEEP_KILL: order_kill(k, &in); break;
	case MSG_KEEP_FORGET: order_forget(k, &in); break;
	case MSG_KEEP_READY: notify_send("READY=1"); break;
	case MSG_KEEP_PING:
		if (!k->ever_seen)
			announce(k);
		k->ever_seen = k->handover.again = true;
		notify_send("WATCHDOG=1");
		break;
	case MSG_KEEP_STATUS: tell_systemd(&in); break;
	case MSG_KEEP_RELOAD: order_reload(k, &in); break;
	case MSG_KEEP_QUIT: k->quit = true; break;
	default: kill_supervisor(k, err.msg); break;
	}
}

static void read_orders(struct keeper *k)
{
	struct err err;
	size_t len;
	int fd;

	while (k->sup_chan >= 0 && !k->quit) {
		enum chan_result res = chan_recv(k->sup_chan, k->buf, &len, &fd, false, &err);

		if (res == CHAN_AGAIN)
			return;
		if (res == CHAN_EOF) {
			drop_supervisor(k);
			return;
		}
		if (fd >= 0)
			close(fd);
		if (res == CHAN_ERROR) {
			kill_supervisor(k, err.msg);
			return;
		}
		handle_order(k, len);
	}
}

void keeper_stop(struct keeper *k)
{
	k->stop_signals++;
	notify_send("STOPPING=1");
	if (k->stop_signals == 1) {
		log_info("k6fleetd", "stopping: draining workers=%u, a second signal stops at once",
			k->children.alive);
		tell_signal(k, MSG_SIGNAL_DRAIN);
	} else {
		log_info("k6fleetd", "stopping at once workers=%u", k->children.alive);
		k->stop_by_ms = units_now_mono_ms() + STOP_NOW_MS;
		tell_signal(k, MSG_SIGNAL_NOW);
	}
}

static void read_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT: keeper_stop(k); break;
		case SIGHUP:
			/* After a package upgrade this is all that systemctl reload sends. */
			if (upgrade_is_due(k))
				upgrade_begin(k, 0);
			else
				reload_config(k, 0);
			break;
		case SIGUSR2: upgrade_begin(k, 0); break;
		default: break;
		}
	}
	reap(k);
}

/* Milliseconds until the keeper has to do something of its own accord, or -1. */
static int64_t next_deadline(const struct keeper *k, int64_t now)
{
	int64_t at = INT64_MAX;

	if (k->sup_restart_at_ms && k->sup_restart_at_ms < at)
		at = k->sup_restart_at_ms;
	if (k->sup_chan >= 0 && k->sup_heard_ms + SUPERVISOR_SILENT_MS < at)
		at = k->sup_heard_ms + SUPERVISOR_SILENT_MS;
	if (k->stop_by_ms && k->stop_by_ms < at)
		at = k->stop_by_ms;
	if (upgrade_deadline(k) < at)
		at = upgrade_deadline(k);
	/* A worker that was just forked is about to leave our table of descriptors. */
	if (k->children.unsettled_count && now + 1 < at)
		at = now + 1;
	if (at == INT64_MAX)
		return -1;
	return at > now ? at - now : 0;
}

static void check_deadlines(struct keeper *k)
{
	int64_t now = units_now_mono_ms();

	if (k->sup_restart_at_ms && now >= k->sup_restart_at_ms)
		start_supervisor(k);
	if (k->sup_chan >= 0 && now >= k->sup_heard_ms + SUPERVISOR_SILENT_MS)
		kill_supervisor(k, "silent for 5 s");
	upgrade_tick(k, now);
	children_settle(&k->children);
	if (k->stop_by_ms && now >= k->stop_by_ms) {
		log_warn("k6fleetd", "the supervisor did not end in time");
		k->quit = true;
	}
}

static void loop(struct keeper *k)
{
	while (!k->quit) {
		int64_t before = units_now_mono_ms(), wait_ms = next_deadline(k, before);
		struct timespec ts = {wait_ms / 1000, (wait_ms % 1000) * 1000000};
		struct pollfd fds[2] = {
			{.fd = k->signal_fd, .events = POLLIN},
			{.fd = k->sup_chan,
				.events = (short)(POLLIN | (k->sup_out.head ? POLLOUT : 0))},
		};

		if (ppoll(fds, ARRAY_SIZE(fds), wait_ms < 0 ? NULL : &ts, NULL) < 0 &&
			errno != EINTR)
			fatal(EXIT_START, "ppoll: %s", strerror(errno));
		/* Late ourselves, as after a pause of the whole machine: nobody else is judged by it. */
		if (wait_ms >= 0 && units_now_mono_ms() - before > wait_ms + LATE_MS)
			k->sup_heard_ms = units_now_mono_ms();
		if (fds[1].revents & POLLOUT)
			chan_queue_flush(&k->sup_out, k->sup_chan, NULL);
		/* Orders before exits: a worker asked for in this very moment must be found. */
		if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
			read_orders(k);
		if (fds[0].revents)
			read_signals(k);
		check_deadlines(k);
	}
}

static void end_all(struct keeper *k)
{
	int status;

	if (k->sup_pid > 0 && k->stop_by_ms && units_now_mono_ms() >= k->stop_by_ms)
		kill(k->sup_pid, SIGKILL);
	children_kill_all(&k->children);
	close_fd(&k->sup_chan);
	/* The supervisor commits what it has and goes; workers are dead already. */
	while (waitpid(-1, &status, 0) > 0 || errno == EINTR)
		;
	/* Without CAP_DAC_OVERRIDE this needs a directory of our own, which /run/k6fleet is. */
	unlinkat(k->socket_dir_fd, basename(k->conf->control_socket), 0);
	children_free(&k->children);
	conf_free(k->conf);
}

int main(int argc, char **argv)
{
	struct keeper k = {.signal_fd = -1};

	title_init(argc, argv);
	/* Here, because it touches the whole heap: what a worker needs for one run only (log, result)
	 * goes back to the kernel with free(). */
	mallopt(M_MMAP_THRESHOLD, 8192);
	log_init("k6fleetd", LOG_LEVEL_INFO, false);
	umask(022);
	startup(&k, argc, argv);
	set_up_signals(&k);
	if (k.resumed) {
		/* What died, or was changed in the file, while nobody looked. */
		reload_config(&k, 0);
		reap(&k);
	}
	/* Also overwrites the environment's original bytes, the secret's among them, before the
	 * first fork of a worker. */
	title_set("k6fleetd", "k6fleetd: keeper");
	start_supervisor(&k);
	loop(&k);
	end_all(&k);
	log_info("k6fleetd", "stopped");
	return k.exit_status;
}
