/* SPDX-License-Identifier: MIT */
/* One function a verb, in a table.  Reads the supervisor's state, asks main.c for changes. */
#include "supervisor/verbs.h"

#include <string.h>
#include <unistd.h>

#include "config.h"

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sandbox_layers.h"
#include "common/units.h"
#include "common/uuid.h"
#include "supervisor/agents.h"
#include "supervisor/follow.h"
#include "supervisor/logs.h"
#include "supervisor/metrics.h"
#include "supervisor/orders.h"
#include "supervisor/reload.h"
#include "supervisor/sync.h"

#define RUNS_DEFAULT 20
#define RUNS_MAX 10000

typedef void verb_fn(struct supervisor *sup, struct control_ticket ticket, const json_t *request);

/* Lives from the request to the store's answer. */
struct pending {
	struct control_ticket ticket;
};

static json_t *dashboard_status(const struct supervisor *sup)
{
	int64_t contact = sync_last_contact_ms(sup->sync);
	const char *error = sync_last_error(sup->sync);

	return json_pack("{s:s, s:s, s:o, s:I, s:o, s:I}", "url", sup->conf->dashboard.url, "state",
		sync_state_name(sync_state(sup->sync)), "lastContactMs",
		contact < 0 ? json_null() : json_integer(contact), "outbox",
		(json_int_t)fleet_store_outbox_count(sup->store), "error",
		*error ? json_text(error) : json_null(), "heartbeatIntervalMs",
		(json_int_t)sup->conf->dashboard.heartbeat_ms);
}

static json_t *k6_status(const struct supervisor *sup)
{
	_cleanup_free_ char *why = supervisor_no_k6(sup);

	return json_pack("{s:s, s:o}", "state", why ? "missing" : "ok", "error",
		why ? json_text(why) : json_null());
}

static void verb_status(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)request;
	control_answer(ticket,
		json_pack(
			"{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:b, s:s, s:o, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o}",
			"version", PACKAGE_VERSION, "host", sup->conf->host_name, "pid",
			sup->keeper_pid, "uptimeMs",
			(json_int_t)(units_now_mono_ms() - sup->started_mono_ms), "desired",
			(json_int_t)sup->desired, "running", (json_int_t)supervisor_running(sup),
			"busy", (json_int_t)supervisor_busy(sup), "paused", sup->paused, "sandbox",
			sandbox_layers_level(sup->sandbox_layers, sup->sandbox_level), "dashboard",
			dashboard_status(sup), "sandboxLayers",
			sandbox_layers_json(sup->sandbox_layers), "supervisorRestarts",
			(json_int_t)sup->supervisor_restarts, "k6Version", sup->k6_version, "k6",
			k6_status(sup), "storage",
			json_pack("{s:s, s:o}", "state",
				fleet_store_state_name(fleet_store_state(sup->store)), "error",
				fleet_store_error(sup->store)[0]
					? json_text(fleet_store_error(sup->store))
					: json_null()),
			"counters", metrics_counters(sup), "load", metrics_load(sup), "agents",
			agents_status(sup->agents)));
}

static void verb_scale(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const json_t *count = json_object_get(request, "agents");
	int64_t n = json_is_integer(count) ? json_integer_value(count) : -1;
	bool wait = json_is_true(json_object_get(request, "wait"));

	if (n < 0) {
		control_refuse(ticket, "usage", "scale needs a number of agents, 0 or more");
		return;
	}
	if (n > sup->conf->max_workers) {
		control_refuse(ticket, "refused",
			"cannot scale to %lld: max_workers is %lld; raise it in the "
			"configuration and reload",
			(long long)n, (long long)sup->conf->max_workers);
		return;
	}
	if (sup->stopping) {
		control_refuse(ticket, "refused", "k6fleetd is stopping");
		return;
	}
	supervisor_set_desired(sup, (unsigned int)n, sup->revision + 1,
		json_is_true(json_object_get(request, "now")), control_peer(ticket));
	if (sup->sync)
		sync_scaled(sup->sync);
	if (wait && !fleet_is_reached(sup->fleet))
		control_wait_for_fleet(ticket, false);
	else
		control_answer(ticket,
			json_pack("{s:I, s:I}", "desired", (json_int_t)n, "running",
				(json_int_t)supervisor_running(sup)));
}

static void verb_targets(
	struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)request;
	control_answer(ticket, targets_to_json(sup->targets));
}

