/* SPDX-License-Identifier: MIT */
/*
 * Results are peeked, committed, then consumed: should this process die in between, the next
 * one finds the message where it was.  A dead worker is forgotten only when its socket has been
 * read to the end and what it said is on disk.
 */
#include "supervisor/agents_priv.h"

#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "common/chan.h"
#include "common/hb.h"
#include "common/fdio.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "supervisor/keeper_link.h"
#include "supervisor/runs.h"

/* If a tick is this late, the supervisor itself was suspended: silent workers get another
 * worker_timeout. */
#define LATE_TICK_MS 5000

const char *agents_name(const struct agents *a, unsigned int slot)
{
	return a->names[slot];
}

int agents_find(const struct agents *a, const char *name)
{
	for (unsigned int i = 0; i < a->count; i++) {
		if (!strcmp(a->names[i], name))
			return (int)i;
	}
	return -1;
}

const char *const agents_restart_names[AGENTS_RESTART_COUNT] = {
#define X(id, name) [AGENTS_RESTART_##id] = name,
	AGENTS_RESTARTS(X)
#undef X
};

uint64_t agents_restart_count(const struct agents *a, enum agents_restart why)
{
	return a->restarts[why];
}

const char *agent_name(const struct agent *ag)
{
	return ag->all->names[ag->slot];
}

/* Whether the agent can take a run. */
void agent_tell_schedule(const struct agent *ag)
{
	const struct agents_parts *with = &ag->all->with;

	schedule_set_idle(with->schedule, ag->slot,
		fleet_slot(with->fleet, ag->slot)->state == FLEET_IDLE && !ag->run &&
			!ag->committing);
}

/* Tells the fleet, then the schedule. */
void agent_tell_fleet(struct agent *ag, enum fleet_event event)
{
	const struct agents_parts *with = &ag->all->with;

	fleet_event(with->fleet, ag->slot, event, units_now_mono_ms());
	agent_tell_schedule(ag);
}

void agent_kill_worker(struct agent *ag, const char *why)
{
	struct msg_writer m = {0};

	if (log_limit_allows(&ag->all->limit, 20))
		log_agent_event(LOG_LEVEL_WARN, agent_name(ag), "worker killed",
			LOG_INT("worker_pid", ag->pid), LOG_ERROR(why));
	ag->killed = true;
	msg_put_keep_kill(&m, &(struct msg_keep_kill){ag->slot, ag->generation, SIGKILL});
	keeper_link_send(ag->all->with.keeper, &m);
}

void agent_watch(struct agent *ag)
{
	struct ev_loop *loop = ag->all->with.loop;

	ev_io_stop(loop, &ag->io);
	if (ag->fd < 0 || ag->eof)
		return;
	ev_io_set(&ag->io, ag->fd, (ag->committing ? 0 : EV_READ) | (ag->out.head ? EV_WRITE : 0));
	if (ag->io.events & (EV_READ | EV_WRITE))
		ev_io_start(loop, &ag->io);
}

void agent_send(struct agent *ag, struct msg_writer *m, int fd)
{
	struct err err;

	if (ag->fd >= 0 && chan_queue_send(&ag->out, ag->fd, m, fd, &err) == CHAN_ERROR)
		agent_kill_worker(ag, err.msg);
	msg_free(m);
	agent_watch(ag);
}

void agent_send_cancel(struct agent *ag)
{
	struct msg_writer m = {0};

	msg_put_work_cancel(&m, &(struct msg_work_cancel){msg_text(agent_run_id(ag))});
	agent_send(ag, &m, -1);
}

static void send_exit(struct agent *ag)
{
	struct msg_writer m = {0};

	msg_put_work_exit(&m, NULL);
	agent_send(ag, &m, -1);
}

void agent_drop_run(struct agent *ag)
{
	schedule_end(ag->all->with.schedule, ag->slot);
	snprintf(ag->last_result, sizeof(ag->last_result), "%s", run_status_names[ag->run->status]);
	runs_free(ag->run);
	ag->run = NULL;
	ag->run_sent = false;
	agents_order_unref(ag->order);
	ag->order = NULL;
	ag->all->with.events.run_left(ag->all->with.events.arg);
}

void agent_conclude(const struct agent *ag)
{
	const struct agents_events *events = &ag->all->with.events;
	const struct run *run = ag->run;

	events->run_ended(events->arg, run);
	log_agent_event(LOG_LEVEL_INFO, agent_name(ag), "run ended", LOG_RUN(run->id),
		LOG_QUOTED("target", run->target_label),
		LOG_WORD("status", run_status_names[run->status]),
		LOG_WORD("reason", run->reason ? run_reason_names[run->reason] : NULL),
		LOG_ERROR(run->message));
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct agent *ag = io->data;
	struct err err;

	(void)loop;
	if (revents & EV_WRITE) {
		if (chan_queue_flush(&ag->out, ag->fd, &err) == CHAN_ERROR)
			agent_kill_worker(ag, err.msg);
		agent_watch(ag);
	}
	if (revents & EV_READ) {
		agent_read(ag);
		agent_bury(ag);
	}
}

