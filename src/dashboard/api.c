/* SPDX-License-Identifier: MIT */
/* The routes, and what is common to all calls: credentials, content type, JSON, errors. */
#include "dashboard/api.h"
#include "dashboard/assets.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "common/hash.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/events.h"
#include "dashboard/store.h"
#include "dashboard/store_audit.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_targets.h"
#include "dashboard/throttle.h"

enum access { ACCESS_OPEN, ACCESS_READ, ACCESS_AGENT, ACCESS_ADMIN };

enum body { NO_BODY, BODY, BODY_OPTIONAL, BODY_RUNS };

static void page(struct api_request *req, struct api_response *res);
static void asset(struct api_request *req, struct api_response *res);
static void healthz(struct api_request *req, struct api_response *res);
static void readyz(struct api_request *req, struct api_response *res);

/* clang-format off */
/* {} stands for one path segment, {*} for all that follow. */
static const struct route {
	const char *method, *path;
	enum access access;
	enum body body;
	api_handler *handler;
} routes[] = {
	{"GET", "/", ACCESS_OPEN, NO_BODY, page},
	{"GET", "/agents/k6", ACCESS_OPEN, NO_BODY, page},
	{"GET", "/agents/k6/sites", ACCESS_OPEN, NO_BODY, page},
	{"GET", "/agents/k6/sites/{}", ACCESS_OPEN, NO_BODY, page},
	{"GET", "/agents/k6/runs", ACCESS_OPEN, NO_BODY, page},
	{"GET", "/agents/k6/runs/{}", ACCESS_OPEN, NO_BODY, page},
	{"GET", "/assets/{*}", ACCESS_OPEN, NO_BODY, asset},
	{"GET", "/healthz", ACCESS_OPEN, NO_BODY, healthz},
	{"GET", "/readyz", ACCESS_OPEN, NO_BODY, readyz},
	{"POST", "/api/k6/agents/register", ACCESS_AGENT, BODY, api_agents_register},
	{"POST", "/api/k6/agents/heartbeat", ACCESS_AGENT, BODY, api_agents_heartbeat},
	{"GET", "/api/k6/targets", ACCESS_AGENT, NO_BODY, api_agents_targets},
	{"POST", "/api/k6/runs", ACCESS_AGENT, BODY_RUNS, api_agents_runs},
	{"POST", "/api/k6/hosts/{}/scale", ACCESS_AGENT, BODY, api_agents_scale},
	{"POST", "/api/admin/k6/targets", ACCESS_ADMIN, BODY, api_targets_create},
	{"GET", "/api/admin/k6/targets", ACCESS_ADMIN, NO_BODY, api_targets_list},
	{"GET", "/api/admin/k6/targets/export", ACCESS_ADMIN, NO_BODY, api_targets_export},
	{"POST", "/api/admin/k6/targets/import", ACCESS_ADMIN, BODY, api_targets_import},
	{"GET", "/api/admin/k6/targets/{}", ACCESS_ADMIN, NO_BODY, api_targets_get},
	{"PATCH", "/api/admin/k6/targets/{}", ACCESS_ADMIN, BODY, api_targets_patch},
	{"DELETE", "/api/admin/k6/targets/{}", ACCESS_ADMIN, NO_BODY, api_targets_delete},
	{"POST", "/api/admin/k6/targets/{}/run", ACCESS_ADMIN, BODY_OPTIONAL, api_targets_run},
	{"POST", "/api/admin/k6/runs/{}/cancel", ACCESS_ADMIN, NO_BODY, api_runs_cancel},
	{"PUT", "/api/admin/k6/hosts/{}", ACCESS_ADMIN, BODY, api_host_put},
	{"POST", "/api/admin/k6/reconcile", ACCESS_ADMIN, NO_BODY, api_reconcile},
	{"POST", "/api/admin/k6/pause", ACCESS_ADMIN, BODY_OPTIONAL, api_pause},
	{"POST", "/api/admin/k6/resume", ACCESS_ADMIN, BODY_OPTIONAL, api_resume},
	{"GET", "/api/admin/audit", ACCESS_ADMIN, NO_BODY, api_audit_list},
	{"GET", "/api/admin/config", ACCESS_ADMIN, NO_BODY, api_config_get},
	{"PUT", "/api/admin/config", ACCESS_ADMIN, BODY, api_config_put},
	{"GET", "/api/dashboard/k6/targets", ACCESS_READ, NO_BODY, api_read_targets},
	{"GET", "/api/dashboard/k6/agents", ACCESS_READ, NO_BODY, api_read_agents},
	{"GET", "/api/dashboard/k6/hosts", ACCESS_READ, NO_BODY, api_read_hosts},
	{"GET", "/api/dashboard/k6/series", ACCESS_READ, NO_BODY, api_read_fleet_series},
	{"GET", "/api/dashboard/k6/overview", ACCESS_READ, NO_BODY, api_read_overview},
	{"GET", "/api/dashboard/k6/targets/{}/series", ACCESS_READ, NO_BODY, api_read_series},
	{"GET", "/api/dashboard/k6/runs.csv", ACCESS_READ, NO_BODY, api_read_runs_csv},
	{"GET", "/api/events", ACCESS_READ, NO_BODY, api_events},
	{"GET", "/api/metrics", ACCESS_READ, NO_BODY, api_metrics},
	{"GET", "/api/dashboard/k6/runs", ACCESS_READ, NO_BODY, api_read_runs},
	{"GET", "/api/dashboard/k6/runs/{}", ACCESS_READ, NO_BODY, api_read_run},
};
/* clang-format on */

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

