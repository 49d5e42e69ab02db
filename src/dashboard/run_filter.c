/* SPDX-License-Identifier: MIT */
/* Checks values; whether a target, agent or host of that name exists is not asked here. */
#include "dashboard/run_filter.h"

#include "common/mem.h"
#include "common/run.h"
#include "dashboard/api.h"

#define PAGE_SIZE_MAX 500

static const char *query_text(struct api_request *req, const char *name)
{
	const char *text = req->query(req, name);

	return text && *text ? text : NULL;
}

bool run_filter_read(
	struct api_request *req, struct api_response *res, struct dash_store_run_filter *f)
{
	static const char *const sorts[] = {
#define X(name, index, by) name,
		DASH_STORE_RUN_ORDERS(X)
#undef X
	};
	struct err err;

	*f = (struct dash_store_run_filter){
		.target_id = query_text(req, "targetId"),
		.agent = query_text(req, "agent"),
		.host = query_text(req, "host"),
		.status = query_text(req, "status"),
		.sort = query_text(req, "sort"),
	};
	if (!api_query_int(req, res, &(struct api_int){"page", 1, API_PAGE_MAX, 1}, &f->page) ||
		!api_query_int(req, res, &(struct api_int){"pageSize", 1, PAGE_SIZE_MAX, 50},
			&f->page_size) ||
		!api_query_time(req, res, "from", &f->from_ms) ||
		!api_query_time(req, res, "to", &f->to_ms))
		return false;
	if (f->status && run_find_name(run_status_names, RUN_STATUS_COUNT, f->status) < 0) {
		run_wrong_status("status", &err);
		api_error(res, 422, "invalid_parameter", "status", "%s", err.msg);
		return false;
	}
	if (f->sort && run_find_name(sorts, ARRAY_SIZE(sorts), f->sort) < 0) {
		api_error(res, 422, "invalid_parameter", "sort",
			"sort must be one of"
#define X(name, index, by) " " name
			DASH_STORE_RUN_ORDERS(X)
#undef X
		);
		return false;
	}
	return true;
}