static void on_runs(void *arg, json_t *result, const struct err *err)
{
	_cleanup_free_ struct pending *p = arg;

	if (err)
		control_refuse(
			p->ticket, "refused", "the local store cannot be read: %s", err->msg);
	else
		control_answer(p->ticket, json_incref(result));
}

static struct pending *pend(struct control_ticket ticket)
{
	struct pending *p = x_calloc(1, sizeof(*p));

	p->ticket = ticket;
	return p;
}

static void verb_runs(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
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
		control_answer(p->ticket, json_incref(result));
}

static bool names_a_run(const char *text)
{
	return uuid_is_valid(text) || uuid_is_end(text);
}

static void verb_show(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const char *id = json_get_text(request, "run", "");

	if (!names_a_run(id))
		control_refuse(ticket, "usage", "show needs the id of a run, as `runs` prints it");
	else
		fleet_store_get_run(sup->store, id, on_run, pend(ticket));
}

static void verb_ping(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)sup;
	(void)request;
	control_answer(ticket, json_string("pong"));
}

static void verb_version(
	struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)request;
	control_answer(ticket,
		json_pack("{s:s, s:i, s:s}", "version", PACKAGE_VERSION, "protocol",
			CONTROL_PROTOCOL, "k6Version", sup->k6_version));
}

static void verb_pause(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	supervisor_pause(
		sup, true, json_is_true(json_object_get(request, "now")), control_peer(ticket));
	control_answer(ticket,
		json_pack("{s:b, s:I}", "paused", 1, "busy", (json_int_t)supervisor_busy(sup)));
}

static void verb_resume(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)request;
	supervisor_pause(sup, false, false, control_peer(ticket));
	control_answer(ticket, json_pack("{s:b}", "paused", 0));
}

/* Slots that the request names, all desired ones without a name.  -1 after a refusal. */
static int pick_agents(struct supervisor *sup, struct control_ticket ticket, const json_t *request,
	unsigned int *slots)
{
	const json_t *names = json_object_get(request, "agents");
	json_t *item;
	size_t i;
	int n = 0;

	if (!json_array_size(names)) {
		for (unsigned int slot = 0; slot < sup->desired; slot++)
			slots[n++] = slot;
		return n;
	}
	json_array_foreach (names, i, item) {
		const char *name = json_string_value(item);
		int slot = name ? agents_find(sup->agents, name) : -1;

		if (slot < 0 || (unsigned int)slot >= sup->desired || n >= (int)sup->desired) {
			control_refuse(ticket, "refused",
				"there is no agent \"%.80s\" among the %u that are kept; k6fleetctl "
				"status lists them",
				name ? name : "", sup->desired);
			return -1;
		}
		slots[n++] = (unsigned int)slot;
	}
	return n;
}

static void verb_restart(
	struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	_cleanup_free_ unsigned int *slots = x_calloc(sup->desired + 1, sizeof(*slots));
	bool rolling = json_is_true(json_object_get(request, "rolling"));
	int n;

	if (sup->stopping) {
		control_refuse(ticket, "refused", "k6fleetd is stopping");
		return;
	}
	n = pick_agents(sup, ticket, request, slots);
	if (n < 0)
		return;
	supervisor_restart(sup, slots, (size_t)n, rolling, control_peer(ticket));
	if (json_is_true(json_object_get(request, "wait")))
		control_wait_for_fleet(ticket, true);
	else
		control_answer(ticket, json_pack("{s:i, s:b}", "agents", n, "rolling", rolling));
}

static void verb_drain(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	_cleanup_free_ unsigned int *slots = x_calloc(sup->desired + 1, sizeof(*slots));
	int n;

	if (!json_array_size(json_object_get(request, "agents"))) {
		control_refuse(ticket, "usage", "drain needs the name of an agent");
		return;
	}
	n = pick_agents(sup, ticket, request, slots);
	if (n < 0)
		return;
	for (int i = 0; i < n; i++)
		supervisor_hold(sup, slots[i], control_peer(ticket));
	control_answer(ticket,
		json_pack("{s:s}", "state",
			fleet_state_names[fleet_slot(sup->fleet, slots[0])->state]));
}

/* How long a script is run at most by --duration, as for targets. */
#define RUN_DURATION_MAX_MS (86400 * 1000LL)

/* What to run: a target that is known, or a script that comes along.  NULL and err; *own is to be freed by
 * the caller. */
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

