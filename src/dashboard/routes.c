/* SPDX-License-Identifier: MIT */
/* The first route that matches method and path is called; its row says who may call it and what
 * its body is. */
#include "dashboard/routes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/auth.h"

enum route_body {
	BODY_NONE,
	BODY,          /* JSON */
	BODY_OPTIONAL, /* JSON or nothing */
	BODY_RUNS,     /* JSON with lists of latency quantiles */
};

/* clang-format off */
/* {} is one segment of the path, {*} all segments that follow. */
static const struct route {
	const char *method, *path;
	enum auth_access access;
	enum route_body body;
	api_handler *handler;
} routes[] = {
	{"GET", "/", AUTH_OPEN, BODY_NONE, api_page},
	{"GET", "/agents/k6", AUTH_OPEN, BODY_NONE, api_page},
	{"GET", "/agents/k6/sites", AUTH_OPEN, BODY_NONE, api_page},
	{"GET", "/agents/k6/sites/{}", AUTH_OPEN, BODY_NONE, api_page},
	{"GET", "/agents/k6/runs", AUTH_OPEN, BODY_NONE, api_page},
	{"GET", "/agents/k6/runs/{}", AUTH_OPEN, BODY_NONE, api_page},
	{"GET", "/assets/{*}", AUTH_OPEN, BODY_NONE, api_asset},
	{"GET", "/healthz", AUTH_OPEN, BODY_NONE, api_healthz},
	{"GET", "/readyz", AUTH_OPEN, BODY_NONE, api_readyz},
	{"POST", "/api/k6/agents/register", AUTH_AGENT, BODY, api_agents_register},
	{"POST", "/api/k6/agents/heartbeat", AUTH_AGENT, BODY, api_agents_heartbeat},
	{"GET", "/api/k6/targets", AUTH_AGENT, BODY_NONE, api_agents_targets},
	{"POST", "/api/k6/runs", AUTH_AGENT, BODY_RUNS, api_agents_runs},
	{"POST", "/api/k6/hosts/{}/scale", AUTH_AGENT, BODY, api_agents_scale},
	{"POST", "/api/admin/k6/targets", AUTH_ADMIN, BODY, api_targets_create},
	{"GET", "/api/admin/k6/targets", AUTH_ADMIN, BODY_NONE, api_targets_list},
	{"GET", "/api/admin/k6/targets/export", AUTH_ADMIN, BODY_NONE, api_targets_export},
	{"POST", "/api/admin/k6/targets/import", AUTH_ADMIN, BODY, api_targets_import},
	{"GET", "/api/admin/k6/targets/{}", AUTH_ADMIN, BODY_NONE, api_targets_get},
	{"PATCH", "/api/admin/k6/targets/{}", AUTH_ADMIN, BODY, api_targets_patch},
	{"DELETE", "/api/admin/k6/targets/{}", AUTH_ADMIN, BODY_NONE, api_targets_delete},
	{"POST", "/api/admin/k6/targets/{}/run", AUTH_ADMIN, BODY_OPTIONAL, api_targets_run},
	{"POST", "/api/admin/k6/runs/{}/cancel", AUTH_ADMIN, BODY_NONE, api_runs_cancel},
	{"PUT", "/api/admin/k6/hosts/{}", AUTH_ADMIN, BODY, api_host_put},
	{"POST", "/api/admin/k6/reconcile", AUTH_ADMIN, BODY_NONE, api_reconcile},
	{"POST", "/api/admin/k6/pause", AUTH_ADMIN, BODY_OPTIONAL, api_pause},
	{"POST", "/api/admin/k6/resume", AUTH_ADMIN, BODY_OPTIONAL, api_resume},
	{"GET", "/api/admin/audit", AUTH_ADMIN, BODY_NONE, api_audit_list},
	{"GET", "/api/admin/config", AUTH_ADMIN, BODY_NONE, api_config_get},
	{"PUT", "/api/admin/config", AUTH_ADMIN, BODY, api_config_put},
	{"GET", "/api/dashboard/k6/targets", AUTH_READ, BODY_NONE, api_read_targets},
	{"GET", "/api/dashboard/k6/agents", AUTH_READ, BODY_NONE, api_read_agents},
	{"GET", "/api/dashboard/k6/hosts", AUTH_READ, BODY_NONE, api_read_hosts},
	{"GET", "/api/dashboard/k6/series", AUTH_READ, BODY_NONE, api_read_fleet_series},
	{"GET", "/api/dashboard/k6/overview", AUTH_READ, BODY_NONE, api_read_overview},
	{"GET", "/api/dashboard/k6/targets/{}/series", AUTH_READ, BODY_NONE, api_read_series},
	{"GET", "/api/dashboard/k6/runs.csv", AUTH_READ, BODY_NONE, api_read_runs_csv},
	{"GET", "/api/events", AUTH_READ, BODY_NONE, api_events},
	{"GET", "/api/metrics", AUTH_READ, BODY_NONE, api_metrics},
	{"GET", "/api/dashboard/k6/runs", AUTH_READ, BODY_NONE, api_read_runs},
	{"GET", "/api/dashboard/k6/runs/{}", AUTH_READ, BODY_NONE, api_read_run},
};
/* clang-format on */

/* --- finding one ---------------------------------------------------------------------------- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return -1;
}

/* Percent-decodes one segment into out.  Returns false when it is empty, malformed or too long,
 * or has a NUL. */
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

static bool match(const char *pattern, const char *path, char params[][API_PARAM_BYTES])
{
	int n = 0;

	while (*pattern) {
		if (!strcmp(pattern, "{*}"))
			return true;
		if (pattern[0] == '{') {
			size_t len = strcspn(path, "/");

			if (!decode_segment(path, len, params[n++], API_PARAM_BYTES))
				return false;
			path += len;
			pattern += 2;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return !*path;
}

/* Finds the route.  Returns NULL and fills res->allow with the methods that the path has, if
 * any. */
static const struct route *find_route(struct api_request *req, struct api_response *res)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		size_t n = strlen(res->allow);

		if (!match(routes[i].path, req->path, req->params))
			continue;
		if (!strcmp(routes[i].method, req->method)) {
			res->allow[0] = '\0';
			return &routes[i];
		}
		snprintf(res->allow + n, sizeof(res->allow) - n, "%s%s", n ? ", " : "",
			routes[i].method);
	}
	return NULL;
}

/* --- before the call -------------------------------------------------------------------------- */

/* A method other than GET changes something.  A page of another origin must not make a browser
 * send it, so origin and content type are checked. */
static bool check_change(struct api_request *req, struct api_response *res)
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
	return true;
}

/* Returns NULL for a body that is not JSON, or that cannot be read without its lists of numbers. */
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
	if (route->body == BODY_NONE || (route->body == BODY_OPTIONAL && !req->body_len))
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

void routes_handle(struct api_request *req, struct api_response *res)
{
	const struct route *route;

	if (!strcmp(req->method, "HEAD"))
		req->method = "GET";
	route = find_route(req, res);
	if (!route) {
		if (res->allow[0])
			api_error(res, 405, "method_not_allowed", NULL,
				"%.20s is not possible here; allowed: %s", req->method, res->allow);
		else
			api_error(res, 404, "not_found", NULL, "there is nothing at %.200s",
				req->path);
		return;
	}
	if (auth_allows(req, route->access, res) && check_change(req, res) &&
		parse_body(req, route, res))
		route->handler(req, res);
	req->api->responses[res->status / 100 % 6]++;
	json_decref(req->json);
	req->json = NULL;
	quantile_lists_free(&req->lists);
}
