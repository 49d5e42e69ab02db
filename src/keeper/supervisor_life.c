/* SPDX-License-Identifier: MIT */
/* Starts the supervisor, sends it the workers, and starts another one after its death. */
#include "keeper/supervisor_life.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "keeper/keeper_orders.h"
#include "keeper/supervisor_link.h"
#include "keeper/upgrade.h"

#define SUPERVISOR_STABLE_MS 10000
/* KILL comes from the OOM killer or an operator and is no crash: the next supervisor starts
 * without delay, unless this one lived for less than this time. */
#define SUPERVISOR_KILLED_MS 200
#define SUPERVISOR_DELAY_MAX_MS 10000

/* Sends all that a supervisor needs to go on where the last one stopped. */
static void hand_over(struct keeper *k)
{
	const struct msg_keeper_hello hello = {
		.protocol = MSG_PROTOCOL,
		.memory_bytes = k->memory_bytes,
		.supervisor_restarts = k->sup_restarts,
		.sandbox_level = k->sandbox.level,
		.sandbox_layers = k->sandbox.layers,
		.started_mono_ms = k->started_ms,
		.clock_offset_ms = k->clock_offset_ms,
		.k6_version = msg_text(k->k6_version),
		.control_gid = k->handover.control_gid,
		.read_gid = k->handover.read_gid,
	};
	struct msg_writer m = {0};

	msg_put_keeper_hello(&m, &hello);
	supervisor_link_tell(k, &m, -1);
	/* Before the workers: a supervisor that is stopping must not fill free slots. */
	if (k->stop_signals)
		supervisor_link_tell_signal(
			k, k->stop_signals > 1 ? MSG_SIGNAL_NOW : MSG_SIGNAL_DRAIN);
	for (unsigned int i = 0; i < k->children.high; i++) {
		if (k->children.slots[i].used)
			supervisor_link_tell_worker(k, i, false);
	}
	msg_put_keeper_handed_over(&m, NULL);
	supervisor_link_tell(k, &m, -1);
}

void supervisor_life_start(struct keeper *k)
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
	log_event(LOG_LEVEL_ERROR, "supervisor", "cannot be started, trying again in 1 s",
		LOG_ERROR(err.msg));
	k->sup_restart_at_ms = units_now_mono_ms() + 1000;
}

void supervisor_life_ended(struct keeper *k, int status)
{
	int64_t now = units_now_mono_ms(), lived = now - k->sup_started_ms;
	char how[EXIT_STATUS_TEXT_MAX];

	/* Its last messages, QUIT among them, may still be unread. */
	keeper_orders_read(k);
	supervisor_link_drop(k);
	k->sup_pid = -1;
	if (k->quit)
		return;
	if (k->upgrade.goodbye) {
		upgrade_supervisor_gone(k);
		/* upgrade_supervisor_gone() has returned: this image goes on. */
		k->sup_restart_at_ms = now;
		return;
	}
	/* The supervisor has logged why.  A k6fleetd that cannot start must show it by its exit
	 * status. */
	if (!k->ever_seen && WIFEXITED(status))
		exit(EXIT_START);
	if (lived >= SUPERVISOR_STABLE_MS ||
		(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
			lived >= SUPERVISOR_KILLED_MS))
		k->sup_delay_ms = 0;
	k->sup_restarts++;
	k->sup_restart_at_ms = now + k->sup_delay_ms;
	log_event(LOG_LEVEL_WARN, "supervisor", "died",
		LOG_BARE("how", exit_status_text(status, how)), LOG_INT("after_ms", lived),
		LOG_INT("workers_kept", k->children.alive),
		LOG_INT("next_start_ms", k->sup_delay_ms));
	k->sup_delay_ms = k->sup_delay_ms ? k->sup_delay_ms * 2 : 100;
	if (k->sup_delay_ms > SUPERVISOR_DELAY_MAX_MS)
		k->sup_delay_ms = SUPERVISOR_DELAY_MAX_MS;
}
