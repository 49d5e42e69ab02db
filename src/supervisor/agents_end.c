/* SPDX-License-Identifier: MIT */
/* How runs and workers end.  A final row is on disk before its message is consumed.  The entry
 * of a dead worker is freed after its socket has been read to the end and the results in it are
 * on disk. */
#include "supervisor/agents_priv.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/fdio.h"
#include "common/mem.h"
#include "common/units.h"
#include "supervisor/runs.h"

#define RETRY_STORE_S 1.0

/* --- terminal records -------------------------------------------------------- */

static void on_terminal_stored(void *arg, const struct err *err)
{
	struct agent *ag = arg;
	size_t len;
	int fd;

	if (err) {
		/* The message stays in the socket; nothing is lost while the disk is full. */
		ev_timer_stop(ag->all->with.loop, &ag->retry);
		ev_timer_set(&ag->retry, RETRY_STORE_S, 0.);
		ev_timer_start(ag->all->with.loop, &ag->retry);
		return;
	}
	ag->committing = false;
	agent_conclude(ag);
	agent_drop_run(ag);
	if (!ag->eof) {
		/* Consumes the message, which was only peeked at before. */
		chan_recv(ag->fd, ag->all->buf, &len, &fd, false, NULL);
		if (fd >= 0)
			close(fd);
		agent_tell_fleet(ag, FLEET_EV_FREE);
		agent_watch(ag);
	}
	agent_read(ag);
	agent_bury(ag);
}

void agent_store_terminal(struct agent *ag)
{
	ag->committing = true;
	agent_watch(ag);
	fleet_store_put_run(ag->all->with.store, ag->run, on_terminal_stored, ag);
}

void agent_on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct agent *ag = timer->data;

	(void)loop;
	(void)revents;
	fleet_store_put_run(ag->all->with.store, ag->run, on_terminal_stored, ag);
}

void agent_clear(struct agent *ag)
{
	struct ev_loop *loop = ag->all->with.loop;

	ev_io_stop(loop, &ag->io);
	ev_timer_stop(loop, &ag->retry);
	chan_queue_clear(&ag->out);
	close_fd(&ag->fd);
	ag->alive = ag->eof = ag->reported = ag->adopted = ag->stale = ag->killed = false;
	ag->pid = 0;
}

/* How a worker came to its end. */
enum death {
	DEATH_MEANT,   /* it was asked to end and is not wanted any more */
	DEATH_RENEWED, /* it was asked to end and is replaced */
	DEATH_KILLED,  /* this supervisor had it killed */
	DEATH_SIGNAL,
	DEATH_EXIT,
	DEATHS
};

static const struct {
	bool counted; /* counts as a restart, if the slot is still wanted */
	enum agents_restart restart;
	bool unexpected;
} deaths[DEATHS] = {
	[DEATH_MEANT] = {false, AGENTS_RESTART_REQUESTED, false},
	[DEATH_RENEWED] = {true, AGENTS_RESTART_REQUESTED, false},
	[DEATH_KILLED] = {true, AGENTS_RESTART_KILLED, true},
	[DEATH_SIGNAL] = {true, AGENTS_RESTART_SIGNAL, true},
	[DEATH_EXIT] = {true, AGENTS_RESTART_EXIT, true},
};

static enum death death_of(const struct agent *ag)
{
	const struct fleet_slot *fs = fleet_slot(ag->all->with.fleet, ag->slot);

	if (fs->renewing && fs->wanted)
		return DEATH_RENEWED;
	if ((fs->state == FLEET_STOPPING && !fs->wanted) ||
		(fs->asked && !fs->renewing && !ag->killed))
		return DEATH_MEANT;
	if (ag->killed)
		return DEATH_KILLED;
	return WIFSIGNALED(ag->wait_status) ? DEATH_SIGNAL : DEATH_EXIT;
}

/* Called after the fleet has decided what becomes of the slot. */
static void log_death(const struct agent *ag, enum death death, const char *how)
{
	const struct fleet_slot *fs = fleet_slot(ag->all->with.fleet, ag->slot);
	int64_t wait_ms = fs->timer_ms ? fs->timer_ms - units_now_mono_ms() : 0;

	if (death == DEATH_RENEWED && log_limit_allows(&ag->all->limit, 50))
		log_agent_event(LOG_LEVEL_INFO, agent_name(ag), "worker replaced as asked for",
			LOG_INT("restarts", fs->restarts));
	if (!deaths[death].unexpected)
		return;
	if (log_limit_allows(&ag->all->limit, 50))
		log_agent_event(LOG_LEVEL_WARN, agent_name(ag), "worker died", LOG_BARE("how", how),
			LOG_INT("restarts", fs->restarts),
			LOG_INT("next_start_ms",
				fs->state == FLEET_BACKOFF && wait_ms > 0 ? wait_ms : 0));
	if (fs->failures && fs->failures % 10 == 0)
		log_agent_event(LOG_LEVEL_ERROR, agent_name(ag),
			"has died many times in a row; its log lines above say why",
			LOG_INT("times", fs->failures));
}

static void report_storm(struct agents *a)
{
	unsigned int storm = fleet_take_storm(a->with.fleet);

	if (!storm)
		return;
	a->with.events.storm(a->with.events.arg);
	log_event(LOG_LEVEL_WARN, "fleet",
		"most workers died within a second: not a crash loop, all are started again at "
		"once; look for the OOM killer (dmesg)",
		LOG_INT("workers", storm));
}

static void forget_worker(struct agent *ag)
{
	struct msg_writer m = {0};

	msg_put_keep_forget(&m, &(struct msg_keep_forget){ag->slot, ag->generation});
	keeper_link_send(ag->all->with.keeper, &m);
	agent_clear(ag);
	agent_tell_fleet(ag, FLEET_EV_EXIT);
}

void agent_bury(struct agent *ag)
{
	enum death death;
	char how[EXIT_STATUS_TEXT_MAX], text[160];

	if (ag->fd < 0 || ag->alive || !ag->eof || ag->committing)
		return;
	exit_status_text(ag->wait_status, how);
	if (ag->run) {
		/* When the record is on disk, this function is called again. */
		snprintf(text, sizeof(text), "the worker %s died (%s) during the run",
			agent_name(ag), how);
		runs_abandon(ag->run, RUN_REASON_LOST, text, units_now_wall_ms());
		agent_store_terminal(ag);
		return;
	}
	death = death_of(ag);
	if (deaths[death].counted && fleet_slot(ag->all->with.fleet, ag->slot)->wanted)
		ag->all->restarts[deaths[death].restart]++;
	forget_worker(ag);
	log_death(ag, death, how);
	report_storm(ag->all);
}

void agents_on_exited(struct agents *a, const struct msg_keeper_exited *m)
{
	struct agent *ag = m->slot < a->count ? &a->slots[m->slot] : NULL;

	if (!ag || ag->fd < 0 || ag->generation != m->generation)
		return;
	ag->alive = false;
	ag->wait_status = m->wait_status;
	agent_read(ag);
	agent_bury(ag);
}

void agents_on_spawn_failed(struct agents *a, const struct msg_keeper_spawn_failed *m)
{
	if (m->slot >= a->count || fleet_slot(a->with.fleet, m->slot)->generation != m->generation)
		return;
	agent_tell_fleet(&a->slots[m->slot], FLEET_EV_EXIT);
	if (log_limit_allows(&a->limit, 20))
		log_agent_error(a->names[m->slot], "no worker could be started: %.*s; trying again",
			(int)m->why.len, m->why.p);
}
