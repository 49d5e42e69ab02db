/* SPDX-License-Identifier: MIT */
/* The call that brings runs: each run is checked, stored, and published when it is on disk. */
#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run_json.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/events.h"
#include "dashboard/live.h"
#include "dashboard/sample.h"
#include "dashboard/store_runs.h"

/* A run that the call has changed. */
struct news {
	struct dash_store_run run;
	char *text;
	bool corrected;
};

/* The results of one call. */
struct intake {
	struct news *news; /* published when they are on disk */
	size_t count, cap;
	int64_t accepted, ignored;
	json_t *rejected;
};

/* Moves the run out of *run, which is empty afterwards. */
static void add_news(
	struct intake *in, struct dash_store_run *run, const struct dash_store_upserted *what)
{
	struct news *news;

	if (in->count == in->cap) {
		in->cap = in->cap ? 2 * in->cap : 64;
		in->news = x_realloc(in->news, in->cap, sizeof(*in->news));
	}
	news = &in->news[in->count++];
	*news = (struct news){*run, what->text, what->corrected};
	run_init(&run->run);
}

/* Adds the runs to the figures of the last hour and publishes them as events. */
static void publish_runs(struct api *api, const struct intake *in)
{
	int64_t now = units_now_wall_ms();
	struct sample sample;

	for (size_t i = 0; i < in->count; i++) {
		sample_of_run(&in->news[i].run, &sample);
		live_add(api->live, &sample, in->news[i].corrected, now);
		events_publish_text(api->events, "run", in->news[i].text);
	}
}

static void free_intake(struct intake *in)
{
	for (size_t i = 0; i < in->count; i++) {
		run_clear(&in->news[i].run.run);
		free(in->news[i].text);
	}
	free(in->news);
	json_decref(in->rejected);
}

static double *take_list(void *arg, long long number)
{
	return quantile_lists_take(arg, number);
}

/* Reads one run; lists are the lists of numbers of the body.  Returns 0, or -1 with err and
 * nothing to free. */
static int take_run(const json_t *item, struct quantile_lists *lists, struct dash_store_run *out,
	struct err *err)
{
	const struct run *r = &out->run;

	if (run_from_json(item, take_list, lists, &out->run, err) < 0)
		return -1;
	out->started_ms = r->started_ms ? r->started_ms
		: r->scheduled_ms       ? r->scheduled_ms
		: r->finished_ms        ? r->finished_ms
					: units_now_wall_ms();
	return 0;
}

static void reject(struct intake *in, const json_t *item, const struct err *why)
{
	json_t *id = json_object_get(item, "id");

	json_array_append_new(in->rejected,
		json_pack("{s:o, s:o}", "id", json_is_string(id) ? json_incref(id) : json_null(),
			"error", json_text(why->msg)));
}

/* Returns 0 also for a run that is rejected; returns -1 with err when the store fails. */
static int take_in(struct api_request *req, struct intake *in, const json_t *item, struct err *err)
{
	struct dash_store_upserted what;
	struct dash_store_run run;

	if (take_run(item, &req->lists, &run, err) < 0) {
		reject(in, item, err);
		return 0;
	}
	if (dash_store_upsert_run(req->api->store, &run, &what, err) < 0) {
		run_clear(&run.run);
		free(what.text);
		return -1;
	}
	if (what.changed)
		add_news(in, &run, &what);
	run_clear(&run.run);
	if (what.what == DASH_STORE_ACCEPTED)
		in->accepted++;
	else
		in->ignored++;
	return 0;
}

static int take_all(struct api_request *req, struct intake *in, json_t *runs, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (runs, i, item) {
		if (take_in(req, in, item, err) < 0)
			return -1;
	}
	return dash_store_commit(req->api->store, err);
}

void api_agents_runs(struct api_request *req, struct api_response *res)
{
	json_t *list = json_object_get(req->json, "runs");
	_cleanup_json_ json_t *runs = NULL;
	_cleanup_(free_intake) struct intake in = {.rejected = json_array()};
	struct err err;

	if (!json_is_object(req->json) || (list && !json_is_array(list))) {
		api_error(res, 400, "invalid_body", "runs",
			"the body must be a run or {\"runs\": [run …]}");
		return;
	}
	if (json_array_size(list) > LIMIT_BATCH) {
		api_error(
			res, 413, "too_large", "runs", "a batch has at most %d runs", LIMIT_BATCH);
		return;
	}
	runs = list ? json_incref(list) : json_pack("[O]", req->json);
	if (api_begin(req, res) < 0)
		return;
	if (take_all(req, &in, runs, &err) < 0) {
		api_abort(req, res, &err);
		return;
	}
	api_reply(res, 200,
		json_pack("{s:I, s:I, s:O}", "accepted", (json_int_t)in.accepted, "ignored",
			(json_int_t)in.ignored, "rejected", in.rejected));
	publish_runs(req->api, &in);
}
