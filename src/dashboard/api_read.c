/* SPDX-License-Identifier: MIT */
/* Reading: lists and single objects for pages, scripts and people. */
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/result.h"
#include "common/units.h"
#include "dashboard/api.h"

#define PAGE_SIZE_MAX 500

static void reply_items(struct api_response *res, json_t *items, const struct err *err)
{
	if (items)
		api_reply(res, 200, json_pack("{s:o}", "items", items));
	else
		api_store_error(res, err);
}

void api_read_targets(struct api_request *req, struct api_response *res)
{
	struct err err = {0};

	reply_items(res, store_list_targets(req->api->store, !req->is_admin, &err), &err);
}

void api_read_agents(struct api_request *req, struct api_response *res)
{
	struct err err = {0};

	reply_items(res, store_list_agents(req->api->store, &err), &err);
}

void api_read_hosts(struct api_request *req, struct api_response *res)
{
	struct err err = {0};

	reply_items(res,
		store_list_hosts(req->api->store, units_now_wall_ms(),
			req->api->config->reaper.offline_after_ms, &err),
		&err);
}

/* A query parameter as a number in min..max; false after an error. */
static bool query_int(struct api_request *req, struct api_response *res, const char *name,
	int64_t min, int64_t max, int64_t fallback, int64_t *out)
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

static bool query_time(
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

static const char *query_text(struct api_request *req, const char *name)
{
	const char *text = req->query(req, name);

	return text && *text ? text : NULL;
}

void api_read_runs(struct api_request *req, struct api_response *res)
{
	static const char *const sorts[] = {
		"-startedAt", "startedAt", "-p95_ms", "-error_rate", "-lagMs"};
	struct store_run_filter f = {
		.target_id = query_text(req, "targetId"),
		.agent = query_text(req, "agent"),
		.host = query_text(req, "host"),
		.status = query_text(req, "status"),
		.sort = query_text(req, "sort"),
	};
	struct err err = {0};
	json_t *list;

	if (!query_int(req, res, "page", 1, 1000000000, 1, &f.page) ||
		!query_int(req, res, "pageSize", 1, PAGE_SIZE_MAX, 50, &f.page_size) ||
		!query_time(req, res, "from", &f.from_ms) || !query_time(req, res, "to", &f.to_ms))
		return;
	if (f.status && result_find(result_status_names, RESULT_STATUS_COUNT, f.status) < 0) {
		api_error(res, 422, "invalid_parameter", "status",
			"status must be running, success, failed or error");
		return;
	}
	if (f.sort && result_find(sorts, ARRAY_SIZE(sorts), f.sort) < 0) {
		api_error(res, 422, "invalid_parameter", "sort",
			"sort must be one of -startedAt startedAt -p95_ms -error_rate -lagMs");
		return;
	}
	list = store_list_runs(req->api->store, &f, &err);
	if (list)
		api_reply(res, 200, list);
	else
		api_store_error(res, &err);
}

void api_read_run(struct api_request *req, struct api_response *res)
{
	struct err err;
	json_t *run = store_get_run(req->api->store, req->params[0], &err);

	if (run)
		api_reply(res, 200, run);
	else if (err.msg[0])
		api_store_error(res, &err);
	else
		api_error(
			res, 404, "not_found", NULL, "there is no run \"%.100s\"", req->params[0]);
}
