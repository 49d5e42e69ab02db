/* SPDX-License-Identifier: MIT */
/* Fills responses and checks requests for the handlers of all calls. Knows no route. */
#include "dashboard/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/events.h"
#include "dashboard/store_audit.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_targets.h"

void api_reply(struct api_response *res, int status, json_t *json)
{
	char *text = json_compact(json);

	json_decref(json);
	free(res->body);
	res->status = status;
	res->body = text;
	res->body_len = strlen(text);
	res->type = "application/json";
}

void api_error(struct api_response *res, int status, const char *code, const char *field,
	const char *fmt, ...)
{
	char text[ERR_MAX];
	json_t *error;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error = json_pack("{s:s, s:o}", "code", code, "message", json_text(text));
	if (field && *field)
		json_object_set_new(error, "field", json_text(field));
	api_reply(res, status, json_pack("{s:o}", "error", error));
}

void api_store_error(struct api_response *res, const struct err *err)
{
	res->retry_after_s = 2;
	api_error(res, 503, "database_unavailable", NULL,
		"the database cannot be used at the moment: %s", err->msg);
}

void api_not_found(struct api_response *res, const char *what, const char *id)
{
	api_error(res, 404, "not_found", NULL, "there is no %s \"%.100s\"", what, id);
}

void api_reply_found(struct api_response *res, enum found found, json_t *json, const char *what,
	const char *id, const struct err *err)
{
	switch (found) {
	case FOUND: api_reply(res, 200, json); break;
	case NOT_FOUND: api_not_found(res, what, id); break;
	case FOUND_ERROR: api_store_error(res, err); break;
	}
}

bool api_only_members(struct api_response *res, const json_t *object, const char *const known[])
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		bool found = false;

		for (size_t i = 0; known[i] && !found; i++)
			found = !strcmp(known[i], key);
		if (!found) {
			api_error(res, 400, "unknown_field", key,
				"there is no field \"%.60s\" here", key);
			return false;
		}
	}
	return true;
}

bool api_is_object(struct api_request *req, struct api_response *res)
{
	if (json_is_object(req->json))
		return true;
	api_error(res, 400, "invalid_body", NULL, "the body must be an object");
	return false;
}

static bool check_range(
	struct api_response *res, const struct api_int *rule, const char *code, int64_t n)
{
	if (n >= rule->min && n <= rule->max)
		return true;
	api_error(res, 422, code, rule->name, "%s must be %lld..%lld, got %lld", rule->name,
		(long long)rule->min, (long long)rule->max, (long long)n);
	return false;
}

bool api_take_int(
	struct api_request *req, struct api_response *res, const struct api_int *rule, int64_t *out)
{
	const json_t *v = json_object_get(req->json, rule->name);

	*out = rule->fallback;
	if (!v)
		return true;
	if (!json_is_integer(v)) {
		api_error(
			res, 400, "invalid_field", rule->name, "%s must be an integer", rule->name);
		return false;
	}
	*out = json_integer_value(v);
	return check_range(res, rule, "invalid_field", *out);
}

bool api_query_int(
	struct api_request *req, struct api_response *res, const struct api_int *rule, int64_t *out)
{
	const char *text = req->query(req, rule->name);

	*out = rule->fallback;
	if (!text || !*text)
		return true;
	if (units_parse_int(text, out, NULL) < 0) {
		api_error(res, 400, "invalid_parameter", rule->name, "%s must be a whole number",
			rule->name);
		return false;
	}
	return check_range(res, rule, "invalid_parameter", *out);
}

bool api_query_time(
	struct api_request *req, struct api_response *res, const char *name, int64_t *out)
{
	const char *text = req->query(req, name);
	struct err err;

	*out = 0;
	if (text && *text && units_parse_time(text, out, &err) < 0) {
		api_error(res, 400, "invalid_parameter", name, "%s", err.msg);
		return false;
	}
	return true;
}

/* --- changes ----------------------------------------------------------------------- */

int api_begin(struct api_request *req, struct api_response *res)
{
	struct err err;

	if (dash_store_begin(req->api->store, &err) == 0)
		return 0;
	api_store_error(res, &err);
	return -1;
}

void api_abort(struct api_request *req, struct api_response *res, const struct err *err)
{
	dash_store_rollback(req->api->store);
	api_store_error(res, err);
}

int api_commit(struct api_request *req, struct api_response *res, const char *action,
	const char *object, const json_t *detail)
{
	const struct dash_store_audit entry = {
		req->admin_name, req->address, action, object, detail};
	struct err err;

	if (dash_store_add_audit(req->api->store, &entry, units_now_wall_ms(), &err) == 0 &&
		dash_store_commit(req->api->store, &err) == 0)
		return 0;
	api_abort(req, res, &err);
	return -1;
}

void api_config_changed(struct api_request *req)
{
	struct dash_store_desired d;
	struct err err;
	bool paused;

	if (dash_store_get_total(req->api->store, &d, &err) == 0 &&
		dash_store_is_paused(req->api->store, &paused, &err) == 0)
		events_publish(req->api->events, "config",
			json_pack("{s:I, s:I, s:b}", "k6DesiredAgentCount", (json_int_t)d.agents,
				"revision", (json_int_t)d.revision, "paused", paused));
	else
		events_lost(req->api->events, &err);
}

void api_target_changed(struct api_request *req, const char *id)
{
	struct err err;
	json_t *target;

	switch (dash_store_get_target(
		req->api->store, id, TARGET_FOR_PUBLIC, &target, NULL, &err)) {
	case FOUND: break;
	case NOT_FOUND: target = json_pack("{s:s, s:b}", "id", id, "deleted", 1); break;
	case FOUND_ERROR: events_lost(req->api->events, &err); return;
	}
	events_publish(req->api->events, "target", target);
}
