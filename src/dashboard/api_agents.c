/* SPDX-License-Identifier: MIT */
/* Calls of hosts and of agents of other makes.  A field that this dashboard does not know is
 * ignored. */
#include <string.h>

#include "common/agent_state.h"
#include "common/body.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/events.h"
#include "dashboard/store_agents.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_targets.h"

static bool is_name(const char *s, bool may_be_empty)
{
	size_t n = s ? strlen(s) : 0;

	return s && n <= LIMIT_NAME_BYTES && (n > 0 || may_be_empty);
}

static json_t *desired_json(const struct dash_store_desired *d)
{
	return json_pack(
		"{s:I, s:I}", "agents", (json_int_t)d->agents, "revision", (json_int_t)d->revision);
}

/* Returns the agents of a call as an array, a new reference: its "agents", or the body itself
 * as the only one; host is set to the call's.  Returns NULL after it has filled the response. */
static json_t *agents_of(struct api_request *req, struct api_response *res, const char **host)
{
	json_t *list, *item;
	size_t i;

	if (!json_is_object(req->json)) {
		api_error(res, 400, "invalid_body", NULL, "the body must be an object");
		return NULL;
	}
	*host = json_get_text(req->json, "host", "");
	if (!is_name(*host, true) ||
		(json_object_get(req->json, "host") &&
			!json_is_string(json_object_get(req->json, "host")))) {
		api_error(res, 400, "invalid_field", "host",
			"host must be a string of up to %d bytes", LIMIT_NAME_BYTES);
		return NULL;
	}
	list = json_object_get(req->json, "agents");
	if (list && !json_is_array(list)) {
		api_error(res, 400, "invalid_field", "agents", "agents must be an array");
		return NULL;
	}
	if (json_array_size(list) > LIMIT_BATCH) {
		api_error(res, 413, "too_large", "agents", "a batch has at most %d agents",
			LIMIT_BATCH);
		return NULL;
	}
	list = list ? json_incref(list) : json_pack("[O]", req->json);
	json_array_foreach (list, i, item) {
		if (!json_is_object(item) || !is_name(json_get_text(item, "name", NULL), false)) {
			api_error(res, 400, "invalid_field", "name",
				"agent %zu has no name of 1 to %d bytes", i, LIMIT_NAME_BYTES);
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int64_t known_or(int64_t n, int64_t otherwise)
{
	return n == BODY_UNKNOWN ? otherwise : n;
}

static bool take_host(struct api_request *req, struct api_response *res, struct dash_store_host *h,
	json_t *agents)
{
	int64_t count = (int64_t)json_array_size(agents);
	struct body_registration b;

	body_registration_read(req->json, &b);
	h->managed = h->has_desired = b.managed;
	h->max_agents = known_or(b.max_agents, count);
	h->version = b.version;
	h->k6_version = b.k6_version;
	h->sandbox = b.sandbox;
	h->desired.agents = known_or(b.desired.agents, count);
	h->desired.revision = known_or(b.desired.revision, 0);
	if (h->max_agents < 0 || h->max_agents > LIMIT_AGENTS || h->desired.agents < 0 ||
		h->desired.agents > LIMIT_AGENTS || h->desired.revision < 0 ||
		h->desired.revision > INT64_MAX / 2) {
		api_error(res, 422, "invalid_field", "desired",
			"maxAgents and desired.agents must be 0..%d, "
			"desired.revision not negative",
			LIMIT_AGENTS);
		return false;
	}
	return true;
}

static int register_all(struct api_request *req, const struct dash_store_host *h, json_t *agents,
	int64_t now, json_t *out, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (agents, i, item) {
		struct body_agent_registration a;
		char id[64];

		body_agent_registration_read(item, &a);
		a.version = a.version ? a.version : h->version;
		a.k6_version = a.k6_version ? a.k6_version : h->k6_version;
		if (dash_store_register_agent(req->api->store, h->host, &a, now, id, err) < 0)
			return -1;
		json_array_append_new(out, json_pack("{s:s, s:s}", "id", id, "name", a.name));
	}
	return 0;
}

static void publish_agents(struct api_request *req, const char *host, const json_t *names)
{
	struct err err;
	json_t *name, *agent;
	size_t i;

	if (!events_wanted(req->api->events))
		return;
	json_array_foreach (names, i, name) {
		enum found found = dash_store_get_agent(
			req->api->store, host, json_string_value(name), &agent, &err);

		if (found == FOUND)
			events_publish(req->api->events, "agent", agent);
		else if (found == FOUND_ERROR)
			events_lost(req->api->events, &err);
	}
}

void api_agents_register(struct api_request *req, struct api_response *res)
{
	struct dash_store *s = req->api->store;
	_cleanup_json_ json_t *out = json_array(), *names = json_array(), *agents = NULL;
	int64_t now = units_now_wall_ms();
	struct dash_store_host h = {0};
	struct dash_store_desired d;
	struct err err;
	json_t *item;
	size_t i;

	agents = agents_of(req, res, &h.host);
	if (!agents || !take_host(req, res, &h, agents))
		return;
	if (api_begin(req, res) < 0)
		return;
	if (dash_store_register_host(
		    s, &h, now, req->api->config->reaper.offline_after_ms, &d, &err) < 0 ||
		register_all(req, &h, agents, now, out, &err) < 0 ||
		dash_store_commit(s, &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	api_reply(res, 200, json_pack("{s:O, s:o}", "agents", out, "desired", desired_json(&d)));
	json_array_foreach (out, i, item)
		json_array_append(names, json_object_get(item, "name"));
	publish_agents(req, h.host, names);
}

/* The agents of a heartbeat that need a reaction. */
struct heard {
	json_t *unknown; /* names of agents that have not registered */
	/* Names of agents whose state differs from before, for readers of events. */
	json_t *changed;
};

static int heartbeat_all(
	struct api *api, const char *host, json_t *agents, struct heard *heard, struct err *err)
{
	int64_t now = units_now_wall_ms();
	bool wanted = events_wanted(api->events);
	json_t *item;
	size_t i;

	json_array_foreach (agents, i, item) {
		struct body_agent_heartbeat a;
		bool news = false;
		enum found known;

		body_agent_heartbeat_read(item, &a);
		a.status = a.status ? a.status : "idle";
		known = dash_store_heartbeat(api->store, host, &a, now, wanted ? &news : NULL, err);
		if (known == FOUND_ERROR)
			return -1;
		if (known == NOT_FOUND)
			json_array_append_new(heard->unknown, json_string(a.name));
		else if (news)
			json_array_append_new(heard->changed, json_string(a.name));
	}
	return 0;
}

static int forget_commands(
	struct dash_store *s, const char *host, const json_t *ids, struct err *err)
{
	json_t *id;
	size_t i;

	json_array_foreach (ids, i, id) {
		if (json_is_string(id) &&
			dash_store_command_done(s, host, json_string_value(id), err) < 0)
			return -1;
	}
	return 0;
}

static bool check_statuses(struct api_response *res, const json_t *agents)
{
	json_t *item;
	size_t i;

	json_array_foreach (agents, i, item) {
		const char *status = json_get_text(item, "status", "idle");

		if (!agent_state_is_known(status)) {
			api_error(res, 422, "invalid_field", "status",
				"agent %zu: \"%.40s\" is no status of an agent", i, status);
			return false;
		}
	}
	return true;
}

void api_agents_heartbeat(struct api_request *req, struct api_response *res)
{
	struct dash_store *s = req->api->store;
	_cleanup_json_ json_t *unknown = json_array(), *changed = json_array(), *agents = NULL;
	struct heard heard = {unknown, changed};
	const json_t *done = json_object_get(req->json, "commandsDone");
	struct dash_store_desired d;
	const char *host;
	struct err err;

	agents = agents_of(req, res, &host);
	if (!agents || !check_statuses(res, agents) || api_begin(req, res) < 0)
		return;
	if (dash_store_touch_host(s, host, units_now_wall_ms(), &d, &err) < 0 ||
		heartbeat_all(req->api, host, agents, &heard, &err) < 0 ||
		forget_commands(s, host, done, &err) < 0 || dash_store_commit(s, &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	api_reply(
		res, 200, json_pack("{s:o, s:O}", "desired", desired_json(&d), "unknown", unknown));
	publish_agents(req, host, changed);
}

/* Reads the desired count and the commands, in one transaction.  Returns 0, or -1 with err and
 * nothing to free. */
static int read_orders(struct dash_store *s, const char *host, int64_t now,
	struct dash_store_desired *d, json_t **commands, struct err *err)
{
	*commands = NULL;
	if (dash_store_begin(s, err) < 0)
		return -1;
	if (dash_store_touch_host(s, host, now, d, err) == 0 &&
		dash_store_command_catch_up(s, host, now, err) == 0 &&
		dash_store_list_commands(s, host, now, commands, err) == 0 &&
		dash_store_commit(s, err) == 0)
		return 0;
	dash_store_rollback(s);
	json_decref(*commands);
	return -1;
}

/* Reads all that a poll returns.  A damaged target must not keep a pause or a cancel from all
 * hosts: *targets is then NULL.  It is read behind the transaction, which SQLite may undo for
 * damage.  Returns 0, or -1 with err and nothing to free. */
static int read_for_host(struct dash_store *s, const char *host, struct dash_store_desired *d,
	json_t **targets, json_t **commands, struct err *err)
{
	int64_t now = units_now_wall_ms();

	*targets = NULL;
	if (read_orders(s, host, now, d, commands, err) < 0)
		return -1;
	if (dash_store_list_targets_for(s, host, now, targets, err) == 0 ||
		err->code == ERR_CORRUPT)
		return 0;
	json_decref(*commands);
	return -1;
}

void api_agents_targets(struct api_request *req, struct api_response *res)
{
	const char *host = req->query(req, "host");
	struct dash_store_desired d;
	json_t *targets, *commands, *answer;
	struct err err;

	if (read_for_host(req->api->store, host ? host : "", &d, &targets, &commands, &err) < 0) {
		api_store_error(res, &err);
		return;
	}
	answer = json_pack("{s:o, s:o}", "desired", desired_json(&d), "commands", commands);
	if (!targets) {
		/* Never an empty list, for which a host would drop its targets.  There is no ETag:
		 * the next poll must not be "unchanged". */
		api_reply(res, 200, answer);
		return;
	}
	json_object_set_new(answer, "targets", targets);
	api_reply(res, 200, answer);
	etag_make(res->body, res->etag);
	if (etag_matches(req->if_none_match, res->etag)) {
		free(res->body);
		res->body = NULL;
		res->body_len = 0;
		res->status = 304;
	}
}

void api_agents_scale(struct api_request *req, struct api_response *res)
{
	struct dash_store *s = req->api->store;
	const json_t *count = json_object_get(req->json, "agents");
	struct dash_store_desired d = {0, 0};
	struct err err;
	enum found known;

	if (!json_is_integer(count)) {
		api_error(res, 400, "invalid_field", "agents", "agents must be an integer");
		return;
	}
	if (json_integer_value(count) < 0 || json_integer_value(count) > LIMIT_AGENTS) {
		api_error(res, 422, "invalid_field", "agents", "agents must be 0..%d, got %lld",
			LIMIT_AGENTS, (long long)json_integer_value(count));
		return;
	}
	if (api_begin(req, res) < 0)
		return;
	known = dash_store_scale_host(s, req->params[0], json_integer_value(count), &d, &err);
	if (known == FOUND_ERROR || dash_store_commit(s, &err) < 0) {
		api_abort(req, res, &err);
	} else if (known == NOT_FOUND) {
		api_error(res, 404, "not_found", NULL, "no host \"%.100s\" has registered",
			req->params[0]);
	} else {
		api_reply(res, 200, json_pack("{s:o}", "desired", desired_json(&d)));
	}
}
