/* SPDX-License-Identifier: MIT */
/* Calls of the admin that make commands, which hosts get with their next poll. */
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_runs.h"
#include "dashboard/store_targets.h"

/* Commits and replies 202 with the commands.  Ends the transaction in every case. */
static void finish(
	struct api_request *req, struct api_response *res, const char *action, json_t *made)
{
	if (api_commit(req, res, action, req->params[0], req->json) == 0)
		api_reply(res, 202, json_pack("{s:O}", "commands", made));
}

static bool read_run_request(
	struct api_request *req, struct api_response *res, int64_t *agents, bool *sync)
{
	static const char *const known[] = {"agents", "sync", NULL};
	const json_t *a = json_object_get(req->json, "agents");
	const json_t *b = json_object_get(req->json, "sync");

	*agents = 1;
	*sync = json_is_true(b);
	if (!req->json)
		return true;
	if (!json_is_object(req->json)) {
		api_error(res, 400, "invalid_body", NULL, "the body must be an object");
		return false;
	}
	if (!api_only_members(res, req->json, known))
		return false;
	if ((a && !json_is_integer(a)) || (b && !json_is_boolean(b))) {
		api_error(res, 400, "invalid_field", a && !json_is_integer(a) ? "agents" : "sync",
			"agents must be an integer, sync true or false");
		return false;
	}
	if (a)
		*agents = json_integer_value(a);
	if (*agents < 1 || *agents > LIMIT_AGENTS) {
		api_error(res, 422, "invalid_field", "agents", "agents must be 1..%d, got %lld",
			LIMIT_AGENTS, (long long)*agents);
		return false;
	}
	return true;
}

void api_targets_run(struct api_request *req, struct api_response *res)
{
	struct dash_store *s = req->api->store;
	struct dash_store_order order = {.target_id = req->params[0]};
	_cleanup_json_ json_t *made = json_array();
	enum found found;
	struct err err;

	if (!read_run_request(req, res, &order.agents, &order.sync))
		return;
	found = dash_store_get_target(s, order.target_id, TARGET_FOR_ADMIN, NULL, NULL, &err);
	if (found != FOUND) {
		api_reply_found(res, found, NULL, "target", order.target_id, &err);
		return;
	}
	if (api_begin(req, res) < 0)
		return;
	if (dash_store_command_run(s, &order, units_now_wall_ms(),
		    req->api->config->reaper.offline_after_ms, made, &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	if (!json_array_size(made)) {
		dash_store_rollback(s);
		api_error(res, 409, "no_agents", NULL,
			"no managed host with agents has been heard of lately");
		return;
	}
	log_event(LOG_LEVEL_INFO, "targets", "run now", LOG_WORD("target", order.target_id),
		LOG_INT("agents", order.agents), LOG_INT("hosts", json_array_size(made)));
	finish(req, res, "target.run", made);
}

void api_runs_cancel(struct api_request *req, struct api_response *res)
{
	struct dash_store *s = req->api->store;
	_cleanup_json_ json_t *run = NULL, *made = json_array();
	const char *id = req->params[0];
	enum found found;
	struct err err;

	found = dash_store_get_run_row(s, id, &run, &err);
	if (found != FOUND) {
		api_reply_found(res, found, NULL, "run", id, &err);
		return;
	}
	if (strcmp(json_get_text(run, "status", ""), run_status_names[RUN_RUNNING]) != 0) {
		api_error(res, 409, "not_running", NULL, "the run has ended already: %s",
			json_get_text(run, "status", ""));
		return;
	}
	if (api_begin(req, res) < 0)
		return;
	if (dash_store_command_cancel(
		    s, id, json_get_text(run, "host", ""), units_now_wall_ms(), made, &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	log_event(LOG_LEVEL_INFO, "runs", "cancel", LOG_RUN(id));
	finish(req, res, "run.cancel", made);
}