static void ask_state(struct agent *ag)
{
	struct msg_writer m = {0};

	msg_put_work_state_req(&m, NULL);
	agent_send(ag, &m, -1);
}

/* Initialises slots up to count; never takes any away. */
static void grow(struct agents *a, unsigned int count)
{
	for (; a->count < count && a->count < LIMIT_WORKERS; a->count++) {
		struct agent *ag = &a->slots[a->count];

		ag->all = a;
		ag->slot = a->count;
		ag->fd = -1;
		chan_queue_init(&ag->out);
		ev_init(&ag->io, on_io);
		ev_init(&ag->retry, agent_on_retry);
		ag->io.data = ag->retry.data = ag;
		conf_agent_name(a->with.conf, a->count, a->names[a->count], sizeof(a->names[0]));
	}
}

/* --- from the keeper --------------------------------------------------------- */

void agents_on_worker(struct agents *a, const struct msg_keeper_worker *w, int fd)
{
	struct agent *ag;

	/* The slot may be above a max_workers that was lowered; its worker still drains. */
	grow(a, w->slot < LIMIT_WORKERS ? w->slot + 1 : 0);
	if (w->slot >= a->count || fd < 0) {
		log_event(LOG_LEVEL_ERROR, "keeper",
			"handed over a worker of a slot that does not exist",
			LOG_INT("slot", w->slot));
		if (fd >= 0)
			close(fd);
		return;
	}
	ag = &a->slots[w->slot];
	fcntl(fd, F_SETFL, O_NONBLOCK);
	ag->fd = fd;
	ag->generation = w->generation;
	ag->pid = w->pid;
	ag->started_mono_ms = w->started_mono_ms;
	/* The keeper's layers, until the worker reports its own; an inherited worker has reported
	 * them to an earlier supervisor. */
	ag->layers = a->with.host->sandbox_layers;
	ag->alive = w->alive;
	ag->wait_status = w->wait_status;
	ag->eof = ag->reported = ag->committing = ag->killed = false;
	ag->adopted = !w->fresh;
	ag->stale = w->stale;
	ev_io_init(&ag->io, on_io, fd, EV_READ);
	ag->io.data = ag;
	/* The fleet was scaled down before the fork was reported, so there was no socket for
	 * WORK_EXIT yet. */
	if (w->fresh && fleet_slot(a->with.fleet, w->slot)->state == FLEET_STOPPING)
		send_exit(ag);
	if (!w->fresh) {
		fleet_adopt(
			a->with.fleet, w->slot, w->generation, w->restarts, units_now_mono_ms());
		ask_state(ag);
	}
	agent_watch(ag);
}

void agents_renew(struct agents *a, bool only_stale)
{
	for (unsigned int i = 0; i < a->count; i++) {
		if (a->slots[i].fd >= 0 && (a->slots[i].stale || !only_stale))
			fleet_renew(a->with.fleet, i, FLEET_RENEW_IDLE, units_now_mono_ms());
	}
}

/* Takes over what earlier supervisors have recorded: each agent's last result, the memory use of
 * each target. */
static void on_last_results(void *arg, json_t *results, const struct err *err)
{
	struct agents *a = arg;

	const json_t *statuses = json_object_get(results, "agents");
	const char *target;
	json_t *used;

	for (unsigned int i = 0; !err && i < a->count; i++) {
		const char *status = json_get_text(statuses, a->names[i], "");

		if (!a->slots[i].last_result[0])
			snprintf(a->slots[i].last_result, sizeof(a->slots[i].last_result), "%s",
				status);
	}
	json_object_foreach (json_object_get(results, "targets"), target, used)
		targets_learn(a->with.targets, target, json_integer_value(used));
}

void agents_on_handed_over(struct agents *a)
{
	a->handed_over = true;
	fleet_store_last_results(a->with.store, on_last_results, a);
	for (unsigned int i = 0; i < a->count; i++) {
		struct agent *ag = &a->slots[i];

		if (ag->fd >= 0 || !ag->run)
			continue;
		runs_abandon(ag->run, RUN_REASON_LOST,
			"k6fleetd was stopped or killed during the run", units_now_wall_ms());
		agent_conclude(ag);
		fleet_store_put_run(a->with.store, ag->run, NULL, NULL);
		agent_drop_run(ag);
	}
}

/* --- what the fleet wants ------------------------------------------------------- */

static void spawn(struct agents *a, const struct fleet_action *action)
{
	struct msg_writer m = {0};

	msg_put_keep_spawn(&m,
		&(struct msg_keep_spawn){action->slot, action->generation,
			fleet_slot(a->with.fleet, action->slot)->restarts});
	keeper_link_send(a->with.keeper, &m);
}

