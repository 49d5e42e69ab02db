/* SPDX-License-Identifier: MIT */
/* A target's charts, and its runs as CSV. */
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/units.h"
#include "dashboard/api.h"

/* Not many more than three hundred points where nobody says how many: whole minutes, or whole hours. */
static int64_t choose_step(int64_t span_ms)
{
	int64_t step = span_ms / 1000 / 300, unit = step > 1800 ? 3600 : 60;

	step = (step + unit - 1) / unit * unit;
	return step < 60 ? 60 : step > DAY_S ? DAY_S : step;
}

void api_read_series(struct api_request *req, struct api_response *res)
{
	int64_t now = units_now_wall_ms(), from, to, step;
	struct err err = {0};
	int known;
	json_t *series;

	if (!api_query_time(req, res, "from", &from) || !api_query_time(req, res, "to", &to) ||
		!api_query_int(req, res, "step", 60, DAY_S, 0, &step))
		return;
	to = to ? to : now;
	from = from ? from : to - DAY_MS;
	if (from >= to) {
		api_error(res, 422, "invalid_parameter", "from", "from must lie before to");
		return;
	}
	if (!step)
		step = choose_step(to - from);
	if ((to - from) / (step * 1000) > DASH_STORE_POINTS_MAX) {
		api_error(res, 422, "invalid_parameter", "step",
			"that would be more than %d points; take a larger step or a shorter time",
			DASH_STORE_POINTS_MAX);
		return;
	}
	known = dash_store_knows_target(req->api->store, req->params[0], &err);
	if (known < 0) {
		api_store_error(res, &err);
		return;
	}
	if (!known) {
		api_error(res, 404, "not_found", NULL, "there is no target \"%.100s\"",
			req->params[0]);
		return;
	}
	series = dash_store_series(req->api->store, req->params[0], from, to, step, &err);
	if (series)
		api_reply(res, 200, series);
	else
		api_store_error(res, &err);
}