bool api_take_int(struct api_request *req, struct api_response *res, const char *name, int64_t min,
	int64_t max, int64_t fallback, int64_t *out)
{
	const json_t *v = json_object_get(req->json, name);

	*out = fallback;
	if (!v)
		return true;
	if (!json_is_integer(v)) {
		api_error(res, 400, "invalid_field", name, "%s must be an integer", name);
		return false;
	}
	*out = json_integer_value(v);
	if (*out < min || *out > max) {
		api_error(res, 422, "invalid_field", name, "%s must be %lld..%lld, got %lld", name,
			(long long)min, (long long)max, (long long)*out);
		return false;
	}
	return true;
}

bool api_query_int(struct api_request *req, struct api_response *res, const char *name, int64_t min,
	int64_t max, int64_t fallback, int64_t *out)
{
	const char *text = req->query(req, name);

	*out = fallback;
	if (!text || !*text)
		return true;
	if (units_parse_int(text, out, NULL) < 0) {
		api_error(res, 400, "invalid_parameter", name, "%s must be a whole number", name);
		return false;
	}
	if (*out < min || *out > max) {
		api_error(res, 422, "invalid_parameter", name, "%s must be %lld..%lld, got %lld",
			name, (long long)min, (long long)max, (long long)*out);
		return false;
	}
	return true;
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

/* Equal bodies have equal tags, also after a restart. */
void api_make_etag(const char *body, char *out, size_t size)
{
	snprintf(out, size, "\"%016llx\"", (unsigned long long)hash_text(HASH_START, body));
}

bool api_etag_matches(const char *header, const char *etag)
{
	return header && (!strcmp(header, "*") || strstr(header, etag) != NULL);
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
}

void api_target_changed(struct api_request *req, const char *id)
{
	struct err err;
	json_t *target;

	switch (dash_store_get_target(
		req->api->store, id, TARGET_FOR_PUBLIC, &target, NULL, &err)) {
	case FOUND: break;
	case NOT_FOUND: target = json_pack("{s:s, s:b}", "id", id, "deleted", 1); break;
	case FOUND_ERROR: return;
	}
	events_publish(req->api->events, "target", target);
}

/* Compares in a time that depends on the length of what came, not on how much of it is right. */
static bool same_secret(const char *given, size_t given_len, const char *secret)
{
	size_t len = strlen(secret);
	unsigned char diff = given_len != len;

	for (size_t i = 0; i < given_len; i++)
		diff |= (unsigned char)(given[i] ^ secret[len ? i % len : 0]);
	return diff == 0;
}

static int base64_value(char c)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(alphabet, c) : NULL;

	return p ? (int)(p - alphabet) : -1;
}

/* RFC 4648.  Length of the decoded bytes, or -1. */
static int base64_decode(const char *in, char *out, size_t size)
{
	size_t len = 0;
	unsigned int bits = 0, have = 0;

	for (; *in && *in != '='; in++) {
		int v = base64_value(*in);

		if (v < 0 || len + 1 >= size)
			return -1;
		bits = (bits << 6 | (unsigned int)v) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[len++] = (char)(bits >> have & 0xff);
		}
	}
	out[len] = '\0';
	return (int)len;
}

