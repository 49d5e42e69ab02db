/* SPDX-License-Identifier: MIT */
/*
 * k6fleetd, the keeper: parent of the supervisor and of all workers.  It forks, reaps, hands
 * over descriptors and passes signals on.  It uses no network and decides nothing.  It parses
 * its own configuration file, the supervisor's orders (common/msg.h), and in a hand-over the
 * state that it wrote itself.
 */
#include "config.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
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
#include "keeper/keeper_orders.h"
#include "keeper/notify.h"
#include "keeper/reload.h"
#include "keeper/supervisor_life.h"
#include "keeper/supervisor_link.h"
#include "keeper/upgrade.h"

/* A supervisor that sends nothing for so long is killed. */
#define SUPERVISOR_SILENT_MS 5000
/* If ppoll(2) returns so much later than asked for, the keeper itself did not run. */
#define LATE_MS 1000

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

static void keeper_reap(struct keeper *k)
{
	int status, slot;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == k->sup_pid) {
			supervisor_life_ended(k, status);
			continue;
		}
		if (upgrade_reaped(k, pid, status))
			continue;
		slot = children_reaped(&k->children, pid, status);
		if (slot >= 0) {
			const struct msg_keeper_exited exited = {
				.slot = (uint32_t)slot,
				.generation = k->children.slots[slot].generation,
				.wait_status = status,
			};
			struct msg_writer m = {0};

			msg_put_keeper_exited(&m, &exited);
			supervisor_link_tell(k, &m, -1);
		}
	}
}

static void read_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT: supervisor_link_stop(k); break;
		case SIGHUP:
			/* `systemctl reload` sends only HUP, also after an upgrade of the
			 * package. */
			if (upgrade_is_due(k))
				upgrade_begin(k, 0);
			else
				keeper_reload(k, 0);
			break;
		case SIGUSR2: upgrade_begin(k, 0); break;
		default: break;
		}
	}
	keeper_reap(k);
}

/* Returns the milliseconds until the next deadline; -1: there is none. */
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
	/* A worker that was just forked leaves the table of descriptors in a moment:
	 * children_settle(). */
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
		supervisor_life_start(k);
	if (k->sup_chan >= 0 && now >= k->sup_heard_ms + SUPERVISOR_SILENT_MS)
		supervisor_link_kill(k, "silent for 5 s");
	upgrade_tick(k, now);
	children_settle(&k->children);
	if (k->stop_by_ms && now >= k->stop_by_ms) {
		log_warn("k6fleetd", "the supervisor did not end in time");
		k->quit = true;
	}
}

static void keeper_loop(struct keeper *k)
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
		/* After a pause of the whole host the supervisor was not silent: it did not
		 * run either. */
		if (wait_ms >= 0 && units_now_mono_ms() - before > wait_ms + LATE_MS)
			k->sup_heard_ms = units_now_mono_ms();
		if (fds[1].revents & POLLOUT)
			chan_queue_flush(&k->sup_out, k->sup_chan, NULL);
		/* Orders before exits: the supervisor must hear of a worker before it hears of
		 * its death. */
		if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
			keeper_orders_read(k);
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
	/* The workers are dead; the supervisor commits its records and ends. */
	while (waitpid(-1, &status, 0) > 0 || errno == EINTR)
		;
	/* Without CAP_DAC_OVERRIDE this works only in a directory of the keeper's own user, as
	 * /run/k6fleet is. */
	unlinkat(k->socket_dir_fd, basename(k->conf->control_socket), 0);
	children_free(&k->children);
	conf_free(k->conf);
}

int main(int argc, char **argv)
{
	struct keeper k = {.signal_fd = -1};

	title_init(argc, argv);
	/* free() returns large blocks to the kernel at once: a worker needs log and result
	 * during a run only. */
	mem_return_blocks();
	log_init("k6fleetd", LOG_LEVEL_INFO, false);
	umask(022);
	keeper_startup(&k, argc, argv);
	set_up_signals(&k);
	if (k.resumed) {
		/* The file may have changed, and children may have died, between the two images. */
		keeper_reload(&k, 0);
		keeper_reap(&k);
	}
	/* Overwrites the original bytes of the environment, with the secret in them, before the
	 * first fork of a worker. */
	title_set("k6fleetd", "k6fleetd: keeper");
	supervisor_life_start(&k);
	keeper_loop(&k);
	end_all(&k);
	log_info("k6fleetd", "stopped");
	return k.exit_status;
}
