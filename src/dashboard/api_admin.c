/* SPDX-License-Identifier: MIT */
/* Calls of the admin: targets and the desired count. */
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/live.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_targets.h"

static void _cleanup_target(struct target **t)
{
	target_free(*t);
}

#define _cleanup_target_ __attribute__((cleanup(_cleanup_target)))

static void target_error(struct api_response *res, const struct target_error *e)
{
	api_error(res, e->err.code == ERR_OUT_OF_RANGE ? 422 : 400,
		e->err.code == ERR_UNKNOWN_FIELD ? "unknown_field" : "invalid_field", e->field,
		"%s", e->err.msg);
}

static void reply_target(
	struct api_request *req, struct api_response *res, int status, const char *id)
{
	struct err err;
	json_t *json = NULL;
	enum found found =
		dash_store_get_target(req->api->store, id, TARGET_FOR_ADMIN, &json, NULL, &err);

	api_reply_found(res, found, json, "target", id, &err);
	if (found == FOUND)
		res->status = status;
}

void api_targets_create(struct api_request *req, struct api_response *res)
{
	_cleanup_target_ struct target *t = target_new();
	struct target_error terr = {0};
	struct err err;

	if (target_apply_json(t, req->json, true, &terr) < 0 || target_validate(t, &terr) < 0) {
		target_error(res, &terr);
		return;
	}
	if (api_begin(req, res) < 0)
		return;
	if (dash_store_insert_target(req->api->store, t, units_now_wall_ms(), &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	if (api_commit(req, res, "target.create", t->id, NULL) < 0)
		return;
	log_event(LOG_LEVEL_INFO, "targets", "created", LOG_WORD("target", t->id),
		LOG_QUOTED("label", t->label));
	reply_target(req, res, 201, t->id);
	snprintf(res->location, sizeof(res->location), "/api/admin/k6/targets/%s", t->id);
	api_target_changed(req, t->id);
}

void api_targets_get(struct api_request *req, struct api_response *res)
{
	reply_target(req, res, 200, req->params[0]);
}

/* Returns the names of the fields for the audit trail.  Their values may be secrets. */
static json_t *changed_fields(const json_t *patch)
{
	json_t *names = json_array(), *value;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)patch, key, value)
		json_array_append_new(names, json_string(key));
	return json_pack("{s:o}", "fields", names);
}

void api_targets_patch(struct api_request *req, struct api_response *res)
{
	_cleanup_target_ struct target *t = NULL;
	_cleanup_json_ json_t *changed = NULL;
	struct target_error terr = {0};
	enum found found;
	struct err err;

	found = dash_store_get_target(
		req->api->store, req->params[0], TARGET_FOR_ADMIN, NULL, &t, &err);
	if (found != FOUND) {
		api_reply_found(res, found, NULL, "target", req->params[0], &err);
		return;
	}
	if (target_apply_json(t, req->json, true, &terr) < 0 || target_validate(t, &terr) < 0) {
		target_error(res, &terr);
		return;
	}
	if (api_begin(req, res) < 0)
		return;
	if (dash_store_update_target(req->api->store, t, units_now_wall_ms(), &err) ==
		FOUND_ERROR) {
		api_abort(req, res, &err);
		return;
	}
	changed = changed_fields(req->json);
	if (api_commit(req, res, "target.update", t->id, changed) < 0)
		return;
	log_event(LOG_LEVEL_INFO, "targets", "changed", LOG_WORD("target", t->id),
		LOG_QUOTED("label", t->label));
	reply_target(req, res, 200, t->id);
	api_target_changed(req, t->id);
}

void api_targets_delete(struct api_request *req, struct api_response *res)
{
	struct err err;
	enum found done;

	if (api_begin(req, res) < 0)
		return;
	done = dash_store_delete_target(req->api->store, req->params[0], &err);
	if (done == FOUND_ERROR) {
		api_abort(req, res, &err);
	} else if (done == NOT_FOUND) {
		dash_store_rollback(req->api->store);
		api_not_found(res, "target", req->params[0]);
	} else if (api_commit(req, res, "target.delete", req->params[0], NULL) == 0) {
		log_event(LOG_LEVEL_INFO, "targets", "deleted", LOG_WORD("target", req->params[0]));
		live_forget_target(req->api->live, req->params[0]);
		api_target_changed(req, req->params[0]);
		res->status = 204;
	}
}

void api_targets_list(struct api_request *req, struct api_response *res)
{
	struct err err;
	json_t *list;

	if (dash_store_list_targets(req->api->store, TARGET_FOR_ADMIN, &list, &err) < 0)
		api_store_error(res, &err);
	else
		api_reply(res, 200, json_pack("{s:o}", "items", list));
}

void api_config_get(struct api_request *req, struct api_response *res)
{
	struct dash_store_desired d;
	struct err err;

	if (dash_store_get_total(req->api->store, &d, &err) < 0)
		api_store_error(res, &err);
	else
		api_reply(res, 200,
			json_pack("{s:I, s:I}", "k6DesiredAgentCount", (json_int_t)d.agents,
				"revision", (json_int_t)d.revision));
}

void api_config_put(struct api_request *req, struct api_response *res)
{
	static const char *const known[] = {"k6DesiredAgentCount", "revision", NULL};
	struct dash_store *s = req->api->store;
	const json_t *count;
	struct err err;
	int64_t n;

	if (!json_is_object(req->json)) {
		api_error(res, 400, "invalid_body", NULL, "the body must be an object");
		return;
	}
	if (!api_only_members(res, req->json, known))
		return;
	count = json_object_get(req->json, "k6DesiredAgentCount");
	if (!json_is_integer(count)) {
		api_error(res, 400, "invalid_field", "k6DesiredAgentCount",
			"k6DesiredAgentCount must be an integer");
		return;
	}
	n = json_integer_value(count);
	if (n < 0 || n > LIMIT_AGENTS) {
		api_error(res, 422, "invalid_field", "k6DesiredAgentCount",
			"k6DesiredAgentCount must be 0..%d, got %lld", LIMIT_AGENTS, (long long)n);
		return;
	}
	if (api_begin(req, res) < 0)
		return;
	if (dash_store_set_total(s, n, units_now_wall_ms(),
		    req->api->config->reaper.offline_after_ms, &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	if (api_commit(req, res, "config.scale", "", req->json) < 0)
		return;
	log_event(LOG_LEVEL_INFO, "config", "desired", LOG_INT("agents", n));
	api_config_get(req, res);
	api_config_changed(req);
}
