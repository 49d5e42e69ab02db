/* SPDX-License-Identifier: MIT */
/* Gives runs to agents and takes them away.  The row of a run is on disk before the run is sent to
 * its worker; a pause, a drain or a cancellation in between ends the run unsent. */
#include "supervisor/agents_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/allow.h"
#include "common/fdio.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/uuid.h"
#include "common/units.h"
#include "supervisor/runs.h"

/* A change of the offset above this is a step of the wall clock; a smaller change is rounding. */
#define WALL_STEP_MS 5

static const struct target *target_of(const struct agent *ag)
{
	return ag->order ? ag->order->target
			 : targets_find(ag->all->with.targets, ag->run->target_id);
}

static int make_job(const struct agent *ag, const struct target *t, struct err *err)
{
	const struct opt_list *allowed = &ag->all->with.conf->allowed_hosts;
	_cleanup_json_ json_t *object = target_to_json(t, TARGET_FOR_HOST);
	_cleanup_free_ char *text = NULL;
	json_t *hosts = json_array();

	for (size_t i = 0; i < allowed->count; i++)
		json_array_append_new(hosts, json_text(allowed->items[i]));
	json_object_set_new(object, "allowedHosts", hosts);
	json_object_set_new(object, "id", json_text(t->id));
	if (ag->order && t->script) {
		json_object_set_new(object, "vusForScript", json_integer(ag->order->vus));
		json_object_set_new(
			object, "durationMsForScript", json_integer(ag->order->duration_ms));
	}
	text = json_compact(object);
	/* Sealed, so that the content cannot change while the worker reads it. */
	return fdio_seal("k6fleet-job", text, strlen(text), err);
}

static void abandon_unsent(struct agent *ag, enum run_reason reason, const char *message)
{
	runs_abandon(ag->run, reason, message, units_now_wall_ms());
	agent_conclude(ag);
	fleet_store_put_run(ag->all->with.store, ag->run, NULL, NULL);
	agent_drop_run(ag);
}

static void send_run(struct agent *ag, const struct target *t, int fd)
{
	const struct agents_parts *with = &ag->all->with;
	int64_t planned = ag->run->planned_ms;
	const struct msg_work_run run = {
		.run_id = msg_text(agent_run_id(ag)),
		.planned_ms = planned,
		/* For a script the worker takes the time from what k6 prints about its scenarios:
		 * they may have graceful stops, set-up and tear-down beside the duration. */
		.timeout_ms = t->timeout_ms || t->script ? t->timeout_ms : planned,
		.grace_ms = with->conf->run_grace_ms,
		.start_wall_ms = ag->order ? ag->order->start_wall_ms : 0,
		.label = msg_text(t->label[0] ? t->label : t->id),
		.checks_count = t->checks == TARGET_CHECKS_COUNT,
	};
	struct msg_writer m = {0};

	msg_put_work_run(&m, &run);
	ag->run_sent = true;
	agent_send(ag, &m, fd);
}

/* The row is on disk: sends the run to its worker. */
static void on_run_stored(void *arg, const struct err *err)
{
	struct agent *ag = arg;
	const struct agents_parts *with = &ag->all->with;
	const struct target *t = target_of(ag);
	struct err why;
	int fd = -1;

	ag->committing = false;
	if (err) {
		/* There is no row, so the run counts as missed and needs no end. */
		schedule_count_missed(with->schedule, ag->run->target_id);
		agent_drop_run(ag);
		ag->last_result[0] = '\0';
	} else if (ag->fd >= 0 && !ag->eof && ag->alive) {
		if (ag->unwanted)
			abandon_unsent(ag, RUN_REASON_CANCELLED, "cancelled before the run began");
		else if (fleet_slot(with->fleet, ag->slot)->state != FLEET_RUNNING)
			abandon_unsent(ag, RUN_REASON_CANCELLED,
				"the agent was taken away before the run began");
		else if (!t)
			abandon_unsent(ag, RUN_REASON_CANCELLED,
				"the target was deleted before the run began");
		else if ((fd = make_job(ag, t, &why)) < 0)
			abandon_unsent(ag, RUN_REASON_SPAWN_FAILED, why.msg);
		else
			send_run(ag, t, fd);
		if (fd >= 0)
			close(fd);
	}
	if (!ag->run)
		agent_tell_fleet(ag, FLEET_EV_FREE);
	agent_watch(ag);
	agent_read(ag);
	agent_bury(ag);
}

