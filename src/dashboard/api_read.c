/* SPDX-License-Identifier: MIT */
/* Calls that read: lists, single runs, the stream of events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/events.h"
#include "dashboard/page_cache.h"
#include "dashboard/run_filter.h"
#include "dashboard/store_agents.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_lists.h"
#include "dashboard/store_runs.h"
#include "dashboard/store_targets.h"

#define RECENT_MAX 60 /* runs of a target in the list of targets */

/* rc is the result of the function that has made items. */
static void reply_items(struct api_response *res, int rc, json_t *items, const struct err *err)
{
	if (rc == 0)
		api_reply(res, 200, json_pack("{s:o}", "items", items));
	else
		api_store_error(res, err);
}

static int add_recent_runs(struct dash_store *s, json_t *targets, int64_t recent, struct err *err)
{
	json_t *t, *runs;
	size_t i;

	json_array_foreach (targets, i, t) {
		if (dash_store_recent_runs(s, json_get_text(t, "id", ""), (int)recent, &runs, err) <
			0)
			return -1;
		json_object_set_new(t, "recentRuns", runs);
	}
	return 0;
}

void api_read_targets(struct api_request *req, struct api_response *res)
{
	_cleanup_json_ json_t *targets = NULL;
	int64_t recent;
	struct err err;
	int rc;

	if (!api_query_int(req, res, &(struct api_int){"recent", 0, RECENT_MAX, 0}, &recent))
		return;
	rc = dash_store_list_targets(req->api->store,
		req->is_admin ? TARGET_FOR_ADMIN : TARGET_FOR_PUBLIC, &targets, &err);
	if (rc == 0 && recent)
		rc = add_recent_runs(req->api->store, targets, recent, &err);
	reply_items(res, rc, json_incref(targets), &err);
}

void api_read_agents(struct api_request *req, struct api_response *res)
{
	json_t *agents = NULL;
	struct err err;
	int rc = dash_store_list_agents(req->api->store, &agents, &err);

	reply_items(res, rc, agents, &err);
}

void api_read_hosts(struct api_request *req, struct api_response *res)
{
	json_t *hosts = NULL;
	struct err err;
	int rc = dash_store_list_hosts(req->api->store, units_now_wall_ms(),
		req->api->config->reaper.offline_after_ms, &hosts, &err);

	reply_items(res, rc, hosts, &err);
}

static const char *or_none(const char *text)
{
	return text ? text : "";
}

/* Returns a text that differs for each filter.  A length before each text keeps ("a", "bc") and
 * ("ab", "c") apart. */
static char *make_key(const struct dash_store_run_filter *f)
{
	const char *texts[] = {or_none(f->target_id), or_none(f->agent), or_none(f->host),
		or_none(f->status), or_none(f->sort)};

	return x_asprintf("%zu:%s %zu:%s %zu:%s %s %s %lld %lld %lld %lld", strlen(texts[0]),
		texts[0], strlen(texts[1]), texts[1], strlen(texts[2]), texts[2], texts[3],
		texts[4], (long long)f->from_ms, (long long)f->to_ms, (long long)f->page,
		(long long)f->page_size);
}

void api_read_runs(struct api_request *req, struct api_response *res)
{
	_cleanup_free_ char *key = NULL;
	struct dash_store_run_filter f;
	const char *cached;
	int64_t version;
	struct err err;
	json_t *list;

	if (!run_filter_read(req, res, &f))
		return;
	if (dash_store_version(req->api->store, &version, &err) < 0) {
		api_store_error(res, &err);
		return;
	}
	key = make_key(&f);
	cached = page_cache_find(req->api->pages, key, version, &res->body_len);
	if (cached) {
		res->status = 200;
		res->body = x_strndup(cached, res->body_len);
		return;
	}
	if (dash_store_list_runs(req->api->store, &f, &list, &err) < 0) {
		api_store_error(res, &err);
		return;
	}
	api_reply(res, 200, list);
	page_cache_put(req->api->pages, key, version, res->body, res->body_len);
}

void api_events(struct api_request *req, struct api_response *res)
{
	res->status = 200;
	res->type = "text/event-stream";
	res->stream = events_open(req->api->events, req->last_event_id);
}

void api_read_run(struct api_request *req, struct api_response *res)
{
	json_t *run = NULL;
	struct err err;
	enum found found = dash_store_get_run(req->api->store, req->params[0], &run, &err);

	api_reply_found(res, found, run, "run", req->params[0], &err);
}
