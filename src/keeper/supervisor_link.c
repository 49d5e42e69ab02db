/* SPDX-License-Identifier: MIT */
/* Sends to the supervisor.  Does not start it and does not read its orders. */
#include "keeper/supervisor_link.h"

#include <signal.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "keeper/notify.h"

/* After the second TERM the supervisor has this time to end everything in order. */
#define STOP_NOW_MS 8000

void supervisor_link_drop(struct keeper *k)
{
	close_fd(&k->sup_chan);
	chan_queue_clear(&k->sup_out);
}

void supervisor_link_kill(struct keeper *k, const char *why)
{
	log_event(LOG_LEVEL_WARN, "supervisor", "killed", LOG_INT("supervisor_pid", k->sup_pid),
		LOG_ERROR(why));
	if (k->sup_pid > 0)
		kill(k->sup_pid, SIGKILL);
	/* Nothing more is read from it; supervisor_life_ended() does the rest. */
	supervisor_link_drop(k);
}

void supervisor_link_tell(struct keeper *k, struct msg_writer *m, int fd)
{
	struct err err;

	if (k->sup_chan >= 0) {
		switch (chan_queue_send(&k->sup_out, k->sup_chan, m, fd, &err)) {
		case CHAN_OK:
		case CHAN_AGAIN: break;
		case CHAN_EOF: break; /* the supervisor has died; the keeper reaps it soon */
		case CHAN_ERROR: supervisor_link_kill(k, err.msg); break;
		}
	}
	msg_free(m);
}

void supervisor_link_tell_worker(struct keeper *k, unsigned int slot, bool fresh)
{
	const struct child *c = &k->children.slots[slot];
	const struct msg_keeper_worker worker = {
		.slot = slot,
		.generation = c->generation,
		.pid = (uint32_t)c->pid,
		.started_mono_ms = c->started_mono_ms,
		.alive = c->alive,
		.wait_status = c->wait_status,
		.fresh = fresh,
		.restarts = c->restarts,
		.stale = c->epoch != k->children.epoch,
	};
	struct msg_writer m = {0};

	msg_put_keeper_worker(&m, &worker);
	supervisor_link_tell(k, &m, c->chan);
}

void supervisor_link_tell_signal(struct keeper *k, enum msg_signal what)
{
	struct msg_writer m = {0};

	msg_put_keeper_signal(&m, &(struct msg_keeper_signal){.what = what});
	supervisor_link_tell(k, &m, -1);
}

void supervisor_link_stop(struct keeper *k)
{
	k->stop_signals++;
	notify_send("STOPPING=1");
	if (k->stop_signals == 1) {
		log_event(LOG_LEVEL_INFO, "k6fleetd",
			"stopping: draining, a second signal stops at once",
			LOG_INT("workers", k->children.alive));
		supervisor_link_tell_signal(k, MSG_SIGNAL_DRAIN);
	} else {
		log_event(LOG_LEVEL_INFO, "k6fleetd", "stopping at once",
			LOG_INT("workers", k->children.alive));
		k->stop_by_ms = units_now_mono_ms() + STOP_NOW_MS;
		supervisor_link_tell_signal(k, MSG_SIGNAL_NOW);
	}
}
