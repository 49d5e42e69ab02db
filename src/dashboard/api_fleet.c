/* SPDX-License-Identifier: MIT */
/* Calls about the whole fleet: overview, number of agents of one host, reconcile, pause, audit
 * trail. */
#include <math.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/live.h"
#include "dashboard/store_audit.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_overview.h"

#define AUDIT_PAGE_MAX 500

static json_t *number(double v)
{
	return isnan(v) ? json_null() : json_real(v);
}

static int64_t count_of(const json_t *agents, const char *const statuses[])
{
	int64_t n = 0;

	for (size_t i = 0; statuses[i]; i++)
		n += json_get_int(agents, statuses[i], 0);
	return n;
}

/* Returns whether the figures of the last hour are of all its runs; if not, fills res with the
 * error that kept runs from being read at the start. */
static bool hour_is_whole(const struct api *api, int64_t now_ms, struct api_response *res)
{
	if (now_ms >= api->hour_lacks_until_ms)
		return true;
	api_store_error(res, &api->hour_err);
	return false;
}

void api_read_overview(struct api_request *req, struct api_response *res)
{
	static const char *const up[] = {"idle", "running", "draining", NULL};
	static const char *const busy[] = {"running", "draining", NULL};
	int64_t now = units_now_wall_ms();
	struct live_sum hour = live_last_hour(req->api->live, now);
	struct dash_store *s = req->api->store;
	json_t *counts = NULL, *agents;
	struct dash_store_desired d;
	struct err err;
	bool paused;

	if (!hour_is_whole(req->api, now, res))
		return;
	if (dash_store_overview(s, &counts, &err) < 0 || dash_store_get_total(s, &d, &err) < 0 ||
		dash_store_is_paused(s, &paused, &err) < 0) {
		json_decref(counts);
		api_store_error(res, &err);
		return;
	}
	agents = json_object_get(counts, "agents");
	json_object_set_new(counts, "desired", json_integer(d.agents));
	json_object_set_new(counts, "revision", json_integer(d.revision));
	json_object_set_new(counts, "running", json_integer(count_of(agents, up)));
	json_object_set_new(counts, "busy", json_integer(count_of(agents, busy)));
	json_object_set_new(counts, "paused", json_boolean(paused));
	json_object_set_new(counts, "lastHour",
		json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "runs", (json_int_t)hour.runs,
			"success", (json_int_t)hour.success, "failed", (json_int_t)hour.failed,
			"error", (json_int_t)hour.error, "error_rate", number(hour.error_rate),
			"p50_ms", number(hour.p50_ms), "p95_ms", number(hour.p95_ms), "p99_ms",
			number(hour.p99_ms)));
	api_reply(res, 200, counts);
}

void api_read_fleet_series(struct api_request *req, struct api_response *res)
{
	int64_t now = units_now_wall_ms(), from;
	json_t *points;

	if (!hour_is_whole(req->api, now, res))
		return;
	points = json_array();
	for (int ago = 59; ago >= 0; ago--) {
		struct live_sum m = live_minute(req->api->live, ago, now, &from);

		json_array_append_new(points,
			json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "t",
				json_time(from), "runs", (json_int_t)m.runs, "success",
				(json_int_t)m.success, "failed", (json_int_t)m.failed, "error",
				(json_int_t)m.error, "error_rate", number(m.error_rate), "p50_ms",
				number(m.p50_ms), "p95_ms", number(m.p95_ms), "p99_ms",
				number(m.p99_ms)));
	}
	api_reply(res, 200, json_pack("{s:i, s:o}", "step", 60, "points", points));
}

/* --- one host -------------------------------------------------------------------------- */

static enum found find_host(struct api_request *req, json_t **host, struct err *err)
{
	return dash_store_get_host(req->api->store, req->params[0], units_now_wall_ms(),
		req->api->config->reaper.offline_after_ms, host, err);
}