static const char *after_scheme(const char *authorization, const char *scheme)
{
	size_t n = strlen(scheme);

	if (!authorization || strncasecmp(authorization, scheme, n) != 0 || authorization[n] != ' ')
		return NULL;
	return authorization + n + strspn(authorization + n, " ");
}

static bool is_agent(const struct api_request *req)
{
	const char *token = after_scheme(req->authorization, "Bearer");

	return token && same_secret(token, strlen(token), req->api->secret);
}

static bool is_admin(struct api_request *req)
{
	const char *encoded = after_scheme(req->authorization, "Basic");
	char decoded[1024];
	int len = encoded ? base64_decode(encoded, decoded, sizeof(decoded)) : -1;
	bool ok = len > 0 && same_secret(decoded, (size_t)len, req->api->admin);

	if (ok)
		snprintf(req->admin_name, sizeof(req->admin_name), "%.*s",
			(int)strcspn(decoded, ":"), decoded);
	mem_wipe(decoded, sizeof(decoded));
	return ok;
}

/* RFC 6585: somebody at that address has guessed too often. */
static bool is_slowed(struct api_request *req, struct api_response *res)
{
	int wait_s = req->authorization
		? throttle_wait_s(req->api->throttle, req->address, units_now_mono_ms())
		: 0;

	if (!wait_s)
		return false;
	res->retry_after_s = wait_s;
	api_error(res, 429, "too_many_attempts", NULL,
		"too many wrong credentials from this address; try again in %d s", wait_s);
	return true;
}

static bool may(struct api_request *req, enum access access, struct api_response *res)
{
	if (access != ACCESS_OPEN && is_slowed(req, res))
		return false;
	req->is_admin = is_admin(req);
	/* Also where no credentials are needed: an answer without an error would tell, too. */
	if (req->authorization && !req->is_admin && !is_agent(req))
		throttle_failed(req->api->throttle, req->address, units_now_mono_ms());
	switch (access) {
	case ACCESS_OPEN: return true;
	case ACCESS_READ:
		if (!req->api->config->read_auth || req->is_admin || is_agent(req))
			return true;
		res->www_authenticate_basic = true;
		break;
	case ACCESS_AGENT:
		if (is_agent(req))
			return true;
		res->www_authenticate_bearer = true;
		break;
	case ACCESS_ADMIN:
		if (req->is_admin)
			return true;
		res->www_authenticate_basic = true;
		break;
	}
	api_error(res, 401, "unauthorized", NULL, "%s",
		access == ACCESS_AGENT
			? "this call needs Authorization: Bearer with the dashboard's secret"
			: "this call needs the admin's user and password (Basic)");
	return false;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return -1;
}

/* One percent-decoded segment into out; false when it does not fit or hides a NUL. */
static bool decode_segment(const char *in, size_t len, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)in[i];

		if (c == '%') {
			if (i + 2 >= len || hex_value(in[i + 1]) < 0 || hex_value(in[i + 2]) < 0)
				return false;
			c = hex_value(in[i + 1]) << 4 | hex_value(in[i + 2]);
			i += 2;
		}
		if (c == 0 || n + 1 >= size)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0;
}

