/* SPDX-License-Identifier: MIT */
/* The charts of one target. */
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/store_series.h"
#include "dashboard/store_targets.h"

/* Returns the step in seconds when the client has not chosen one: whole minutes or hours, for
 * about 300 points. */
static int64_t choose_step(int64_t span_ms)
{
	int64_t step = span_ms / 1000 / 300, unit = step > 1800 ? 3600 : 60;

	step = (step + unit - 1) / unit * unit;
	return step < 60 ? 60 : step > DAY_S ? DAY_S : step;
}

void api_read_series(struct api_request *req, struct api_response *res)
{
	int64_t now = units_now_wall_ms(), step_s;
	const char *id = req->params[0];
	struct dash_store_range r;
	json_t *series = NULL;
	enum found known;
	struct err err;

	if (!api_query_time(req, res, "from", &r.from_ms) ||
		!api_query_time(req, res, "to", &r.to_ms) ||
		!api_query_int(req, res, &(struct api_int){"step", 60, DAY_S, 0}, &step_s))
		return;
	r.to_ms = r.to_ms ? r.to_ms : now;
	r.from_ms = r.from_ms ? r.from_ms : r.to_ms - DAY_MS;
	if (r.from_ms >= r.to_ms) {
		api_error(res, 422, "invalid_parameter", "from", "from must lie before to");
		return;
	}
	r.step_ms = 1000 * (step_s ? step_s : choose_step(r.to_ms - r.from_ms));
	if ((r.to_ms - r.from_ms) / r.step_ms > DASH_STORE_POINTS_MAX) {
		api_error(res, 422, "invalid_parameter", "step",
			"that would be more than %d points; take a larger step or a shorter time",
			DASH_STORE_POINTS_MAX);
		return;
	}
	known = dash_store_knows_target(req->api->store, id, &err);
	if (known == FOUND && dash_store_series(req->api->store, id, &r, &series, &err) < 0)
		known = FOUND_ERROR;
	api_reply_found(res, known, series, "target", id, &err);
}
