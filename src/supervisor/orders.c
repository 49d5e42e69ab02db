/* SPDX-License-Identifier: MIT */
/* All or nothing: who asks for twenty agents at one instant has no use for twelve.  What is asked for
 * obeys the same limits as what is due. */
#include "supervisor/orders.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "supervisor/agents.h"

/* Until all k6 are ready and waiting: measured, 60 ms of CPU each and half as much again, and a second in which
 * they do nothing but wait; two seconds at least (docs/architecture.md). */
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
	/* What limited the planned duration would cut a longer one. */
	if (rq->duration_ms && o->target->timeout_ms && o->target->timeout_ms < rq->duration_ms)
		o->target->timeout_ms = rq->duration_ms;
	if (rq->sync)
		o->start_wall_ms = units_now_wall_ms() + time_to_get_ready_ms(rq->agents);
	return o;
}

/* How many more runs of the target the limits allow; what says which is in the way. */
static unsigned int find_room(
	const struct supervisor *sup, const struct target *t, unsigned int wanted, struct err *err)
{
	_cleanup_free_ char *host = targets_host(t);
	int64_t cost = targets_cost(sup->targets, t);
	unsigned int room = schedule_room(sup->schedule, host, cost);
	const struct schedule_limits *limits = schedule_limits(sup->schedule);
	struct schedule_load load = schedule_load(sup->schedule);
	char budget[UNITS_TEXT_MAX];

	if (room < wanted)
		err_set(err,
			"the limits have room for %u more runs of this target at the moment, not %u "
			"(max_concurrent_runs %u, max_per_target %u, memory_budget %s of which %lld MiB "
			"are in use, about %lld MiB a run, %u runs go on)",
			room, wanted, limits->max_runs, limits->max_per_host,
			units_format_size(limits->budget_bytes, budget),
			(long long)(load.used_bytes >> 20), (long long)(cost >> 20), load.active);
	return room;
}

static const char *find_obstacle(const struct supervisor *sup)
{
	if (!sup->k6_version[0])
		return "there is no k6 on this host; k6fleetctl status says what to do";
	if (sup->stopping)
		return "k6fleetd is stopping";
	if (sup->paused)
		return "the fleet is paused; go on with: k6fleetctl resume";
	if (fleet_store_state(sup->store) != FLEET_STORE_OK)
		return "the local store cannot be written, so the run's record would be lost; "
		       "k6fleetctl status says why";
	return NULL;
}

json_t *orders_run(struct supervisor *sup, const struct order_request *rq, struct err *err)
{
	const char *obstacle = find_obstacle(sup);
	unsigned int idle = 0, wanted = rq->agents, done = 0;
	json_t *runs = json_array();
	struct order_request sized = *rq;
	struct order *order;

	if (!obstacle)
		obstacle = agents_forbidden(sup->agents, rq->target);
	for (unsigned int i = 0; i < sup->desired; i++)
		idle += agents_is_idle(sup->agents, i);
	if (obstacle) {
		err_set(err, "%s", obstacle);
		goto refuse;
	}
	if (idle < wanted && !(rq->at_most && idle)) {
		err_set(err,
			"%u of %u agents are idle, not %u; wait until runs have ended, or: k6fleetctl "
			"scale N",
			idle, sup->desired, wanted);
		goto refuse;
	}
	wanted = wanted < idle ? wanted : idle;
	idle = find_room(sup, rq->target, wanted, err);
	if (idle < wanted && !(rq->at_most && idle))
		goto refuse;
	wanted = wanted < idle ? wanted : idle;
	sized.agents = wanted;
	order = make_order(&sized);
	log_event(LOG_LEVEL_INFO, "fleet", "run",
		LOG_QUOTED("target",
			order->target->label[0] ? order->target->label : order->target->id),
		LOG_INT("agents", wanted), LOG_YES_NO("sync", rq->sync), LOG_WORD("by", rq->who));
	if (rq->on_accepted)
		rq->on_accepted(rq->arg);
	for (unsigned int i = 0; i < sup->desired && done < wanted; i++) {
		char id[UUID_MAX];

		if (!agents_is_idle(sup->agents, i))
			continue;
		agents_begin_order(sup->agents, i, order, id);
		json_array_append_new(runs,
			json_pack("{s:s, s:o}", "id", id, "agent",
				json_text(agents_name(sup->agents, i))));
		done++;
	}
	runs = json_pack("{s:o, s:o}", "runs", runs, "startAt", json_time(order->start_wall_ms));
	agents_order_unref(order);
	return runs;
refuse:
	json_decref(runs);
	return NULL;
}