/* Returns NULL, or why allowed_hosts forbids the target. */
static const char *find_forbidden(const struct conf *conf, const struct target *t)
{
	const struct opt_list *allowed = &conf->allowed_hosts;
	_cleanup_free_ char *host = t->url ? allow_url_host(t->url) : NULL;

	/* The hosts of a script are known only when it runs: k6 gets the list. */
	if (!allowed->count || !t->url ||
		(host && allow_host((const char *const *)allowed->items, allowed->count, host)))
		return NULL;
	return "the host of the target's URL is not in allowed_hosts; k6 was not started";
}

static void begin(
	struct agent *ag, const struct target *t, int64_t scheduled_wall, const char *forbidden)
{
	const struct agents_parts *with = &ag->all->with;
	int64_t planned = t->script ? 0 : t->duration_ms;

	if (ag->order && ag->order->duration_ms)
		planned = ag->order->duration_ms;
	ag->run = runs_make(agent_name(ag), with->conf->host_name, t, planned, scheduled_wall,
		units_now_wall_ms());
	ag->run_sent = false;
	ag->unwanted = false;
	if (forbidden) {
		abandon_unsent(ag, RUN_REASON_FORBIDDEN_TARGET, forbidden);
		agent_tell_schedule(ag);
		return;
	}
	ag->committing = true;
	agent_tell_fleet(ag, FLEET_EV_BUSY);
	agent_watch(ag);
	fleet_store_put_run(with->store, ag->run, on_run_stored, ag);
}

/* Returns wall clock minus monotonic clock.  The value stays the same while the wall clock is only
 * slewed, so that agents that are due at one instant get the same time stamp. */
static int64_t wall_offset(struct agents *a)
{
	int64_t offset = units_now_wall_ms() - units_now_mono_ms();

	if (llabs(offset - a->wall_offset_ms) > WALL_STEP_MS)
		a->wall_offset_ms = offset;
	return a->wall_offset_ms;
}

void agents_begin_due(struct agents *a, const struct schedule_due *due)
{
	struct agent *ag = &a->slots[due->slot];
	const struct target *t = targets_find(a->with.targets, due->target_id);

	if (!t || ag->run || ag->fd < 0) {
		/* Should not happen; without this the schedule would take the agent for busy for
		 * ever. */
		schedule_end(a->with.schedule, due->slot);
		agent_tell_schedule(ag);
		return;
	}
	begin(ag, t, due->due_ms + wall_offset(a), find_forbidden(a->with.conf, t));
}

/* --- by order ---------------------------------------------------------------------- */

bool agents_is_idle(const struct agents *a, unsigned int slot)
{
	const struct agent *ag = &a->slots[slot];

	return ag->fd >= 0 && ag->alive && !ag->eof && !ag->run && !ag->committing &&
		fleet_slot(a->with.fleet, slot)->state == FLEET_IDLE;
}

void agents_begin_order(struct agents *a, unsigned int slot, struct order *order, char id[UUID_MAX])
{
	struct agent *ag = &a->slots[slot];
	int64_t now = units_now_wall_ms();
	_cleanup_free_ char *host = targets_host(order->target);

	order->refs++;
	ag->order = order;
	schedule_begin(a->with.schedule, slot, host, targets_cost(a->with.targets, order->target));
	begin(ag, order->target, order->start_wall_ms ? order->start_wall_ms : now, NULL);
	snprintf(id, UUID_MAX, "%s", agent_run_id(ag));
}

const char *agents_forbidden(const struct agents *a, const struct target *t)
{
	return find_forbidden(a->with.conf, t);
}

void agents_order_unref(struct order *order)
{
	if (!order || --order->refs)
		return;
	target_free(order->target);
	free(order);
}

/* --- taking them away ----------------------------------------------------------------- */

static void cancel(struct agent *ag)
{
	if (ag->run_sent)
		agent_send_cancel(ag);
	else
		ag->unwanted = true;
}

void agents_cancel_all(struct agents *a)
{
	for (unsigned int i = 0; i < a->count; i++) {
		if (a->slots[i].fd >= 0 && a->slots[i].run)
			cancel(&a->slots[i]);
	}
}

int agents_find_run(const struct agents *a, const char *run_id)
{
	for (unsigned int i = 0; i < a->count; i++) {
		if (a->slots[i].run && uuid_matches(agent_run_id(&a->slots[i]), run_id))
			return (int)i;
	}
	return -1;
}

const char *agents_run_id(const struct agents *a, unsigned int slot)
{
	return agent_run_id(&a->slots[slot]);
}

void agents_cancel(struct agents *a, unsigned int slot)
{
	if (a->slots[slot].run)
		cancel(&a->slots[slot]);
}