static bool match(const char *pattern, const char *path, char params[][512])
{
	int n = 0;

	while (*pattern) {
		if (!strcmp(pattern, "{*}"))
			return true;
		if (pattern[0] == '{') {
			size_t len = strcspn(path, "/");

			if (!decode_segment(path, len, params[n++], 512))
				return false;
			path += len;
			pattern += 2;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return !*path;
}

/* RFC 9110: everything but GET changes something, and a browser must not be made to do it. */
static bool check_change(
	struct api_request *req, const struct route *route, struct api_response *res)
{
	const char *type = req->content_type ? req->content_type : "";
	const char *origin_host = req->origin ? strstr(req->origin, "://") : NULL;

	if (!strcmp(req->method, "GET"))
		return true;
	if (req->origin &&
		(!origin_host || !req->host_header ||
			strcmp(origin_host + 3, req->host_header) != 0)) {
		api_error(res, 403, "foreign_origin", NULL,
			"changes from pages of other origins are refused");
		return false;
	}
	if (strncasecmp(type, "application/json", 16) != 0 ||
		(type[16] && !strchr("; \t", type[16]))) {
		api_error(res, 415, "unsupported_media_type", NULL,
			"send Content-Type: application/json");
		return false;
	}
	(void)route;
	return true;
}

/* NULL: it is not JSON, or has to be read whole. */
static json_t *load_runs(struct api_request *req)
{
	if (!quantile_lists_lift(&req->lists, req->body, req->body_len))
		return NULL;
	return json_loadb(req->lists.text, req->lists.len, JSON_REJECT_DUPLICATES, NULL);
}

static bool parse_body(struct api_request *req, const struct route *route, struct api_response *res)
{
	json_error_t jerr;

	if (req->too_large) {
		api_error(res, 413, "too_large", NULL, "the body is larger than %d bytes",
			API_BODY_MAX);
		return false;
	}
	if (route->body == NO_BODY || (route->body == BODY_OPTIONAL && !req->body_len))
		return true;
	if (route->body == BODY_RUNS && req->body_len)
		req->json = load_runs(req);
	if (req->json)
		return true;
	quantile_lists_free(&req->lists);
	req->json = json_loadb(
		req->body_len ? req->body : "", req->body_len, JSON_REJECT_DUPLICATES, &jerr);
	if (!req->json) {
		api_error(res, 400, "malformed_json", NULL,
			"the body is not JSON: %s at line %d, column %d", jerr.text, jerr.line,
			jerr.column);
		return false;
	}
	return true;
}

void api_handle(struct api_request *req, struct api_response *res)
{
	bool head = !strcmp(req->method, "HEAD");
	const struct route *found = NULL;

	if (head)
		req->method = "GET";
	for (size_t i = 0; i < ARRAY_SIZE(routes) && !found; i++) {
		if (!match(routes[i].path, req->path, req->params))
			continue;
		if (!strcmp(routes[i].method, req->method)) {
			found = &routes[i];
		} else {
			size_t n = strlen(res->allow);

			snprintf(res->allow + n, sizeof(res->allow) - n, "%s%s", n ? ", " : "",
				routes[i].method);
		}
	}
	if (!found) {
		if (res->allow[0])
			api_error(res, 405, "method_not_allowed", NULL,
				"%.20s is not possible here; allowed: %s", req->method, res->allow);
		else
			api_error(res, 404, "not_found", NULL, "there is nothing at %.200s",
				req->path);
		return;
	}
	res->allow[0] = '\0';
	if (may(req, found->access, res) && check_change(req, found, res) &&
		parse_body(req, found, res))
		found->handler(req, res);
	req->api->answered[res->status / 100 % 6]++;
	json_decref(req->json);
	req->json = NULL;
	quantile_lists_free(&req->lists);
}

/* RFC 9110 12.5.3, as browsers and curl send it: named, and not with a weight of 0. */
static bool takes_gzip(const struct api_request *req)
{
	const char *at = req->accept_encoding ? strstr(req->accept_encoding, "gzip") : NULL;

	return at && strncmp(at, "gzip;q=0,", 9) != 0 && strcmp(at, "gzip;q=0") != 0;
}

static void send_asset(struct api_request *req, struct api_response *res, const char *path)
{
	const struct asset *a = assets_find(req->api->assets, path);

	if (!a) {
		api_error(res, 404, "not_found", NULL, "there is nothing at %.200s", req->path);
		return;
	}
	snprintf(res->etag, sizeof(res->etag), "%s", a->etag);
	res->immutable = strncmp(path, "/assets/", 8) == 0;
	if (api_etag_matches(req->if_none_match, a->etag)) {
		res->status = 304;
		return;
	}
	res->status = 200;
	res->packed = a->gzip && takes_gzip(req);
	res->body_kept = res->packed ? a->gzip : a->text;
	res->body_len = res->packed ? a->gzip_len : a->len;
	res->type = a->type;
}

static void asset(struct api_request *req, struct api_response *res)
{
	send_asset(req, res, req->path);
}

/* All pages are one document; which one is shown is settled by its modules (www/app.js). */
static void page(struct api_request *req, struct api_response *res)
{
	send_asset(req, res, "/index.html");
}

static void healthz(struct api_request *req, struct api_response *res)
{
	(void)req;
	api_reply(res, 200, json_pack("{s:s}", "status", "ok"));
}

static void readyz(struct api_request *req, struct api_response *res)
{
	struct err err;

	if (dash_store_check(req->api->store, &err) < 0)
		api_store_error(res, &err);
	else
		api_reply(res, 200, json_pack("{s:s}", "status", "ok"));
}
