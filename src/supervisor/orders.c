/* SPDX-License-Identifier: MIT */
/* An order runs on all agents that were asked for, or on none; with at_most on fewer.  Orders obey
 * the same limits as scheduled runs. */
#include "supervisor/orders.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "supervisor/desired.h"

/* The time until all k6 of a common start are ready.  Measured: 60 ms of CPU each, half as much
 * again as a reserve, and a second of waiting; two seconds at least (docs/architecture.md). */
#define READY_MIN_MS 2000
#define READY_QUIET_MS 1000
#define READY_EACH_MS 90

static int64_t time_to_get_ready_ms(unsigned int agents)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t ms = READY_QUIET_MS + (int64_t)agents * READY_EACH_MS / (cores > 0 ? cores : 1);

	return ms > READY_MIN_MS ? ms : READY_MIN_MS;
}

struct target *orders_make_target(const char *label, const char *script, struct err *err)
{
	struct target *t = target_new();
	struct target_error terr;
	json_t *object =
		json_pack("{s:o, s:o}", "label", json_text(label), "script", json_text(script));
	bool ok = target_apply_json(t, object, true, &terr) == 0 && target_validate(t, &terr) == 0;

	json_decref(object);
	if (!ok) {
		err_set(err, "%s", terr.err.msg);
		target_free(t);
		return NULL;
	}
	free(t->id);
	t->id = x_asprintf("script:%s", label);
	return t;
}

static struct order *make_order(const struct order_request *rq)
{
	struct order *o = x_calloc(1, sizeof(*o));

	o->refs = 1;
	o->target = target_copy(rq->target);
	if (o->target->script) {
		o->vus = rq->vus;
		o->duration_ms = rq->duration_ms;
	} else {
		o->target->vus = rq->vus ? rq->vus : o->target->vus;
		o->target->duration_ms = rq->duration_ms ? rq->duration_ms : o->target->duration_ms;
	}
	/* The target's timeout would cut a longer duration. */
	if (rq->duration_ms && o->target->timeout_ms && o->target->timeout_ms < rq->duration_ms)
		o->target->timeout_ms = rq->duration_ms;
	if (rq->sync)
		o->start_wall_ms = units_now_wall_ms() + time_to_get_ready_ms(rq->agents);
	return o;
}

/* Returns how many more runs of the target the limits allow; sets err if they are fewer than
 * wanted. */
static unsigned int find_room(const struct orders_parts *parts, const struct target *t,
	unsigned int wanted, struct err *err)
{
	_cleanup_free_ char *host = targets_host(t);
	int64_t cost = targets_cost(parts->targets, t);
	unsigned int room = schedule_room(parts->schedule, host, cost);
	const struct schedule_limits *limits = schedule_limits(parts->schedule);
	struct schedule_load load = schedule_load(parts->schedule);
	char budget[UNITS_TEXT_MAX];

	if (room < wanted)
		err_code_set(err, ERR_BUSY,
			"the limits have room for %u more runs of this target at the moment, not %u "
			"(max_concurrent_runs %u, max_per_target %u, memory_budget %s of which %lld MiB "
			"are in use, about %lld MiB a run, %u runs go on)",
			room, wanted, limits->max_runs, limits->max_per_host,
			units_format_size(limits->budget_bytes, budget),
			(long long)(load.used_bytes >> 20), (long long)(cost >> 20), load.active);
	return room;
}

/* Returns how many agents get a run; 0 and err if there are not enough. */
static unsigned int count_agents(
	const struct orders_parts *parts, const struct order_request *rq, struct err *err)
{
	const char *forbidden = agents_forbidden(parts->agents, rq->target);
	const char *obstacle = obstacle_to_run(&parts->obstacle);
	unsigned int desired = desired_count(parts->obstacle.desired);
	unsigned int idle = 0, wanted = rq->agents, room;

	if (obstacle || forbidden) {
		err_code_set(err, obstacle ? ERR_BUSY : ERR_FORBIDDEN, "%s",
			obstacle ? obstacle : forbidden);
		return 0;
	}
	for (unsigned int i = 0; i < desired; i++)
		idle += agents_is_idle(parts->agents, i);
	if (idle < wanted && !(rq->at_most && idle)) {
		err_code_set(err, ERR_BUSY,
			"%u of %u agents are idle, not %u; wait until runs have ended, or: k6fleetctl "
			"scale N",
			idle, desired, wanted);
		return 0;
	}
	wanted = wanted < idle ? wanted : idle;
	room = find_room(parts, rq->target, wanted, err);
	if (room < wanted && !rq->at_most)
		return 0;
	return wanted < room ? wanted : room;
}

/* Gives runs of the order to so many idle agents.  Returns an array of {"id","agent"}, a new
 * reference. */
static json_t *give_out(const struct orders_parts *parts, struct order *order, unsigned int wanted)
{
	unsigned int desired = desired_count(parts->obstacle.desired), done = 0;
	json_t *runs = json_array();

	for (unsigned int i = 0; i < desired && done < wanted; i++) {
		char id[UUID_MAX];

		if (!agents_is_idle(parts->agents, i))
			continue;
		agents_begin_order(parts->agents, i, order, id);
		json_array_append_new(runs,
			json_pack("{s:s, s:o}", "id", id, "agent",
				json_text(agents_name(parts->agents, i))));
		done++;
	}
	return runs;
}

json_t *orders_run(
	const struct orders_parts *parts, const struct order_request *rq, struct err *err)
{
	unsigned int agents = count_agents(parts, rq, err);
	struct order_request sized = *rq;
	struct order *order;
	json_t *runs;

	if (!agents)
		return NULL;
	sized.agents = agents;
	order = make_order(&sized);
	log_event(LOG_LEVEL_INFO, "fleet", "run",
		LOG_QUOTED("target",
			order->target->label[0] ? order->target->label : order->target->id),
		LOG_INT("agents", agents), LOG_YES_NO("sync", rq->sync), LOG_WORD("by", rq->who));
	if (rq->on_accepted)
		rq->on_accepted(rq->arg);
	runs = json_pack("{s:o, s:o}", "runs", give_out(parts, order, agents), "startAt",
		json_time(order->start_wall_ms));
	agents_order_unref(order);
	return runs;
}
