/* SPDX-License-Identifier: MIT */
/* Verbs of the fleet as a whole: how it is, how many agents, paused or not, reload, stop. */
#include "supervisor/verbs_priv.h"

#include "config.h"

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sandbox_layers.h"
#include "common/units.h"
#include "supervisor/supervisor.h"

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
	_cleanup_free_ char *why = obstacle_no_k6(&sup->host, sup->conf);

	return json_pack("{s:s, s:o}", "state", why ? "missing" : "ok", "error",
		why ? json_text(why) : json_null());
}

static json_t *storage_status(const struct supervisor *sup)
{
	const char *why = fleet_store_error(sup->store);

	return json_pack("{s:s, s:o}", "state",
		fleet_store_state_name(fleet_store_state(sup->store)), "error",
		*why ? json_text(why) : json_null());
}

void verbs_status(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const struct host_facts *host = &sup->host;

	(void)request;
	control_respond(ticket,
		json_pack(
			"{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:b, s:s, s:o, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o}",
			"version", PACKAGE_VERSION, "host", sup->conf->host_name, "pid",
			host->keeper_pid, "uptimeMs",
			(json_int_t)(units_now_mono_ms() - host->started_mono_ms), "desired",
			(json_int_t)desired_count(sup->desired), "running",
			(json_int_t)fleet_running(sup->fleet), "busy",
			(json_int_t)fleet_busy(sup->fleet), "paused",
			desired_is_paused(sup->desired), "sandbox",
			sandbox_layers_level(host->sandbox_layers, host->sandbox_level),
			"dashboard", dashboard_status(sup), "sandboxLayers",
			sandbox_layers_json(host->sandbox_layers), "supervisorRestarts",
			(json_int_t)host->supervisor_restarts, "k6Version", host->k6_version, "k6",
			k6_status(sup), "storage", storage_status(sup), "counters",
			metrics_text_counters(&sup->sources), "load",
			metrics_text_load(&sup->sources), "agents", agents_status(sup->agents)));
}

void verbs_scale(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
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
	if (desired_is_stopping(sup->desired)) {
		control_refuse(ticket, "refused", "k6fleetd is stopping");
		return;
	}
	desired_set(sup->desired, (unsigned int)n, desired_revision(sup->desired) + 1,
		json_is_true(json_object_get(request, "now")), control_peer(ticket));
	sync_scaled(sup->sync);
	if (wait && !fleet_is_reached(sup->fleet))
		fleet_waits_add(sup->waits, ticket, false);
	else
		control_respond(ticket,
			json_pack("{s:I, s:I}", "desired", (json_int_t)n, "running",
				(json_int_t)fleet_running(sup->fleet)));
}

void verbs_pause(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	bool now = json_is_true(json_object_get(request, "now"));

	desired_pause(sup->desired, true, now, control_peer(ticket));
	if (now)
		agents_cancel_all(sup->agents);
	control_respond(ticket,
		json_pack("{s:b, s:I}", "paused", 1, "busy", (json_int_t)fleet_busy(sup->fleet)));
}

void verbs_resume(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)request;
	desired_pause(sup->desired, false, false, control_peer(ticket));
	control_respond(ticket, json_pack("{s:b}", "paused", 0));
}

int verbs_pick_agents(struct supervisor *sup, struct control_ticket ticket, const json_t *request,
	unsigned int *slots)
{
	const json_t *names = json_object_get(request, "agents");
	unsigned int desired = desired_count(sup->desired);
	json_t *item;
	size_t i;
	int n = 0;

	if (!json_array_size(names)) {
		for (unsigned int slot = 0; slot < desired; slot++)
			slots[n++] = slot;
		return n;
	}
	json_array_foreach (names, i, item) {
		const char *name = json_string_value(item);
		int slot = name ? agents_find(sup->agents, name) : -1;

		if (slot < 0 || (unsigned int)slot >= desired || n >= (int)desired) {
			control_refuse(ticket, "refused",
				"there is no agent \"%.80s\" among the %u that are kept; k6fleetctl "
				"status lists them",
				name ? name : "", desired);
			return -1;
		}
		slots[n++] = (unsigned int)slot;
	}
	return n;
}

void verbs_restart(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	_cleanup_free_ unsigned int *slots =
		x_calloc(desired_count(sup->desired) + 1, sizeof(*slots));
	bool rolling = json_is_true(json_object_get(request, "rolling"));
	int n;

	if (desired_is_stopping(sup->desired)) {
		control_refuse(ticket, "refused", "k6fleetd is stopping");
		return;
	}
	n = verbs_pick_agents(sup, ticket, request, slots);
	if (n < 0)
		return;
	desired_restart(sup->desired, slots, (size_t)n, rolling, control_peer(ticket));
	if (json_is_true(json_object_get(request, "wait")))
		fleet_waits_add(sup->waits, ticket, true);
	else
		control_respond(ticket, json_pack("{s:i, s:b}", "agents", n, "rolling", rolling));
}

void verbs_drain(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	_cleanup_free_ unsigned int *slots =
		x_calloc(desired_count(sup->desired) + 1, sizeof(*slots));
	int n;

	if (!json_array_size(json_object_get(request, "agents"))) {
		control_refuse(ticket, "usage", "drain needs the name of an agent");
		return;
	}
	n = verbs_pick_agents(sup, ticket, request, slots);
	if (n < 0)
		return;
	for (int i = 0; i < n; i++)
		desired_hold(sup->desired, slots[i], agents_name(sup->agents, slots[i]),
			control_peer(ticket));
	control_respond(ticket,
		json_pack("{s:s}", "state",
			fleet_state_names[fleet_slot(sup->fleet, slots[0])->state]));
}

void verbs_stop(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	bool now = json_is_true(json_object_get(request, "now"));

	log_event(LOG_LEVEL_INFO, "control", "stop asked for", LOG_YES_NO("now", now),
		LOG_WORD("by", control_peer(ticket)));
	control_respond(ticket, json_pack("{s:s}", "state", now ? "stopping" : "draining"));
	desired_stop(sup->desired, now || desired_is_stopping(sup->desired));
}

void verbs_ping(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)sup;
	(void)request;
	control_respond(ticket, json_string("pong"));
}

void verbs_version(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	(void)request;
	control_respond(ticket,
		json_pack("{s:s, s:i, s:s}", "version", PACKAGE_VERSION, "protocol",
			CONTROL_PROTOCOL, "k6Version", sup->host.k6_version));
}

void verbs_reload(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	bool binary = json_is_true(json_object_get(request, "binary"));

	log_event(LOG_LEVEL_INFO, "control", "reload asked for", LOG_YES_NO("binary", binary),
		LOG_WORD("by", control_peer(ticket)));
	reload_ask(sup->reload, ticket, binary);
}

void verbs_metrics(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	_cleanup_free_ char *text = metrics_text(&sup->sources);

	(void)request;
	control_respond(ticket, json_pack("{s:s}", "text", text));
}