static void verb_run(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	int64_t agents = json_get_int(request, "agents", 1), vus = json_get_int(request, "vus", 0);
	int64_t duration = json_get_int(request, "durationMs", 0);
	struct target *own;
	struct order_request rq;
	json_t *started = NULL;
	struct err err;

	if (agents < 1 || agents > CONF_WORKERS_MAX || vus < 0 || vus > 10000 || duration < 0 ||
		duration > RUN_DURATION_MAX_MS) {
		control_refuse(ticket, "usage",
			"run takes 1..%d agents, 1..10000 VUs and a duration of up to 24h",
			CONF_WORKERS_MAX);
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
		started = orders_run(sup, &rq, &err);
	target_free(own);
	if (started)
		control_answer(ticket, started);
	else
		control_refuse(ticket, "refused", "%s", err.msg);
}

static void verb_follow(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const json_t *ids = json_object_get(request, "runs");
	json_t *id;
	size_t i;

	if (!json_array_size(ids) || json_array_size(ids) > CONF_WORKERS_MAX) {
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

	if (!err && json_is_object(result))
		control_refuse(p->ticket, "refused", "the run has ended already: %s",
			json_get_text(result, "status", "?"));
	else
		control_refuse(p->ticket, "refused", "there is no run of that id on this host");
}

static void verb_cancel(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
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
		/* Whole, whatever part of it was given; it goes with the run. */
		_cleanup_free_ char *run = x_strdup(agents_run_id(sup->agents, (unsigned int)slot));

		log_agent_event(LOG_LEVEL_INFO, agent, "run cancelled", LOG_RUN(run),
			LOG_WORD("by", control_peer(ticket)));
		agents_cancel(sup->agents, (unsigned int)slot);
		control_answer(
			ticket, json_pack("{s:s, s:o}", "run", run, "agent", json_text(agent)));
	}
}

static void verb_logs(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	_cleanup_free_ unsigned int *slots = x_calloc(sup->desired + 1, sizeof(*slots));
	int n = pick_agents(sup, ticket, request, slots);

	if (n >= 0)
		logs_watch(sup->logs, ticket, slots, (size_t)n,
			json_is_true(json_object_get(request, "follow")));
}

static void verb_reload(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	bool binary = json_is_true(json_object_get(request, "binary"));

	log_event(LOG_LEVEL_INFO, "control", "reload asked for", LOG_YES_NO("binary", binary),
		LOG_WORD("by", control_peer(ticket)));
	reload_ask(sup, ticket, binary);
}

static void verb_metrics(
	struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	_cleanup_free_ char *text = metrics_text(sup);

	(void)request;
	control_answer(ticket, json_pack("{s:s}", "text", text));
}

static void verb_stop(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	bool now = json_is_true(json_object_get(request, "now"));

	log_event(LOG_LEVEL_INFO, "control", "stop asked for", LOG_YES_NO("now", now),
		LOG_WORD("by", control_peer(ticket)));
	control_answer(ticket, json_pack("{s:s}", "state", now ? "stopping" : "draining"));
	supervisor_stop(sup, now || sup->stopping);
}

static const struct verb {
	const char *name;
	verb_fn *fn;
	bool reads; /* changes nothing: for control_read_group, too */
} verbs[] = {
	{"status", verb_status, true},
	{"scale", verb_scale, false},
	{"targets", verb_targets, true},
	{"runs", verb_runs, true},
	{"show", verb_show, true},
	{"restart", verb_restart, false},
	{"drain", verb_drain, false},
	{"run", verb_run, false},
	{"follow", verb_follow, true},
	{"cancel", verb_cancel, false},
	{"logs", verb_logs, true},
	{"reload", verb_reload, false},
	{"metrics", verb_metrics, true},
	{"pause", verb_pause, false},
	{"resume", verb_resume, false},
	{"ping", verb_ping, true},
	{"version", verb_version, true},
	{"stop", verb_stop, false},
};

void verbs_handle(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const char *name = json_get_text(request, "verb", "");

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		if (verbs[i].reads || control_may_change(ticket))
			verbs[i].fn(sup, ticket, request);
		else
			control_refuse(ticket, "denied",
				"%s changes things, and you may only read (control_read_group); ask "
				"somebody who may, or use sudo",
				name);
		return;
	}
	control_refuse(ticket, "usage", "there is no verb \"%.40s\"", name);
}