void api_host_put(struct api_request *req, struct api_response *res)
{
	static const char *const known[] = {"desiredAgents", NULL};
	struct dash_store *s = req->api->store;
	_cleanup_json_ json_t *host = NULL;
	struct dash_store_desired d;
	enum found found;
	struct err err;
	int64_t n;

	if (!api_is_object(req, res) || !api_only_members(res, req->json, known) ||
		!api_take_int(
			req, res, &(struct api_int){"desiredAgents", 0, LIMIT_AGENTS, -1}, &n))
		return;
	if (n < 0) {
		api_error(res, 400, "invalid_field", "desiredAgents", "desiredAgents is required");
		return;
	}
	found = find_host(req, &host, &err);
	if (found == FOUND_ERROR) {
		api_store_error(res, &err);
		return;
	}
	if (found == NOT_FOUND || !json_is_true(json_object_get(host, "managed"))) {
		api_error(res, 404, "not_found", NULL, "no managed host \"%.100s\" has registered",
			req->params[0]);
		return;
	}
	if (n > json_get_int(host, "maxAgents", 0)) {
		api_error(res, 422, "invalid_field", "desiredAgents",
			"the host has a maximum of %lld agents, got %lld",
			(long long)json_get_int(host, "maxAgents", 0), (long long)n);
		return;
	}
	if (api_begin(req, res) < 0)
		return;
	if (dash_store_scale_host(s, req->params[0], n, &d, &err) == FOUND_ERROR) {
		api_abort(req, res, &err);
		return;
	}
	if (api_commit(req, res, "host.scale", req->params[0], req->json) < 0)
		return;
	log_event(LOG_LEVEL_INFO, "hosts", "desired", LOG_QUOTED("host", req->params[0]),
		LOG_INT("agents", n));
	json_decref(steal_ptr(host));
	found = find_host(req, &host, &err);
	api_reply_found(res, found, json_incref(host), "host", req->params[0], &err);
	api_config_changed(req);
}

void api_reconcile(struct api_request *req, struct api_response *res)
{
	struct dash_store_desired d;
	struct err err;

	if (api_begin(req, res) < 0)
		return;
	if (dash_store_reconcile(req->api->store, units_now_wall_ms(),
		    req->api->config->reaper.offline_after_ms, &err) < 0 ||
		dash_store_get_total(req->api->store, &d, &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	if (api_commit(req, res, "reconcile", "", NULL) < 0)
		return;
	log_event(LOG_LEVEL_INFO, "config", "reconcile", LOG_INT("revision", d.revision));
	api_reply(res, 202,
		json_pack("{s:{s:I, s:I}}", "desired", "agents", (json_int_t)d.agents, "revision",
			(json_int_t)d.revision));
	api_config_changed(req);
}

/* --- pause and resume -------------------------------------------------------------------- */

static void set_paused(struct api_request *req, struct api_response *res, bool pause, bool at_once)
{
	_cleanup_json_ json_t *made = json_array();
	struct err err;

	if (api_begin(req, res) < 0)
		return;
	if (dash_store_command_pause(
		    req->api->store, pause, at_once, units_now_wall_ms(), made, &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	if (api_commit(req, res, pause ? "pause" : "resume", "", req->json) < 0)
		return;
	log_event(LOG_LEVEL_INFO, "config", pause ? "pause" : "resume", LOG_YES_NO("now", at_once),
		LOG_INT("hosts", json_array_size(made)));
	api_reply(res, 202, json_pack("{s:b, s:O}", "paused", pause, "commands", made));
	api_config_changed(req);
}

void api_pause(struct api_request *req, struct api_response *res)
{
	static const char *const known[] = {"now", NULL};
	const json_t *now = json_object_get(req->json, "now");

	if (req->json && (!api_is_object(req, res) || !api_only_members(res, req->json, known)))
		return;
	if (now && !json_is_boolean(now)) {
		api_error(res, 400, "invalid_field", "now", "now must be true or false");
		return;
	}
	set_paused(req, res, true, json_is_true(now));
}

void api_resume(struct api_request *req, struct api_response *res)
{
	static const char *const known[] = {NULL};

	if (req->json && (!api_is_object(req, res) || !api_only_members(res, req->json, known)))
		return;
	set_paused(req, res, false, false);
}

/* --- audit ----------------------------------------------------------------------------- */

void api_audit_list(struct api_request *req, struct api_response *res)
{
	int64_t page, size;
	struct err err;
	json_t *list;

	if (!api_query_int(req, res, &(struct api_int){"page", 1, API_PAGE_MAX, 1}, &page) ||
		!api_query_int(
			req, res, &(struct api_int){"pageSize", 1, AUDIT_PAGE_MAX, 50}, &size))
		return;
	if (dash_store_list_audit(req->api->store, page, size, &list, &err) < 0)
		api_store_error(res, &err);
	else
		api_reply(res, 200, list);
}