static void perform(struct agents *a, const struct fleet_action *action)
{
	struct agent *ag = &a->slots[action->slot];

	if (action->type == FLEET_DO_SPAWN) {
		spawn(a, action);
		return;
	}
	if (ag->fd < 0 || ag->generation != action->generation)
		return;
	if (action->type == FLEET_DO_DRAIN && log_limit_allows(&a->limit, 50))
		log_agent_event(LOG_LEVEL_INFO, agent_name(ag), "draining",
			LOG_RUN(agent_run_id(ag)),
			LOG_INT("timeout_ms", a->with.conf->drain_timeout_ms));
	else if (action->type == FLEET_DO_EXIT)
		send_exit(ag);
	else if (action->type == FLEET_DO_CANCEL && ag->run && ag->run_sent)
		agent_send_cancel(ag);
	else if (action->type == FLEET_DO_KILL)
		agent_kill_worker(ag, "it did not end in time");
}

void agents_pump(struct agents *a, int64_t now, bool begin_runs)
{
	struct fleet_action action;
	struct schedule_due due;

	fleet_tick(a->with.fleet, now);
	while (fleet_take(a->with.fleet, &action)) {
		perform(a, &action);
		agent_tell_schedule(&a->slots[action.slot]);
	}
	while (begin_runs && schedule_next(a->with.schedule, now, &due))
		agents_begin_due(a, &due);
}

void agents_check_heartbeats(struct agents *a, int64_t now)
{
	/* After this process slept, healthy workers get the time of worker_timeout to beat
	 * again. */
	if (a->last_tick_ms && now - a->last_tick_ms > LATE_TICK_MS)
		a->judge_after_ms = now + a->with.conf->worker_timeout_ms;
	a->last_tick_ms = now;
	if (now < a->judge_after_ms)
		return;
	for (unsigned int i = 0; i < a->count; i++) {
		struct agent *ag = &a->slots[i];
		struct hb_page page;

		if (ag->fd < 0 || !ag->reported || !ag->alive)
			continue;
		if (!hb_read(a->pages, i, (uint64_t)now, &page)) {
			agent_kill_worker(ag, "its heartbeat page makes no sense");
			continue;
		}
		if (ag->run)
			schedule_set_use(a->with.schedule, i, (int64_t)page.k6_rss_bytes);
		if (now - (int64_t)page.beat_mono_ms > a->with.conf->worker_timeout_ms &&
			now - ag->started_mono_ms > a->with.conf->worker_timeout_ms) {
			log_agent_event(LOG_LEVEL_WARN, agent_name(ag), "silent",
				LOG_INT("for_ms", now - (int64_t)page.beat_mono_ms));
			agent_tell_fleet(ag, FLEET_EV_SILENT);
		}
	}
}

/* --- life ------------------------------------------------------------------------ */

/* Gives each run that is still running in the store to its slot. */
static void inherit_runs(struct agents *a, struct run_list *running)
{
	for (size_t i = 0; i < running->count; i++) {
		struct run *run = &running->runs[i];
		int slot = agents_find(a, run->agent ? run->agent : "");

		if (slot >= 0 && !a->slots[slot].run) {
			a->slots[slot].run = x_calloc(1, sizeof(*run));
			*a->slots[slot].run = *run;
			run_init(run);
			continue;
		}
		/* The slot is gone (max_workers or agent_name changed), or has a newer run. */
		runs_abandon(run, RUN_REASON_LOST, "k6fleetd was stopped or killed during the run",
			units_now_wall_ms());
		fleet_store_put_run(a->with.store, run, NULL, NULL);
	}
}

struct agents *agents_new(
	const struct agents_parts *parts, int hb_fd, struct run_list *running, struct err *err)
{
	struct agents *a = x_calloc(1, sizeof(*a));

	a->with = *parts;
	a->pages = hb_map_all(hb_fd, LIMIT_WORKERS, err);
	if (!a->pages) {
		free(a);
		return NULL;
	}
	/* Untouched pages cost no memory. */
	a->slots = x_calloc(LIMIT_WORKERS, sizeof(*a->slots));
	a->names = x_calloc(LIMIT_WORKERS, sizeof(*a->names));
	a->buf = x_calloc(1, MSG_MAX_BYTES);
	grow(a, (unsigned int)a->with.conf->max_workers);
	inherit_runs(a, running);
	return a;
}

void agents_reconfigure(struct agents *a, const struct conf *conf)
{
	a->with.conf = conf;
	grow(a, (unsigned int)conf->max_workers);
}

void agents_free(struct agents *a)
{
	if (!a)
		return;
	for (unsigned int i = 0; i < a->count; i++) {
		agent_clear(&a->slots[i]);
		runs_free(a->slots[i].run);
		agents_order_unref(a->slots[i].order);
	}
	munmap((void *)(uintptr_t)a->pages, (size_t)LIMIT_WORKERS * HB_PAGE_BYTES);
	free(a->slots);
	free(a->names);
	free(a->buf);
	free(a);
}

bool agents_ask_log(struct agents *a, unsigned int slot, enum msg_log what)
{
	struct agent *ag = &a->slots[slot];
	struct msg_writer m = {0};

	if (ag->fd < 0 || !ag->alive || !ag->reported)
		return false;
	msg_put_work_log(&m, &(struct msg_work_log){(uint8_t)what});
	agent_send(ag, &m, -1);
	return true;
}
