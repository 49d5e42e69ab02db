/* SPDX-License-Identifier: MIT */
/* Verbs of targets and runs: lists, one run, runs by order, their cancellation, output of k6. */
#include "supervisor/verbs_priv.h"

#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/uuid.h"
#include "supervisor/supervisor.h"

#define RUNS_DEFAULT 20
#define RUNS_MAX 10000

/* Lives from the request to the store's callback. */
struct pending {
	struct control_ticket ticket;
};

void verbs_targets(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)request;
	control_respond(ticket, targets_to_json(sup->targets));
}

static void on_runs(void *arg, json_t *result, const struct err *err)
{
	_cleanup_free_ struct pending *p = arg;

	if (err)
		control_refuse(
			p->ticket, "refused", "the local store cannot be read: %s", err->msg);
	else
		control_respond(p->ticket, json_incref(result));
}

static struct pending *pend(struct control_ticket ticket)
{
	struct pending *p = x_calloc(1, sizeof(*p));

	p->ticket = ticket;
	return p;
}

void verbs_runs(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	int64_t limit = json_get_int(request, "limit", RUNS_DEFAULT);

	if (limit < 1 || limit > RUNS_MAX) {
		control_refuse(ticket, "usage", "the number of runs must be 1..%d", RUNS_MAX);
		return;
	}
	fleet_store_list_runs(sup->store, (int)limit, json_get_text(request, "target", ""),
		json_get_text(request, "agent", ""),
		json_is_true(json_object_get(request, "failed")), on_runs, pend(ticket));
}

static void on_run(void *arg, json_t *result, const struct err *err)
{
	_cleanup_free_ struct pending *p = arg;

	if (err)
		control_refuse(
			p->ticket, "refused", "the local store cannot be read: %s", err->msg);
	else if (json_is_null(result))
		control_refuse(p->ticket, "refused", "there is no run of that id on this host");
	else
		control_respond(p->ticket, json_incref(result));
}

static bool names_a_run(const char *text)
{
	return uuid_is_valid(text) || uuid_is_end(text);
}

void verbs_show(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const char *id = json_get_text(request, "run", "");

	if (!names_a_run(id))
		control_refuse(ticket, "usage", "show needs the id of a run, as `runs` prints it");
	else
		fleet_store_get_run(sup->store, id, on_run, pend(ticket));
}

/* Returns the target of a run: a known one, or one made of the script in the request, which the
 * caller frees as *own.  NULL and err if there is none. */
static const struct target *pick_target(
	const struct supervisor *sup, const json_t *request, struct target **own, struct err *err)
{
	const char *script = json_get_text(request, "script", NULL);

	*own = NULL;
	if (!script)
		return targets_resolve(sup->targets, json_get_text(request, "target", ""), err);
	*own = orders_make_target(json_get_text(request, "label", "script"), script, err);
	return *own;
}

void verbs_run(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	int64_t agents = json_get_int(request, "agents", 1), vus = json_get_int(request, "vus", 0);
	int64_t duration = json_get_int(request, "durationMs", 0);
	struct target *own;
	struct order_request rq;
	json_t *started = NULL;
	struct err err;

	if (agents < 1 || agents > LIMIT_WORKERS || vus < 0 || vus > LIMIT_VUS || duration < 0 ||
		duration > DAY_MS) {
		control_refuse(ticket, "usage",
			"run takes 1..%d agents, 1..%d VUs and a duration of up to 24h",
			LIMIT_WORKERS, LIMIT_VUS);
		return;
	}
	rq = (struct order_request){
		.target = pick_target(sup, request, &own, &err),
		.agents = (unsigned int)agents,
		.vus = vus,
		.duration_ms = duration,
		.sync = json_is_true(json_object_get(request, "sync")),
		.who = control_peer(ticket),
	};
	if (rq.target)
		started = orders_run(&sup->orders, &rq, &err);
	target_free(own);
	if (started)
		control_respond(ticket, started);
	else
		control_refuse(ticket, "refused", "%s", err.msg);
}

void verbs_follow(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const json_t *ids = json_object_get(request, "runs");
	json_t *id;
	size_t i;

	if (!json_array_size(ids) || json_array_size(ids) > LIMIT_WORKERS) {
		control_refuse(ticket, "usage", "follow needs the ids of runs");
		return;
	}
	json_array_foreach (ids, i, id) {
		if (!json_is_string(id) || !uuid_is_valid(json_string_value(id))) {
			control_refuse(ticket, "usage", "follow needs the ids of runs");
			return;
		}
	}
	follow_runs(sup->follow, ticket, ids);
}

static void on_run_to_cancel(void *arg, json_t *result, const struct err *err)
{
	_cleanup_free_ struct pending *p = arg;

	if (err)
		control_refuse(
			p->ticket, "refused", "the local store cannot be read: %s", err->msg);
	else if (json_is_object(result))
		control_refuse(p->ticket, "refused", "the run has ended already: %s",
			json_get_text(result, "status", "?"));
	else
		control_refuse(p->ticket, "refused", "there is no run of that id on this host");
}

void verbs_cancel(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const char *id = json_get_text(request, "run", "");
	int slot = agents_find_run(sup->agents, id);

	if (!names_a_run(id)) {
		control_refuse(ticket, "usage",
			"cancel needs the id of a run, as `status` and `runs` print it");
	} else if (slot < 0) {
		fleet_store_get_run(sup->store, id, on_run_to_cancel, pend(ticket));
	} else {
		const char *agent = agents_name(sup->agents, (unsigned int)slot);
		/* The whole id, also if the request has its end only.  Copied, because the id is
		 * freed with the run. */
		_cleanup_free_ char *run = x_strdup(agents_run_id(sup->agents, (unsigned int)slot));

		log_agent_event(LOG_LEVEL_INFO, agent, "run cancelled", LOG_RUN(run),
			LOG_WORD("by", control_peer(ticket)));
		agents_cancel(sup->agents, (unsigned int)slot);
		control_respond(
			ticket, json_pack("{s:s, s:o}", "run", run, "agent", json_text(agent)));
	}
}

void verbs_logs(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	_cleanup_free_ unsigned int *slots =
		x_calloc(desired_count(sup->desired) + 1, sizeof(*slots));
	int n = verbs_pick_agents(sup, ticket, request, slots);

	if (n >= 0)
		logs_watch(sup->logs, ticket, slots, (size_t)n,
			json_is_true(json_object_get(request, "follow")));
}
