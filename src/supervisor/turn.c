/* SPDX-License-Identifier: MIT */
#include "supervisor/turn.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/units.h"

#define TICK_S 1.0
#define PRUNE_S 60.0
#define FIRST_PRUNE_S 5.0
/* After the last worker has gone, records that wait for the dashboard get this long. */
#define FAREWELL_MS 3000

struct turn {
	struct turn_parts with;
	ev_timer wake, tick, prune;
	ev_prepare prepare;
	bool ready_sent;
	int64_t farewell_by_ms;      /* 0: not yet */
	struct msg_keep_status told; /* what the keeper was told last */
	unsigned int last_extent;
	int64_t last_outbox;
};

static void tell_keeper(struct turn *t, enum msg_obstacle obstacle)
{
	const struct msg_keep_status now = {
		.desired = desired_count(t->with.desired),
		.running = fleet_running(t->with.fleet),
		.busy = fleet_busy(t->with.fleet),
		.dashboard = sync_state_for_keeper(sync_state(t->with.sync)),
		.obstacle = obstacle,
	};
	struct msg_writer m = {0};

	if (!t->ready_sent && fleet_is_reached(t->with.fleet)) {
		t->ready_sent = true;
		keeper_link_send_simple(t->with.keeper, MSG_KEEP_READY);
	}
	/* The struct has five u32 and therefore no padding. */
	if (!memcmp(&now, &t->told, sizeof(now)))
		return;
	t->told = now;
	msg_put_keep_status(&m, &now);
	keeper_link_send(t->with.keeper, &m);
}

static void tell_dashboard(struct turn *t)
{
	int64_t outbox = fleet_store_outbox_count(t->with.store);
	unsigned int extent = fleet_extent(t->with.fleet);

	if (outbox > t->last_outbox)
		sync_kick_outbox(t->with.sync);
	if (extent != t->last_extent)
		sync_agents_changed(t->with.sync);
	t->last_outbox = outbox;
	t->last_extent = extent;
}

/* Ends the loop when everything has stopped and the last records have reached the dashboard, or had
 * FAREWELL_MS to. */
static void check_farewell(struct turn *t, int64_t now)
{
	if (!desired_is_stopping(t->with.desired) || !fleet_is_empty(t->with.fleet))
		return;
	if (!t->farewell_by_ms)
		t->farewell_by_ms = now + FAREWELL_MS;
	if (sync_state(t->with.sync) == SYNC_CONNECTED &&
		fleet_store_outbox_count(t->with.store) > 0 && now < t->farewell_by_ms)
		return;
	ev_break(t->with.loop, EVBREAK_ALL);
}

/* Sets the timer for the next turn: when fleet or schedule have something to do. */
static void set_wake(struct turn *t, int64_t now)
{
	int64_t next = schedule_deadline(t->with.schedule);
	int64_t fleet_next = fleet_deadline(t->with.fleet);

	if (fleet_next < next)
		next = fleet_next;
	ev_timer_stop(t->with.loop, &t->wake);
	if (next == INT64_MAX)
		return;
	ev_now_update(t->with.loop);
	/* Half a ms later than asked, because the loop may round down and would turn idly. */
	ev_timer_set(&t->wake, next > now ? (double)(next - now) / 1000 + 0.0005 : 0., 0.);
	ev_timer_start(t->with.loop, &t->wake);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct turn *t = w->data;
	int64_t now = units_now_mono_ms();
	enum msg_obstacle obstacle;

	(void)loop;
	(void)revents;
	if (!desired_has_begun(t->with.desired))
		return;
	/* With an obstacle no run starts, and instants count as missed. */
	obstacle = obstacle_find(&t->with.obstacle);
	schedule_set_paused(t->with.schedule, obstacle != MSG_OBSTACLE_NONE);
	agents_pump(t->with.agents, now, !desired_is_stopping(t->with.desired));
	tell_dashboard(t);
	tell_keeper(t, obstacle);
	fleet_waits_settle(t->with.waits);
	follow_settle(t->with.follow);
	check_farewell(t, now);
	set_wake(t, now);
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
	/* Nothing to do here: waking the loop runs on_prepare(). */
	(void)loop;
	(void)w;
	(void)revents;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct turn *t = w->data;

	(void)loop;
	(void)revents;
	keeper_link_send_simple(t->with.keeper, MSG_KEEP_PING);
	agents_check_heartbeats(t->with.agents, units_now_mono_ms());
	follow_tick(t->with.follow);
	logs_tick(t->with.logs);
	if (fleet_store_state(t->with.store) != FLEET_STORE_OK)
		fleet_store_probe(t->with.store);
}

static void on_prune(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct turn *t = w->data;

	(void)loop;
	(void)revents;
	fleet_store_prune(t->with.store, units_now_wall_ms() - t->with.conf->history_ms,
		t->with.conf->history_bytes);
}

struct turn *turn_new(const struct turn_parts *parts)
{
	struct turn *t = x_calloc(1, sizeof(*t));

	t->with = *parts;
	ev_prepare_init(&t->prepare, on_prepare);
	ev_init(&t->wake, on_wake);
	ev_timer_init(&t->tick, on_tick, 0., TICK_S);
	ev_timer_init(&t->prune, on_prune, FIRST_PRUNE_S, PRUNE_S);
	t->prepare.data = t->tick.data = t->prune.data = t;
	ev_prepare_start(parts->loop, &t->prepare);
	ev_timer_start(parts->loop, &t->tick);
	ev_timer_start(parts->loop, &t->prune);
	return t;
}

void turn_free(struct turn *t)
{
	if (!t)
		return;
	ev_prepare_stop(t->with.loop, &t->prepare);
	ev_timer_stop(t->with.loop, &t->wake);
	ev_timer_stop(t->with.loop, &t->tick);
	ev_timer_stop(t->with.loop, &t->prune);
	free(t);
}

void turn_reconfigure(struct turn *t, const struct conf *conf)
{
	t->with.conf = conf;
}
