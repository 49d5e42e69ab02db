/* SPDX-License-Identifier: MIT */
/* Reading: lists and single objects for pages, scripts and people. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/run.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/events.h"
#include "dashboard/run_csv.h"
#include "dashboard/store_agents.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_lists.h"
#include "dashboard/store_runs.h"
#include "dashboard/store_targets.h"

#define RECENT_MAX 60 /* runs of each target */
#define PAGE_SIZE_MAX 500

/* rc: of the function that has made items. */
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

	if (!api_query_int(req, res, "recent", 0, RECENT_MAX, 0, &recent))
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

static const char *query_text(struct api_request *req, const char *name)
{
	const char *text = req->query(req, name);

	return text && *text ? text : NULL;
}

/* False after an error. */
static bool read_filter(
	struct api_request *req, struct api_response *res, struct dash_store_run_filter *f)
{
	static const char *const sorts[] = {
		"-startedAt", "startedAt", "-p95_ms", "-error_rate", "-lagMs"};

	*f = (struct dash_store_run_filter){
		.target_id = query_text(req, "targetId"),
		.agent = query_text(req, "agent"),
		.host = query_text(req, "host"),
		.status = query_text(req, "status"),
		.sort = query_text(req, "sort"),
	};
	if (!api_query_int(req, res, "page", 1, 1000000000, 1, &f->page) ||
		!api_query_int(req, res, "pageSize", 1, PAGE_SIZE_MAX, 50, &f->page_size) ||
		!api_query_time(req, res, "from", &f->from_ms) ||
		!api_query_time(req, res, "to", &f->to_ms))
		return false;
	if (f->status && run_find_name(run_status_names, RUN_STATUS_COUNT, f->status) < 0) {
		api_error(res, 422, "invalid_parameter", "status",
			"status must be running, success, failed or error");
		return false;
	}
	if (f->sort && run_find_name(sorts, ARRAY_SIZE(sorts), f->sort) < 0) {
		api_error(res, 422, "invalid_parameter", "sort",
			"sort must be one of -startedAt startedAt -p95_ms -error_rate -lagMs");
		return false;
	}
	return true;
}

/* --- pages that everybody looks at ------------------------------------------------------ */

#define CACHED 16
#define CACHED_MAX_BYTES (256 * 1024)

struct api_cached {
	char *key, *body;
	size_t len;
	int64_t version;
};

static const char *or_none(const char *text)
{
	return text ? text : "";
}

/* Lengths in front, so that no text can look like two. */
static char *make_key(const struct dash_store_run_filter *f)
{
	const char *texts[] = {or_none(f->target_id), or_none(f->agent), or_none(f->host),
		or_none(f->status), or_none(f->sort)};

	return x_asprintf("%zu:%s %zu:%s %zu:%s %s %s %lld %lld %lld %lld", strlen(texts[0]),
		texts[0], strlen(texts[1]), texts[1], strlen(texts[2]), texts[2], texts[3],
		texts[4], (long long)f->from_ms, (long long)f->to_ms, (long long)f->page,
		(long long)f->page_size);
}

static struct api_cached *find_cached(struct api *api, const char *key)
{
	size_t slot = 0;

	if (!api->cached)
		api->cached = x_calloc(CACHED, sizeof(*api->cached));
	for (const char *p = key; *p; p++)
		slot = slot * 31 + (unsigned char)*p;
	return &api->cached[slot % CACHED];
}

static void remember(
	struct api_cached *c, char **key, const struct api_response *res, int64_t version)
{
	if (res->body_len > CACHED_MAX_BYTES)
		return;
	free(c->key);
	free(c->body);
	*c = (struct api_cached){
		steal_ptr(*key), x_strndup(res->body, res->body_len), res->body_len, version};
}

void api_forget_cached(struct api *api)
{
	for (size_t i = 0; api->cached && i < CACHED; i++) {
		free(api->cached[i].key);
		free(api->cached[i].body);
	}
	free(api->cached);
	api->cached = NULL;
}

void api_read_runs(struct api_request *req, struct api_response *res)
{
	_cleanup_free_ char *key = NULL;
	struct dash_store_run_filter f;
	struct api_cached *c;
	int64_t version;
	struct err err;
	json_t *list;

	if (!read_filter(req, res, &f))
		return;
	if (dash_store_version(req->api->store, &version, &err) < 0) {
		api_store_error(res, &err);
		return;
	}
	key = make_key(&f);
	c = find_cached(req->api, key);
	if (c->key && c->version == version && !strcmp(c->key, key)) {
		res->status = 200;
		res->body = x_strndup(c->body, c->len);
		res->body_len = c->len;
		return;
	}
	if (dash_store_list_runs(req->api->store, &f, &list, &err) < 0) {
		api_store_error(res, &err);
		return;
	}
	api_reply(res, 200, list);
	remember(c, &key, res, version);
}

/* --- CSV ------------------------------------------------------------------------------- */

#define CSV_CHUNK 200

/* The filter's texts are copies: the request is gone when the next part is read. */
struct csv {
	struct api_stream stream;
	struct dash_store *store;
	struct dash_store_run_filter filter;
	char *texts[5];
	char *text; /* what is ready to be sent */
	size_t len, offset;
	bool ended;
};

/* Makes the next part.  Returns 0, or -1 with err. */
static int fill_csv(struct csv *c, bool first, struct err *err)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *run;
	size_t i;
	FILE *f;

	if (dash_store_next_runs(c->store, &c->filter, CSV_CHUNK, &rows, err) < 0)
		return -1;
	free(c->text);
	c->text = NULL;
	c->offset = 0;
	f = open_memstream(&c->text, &c->len);
	if (!f)
		return err_sys(err, errno, "the next runs");
	if (first)
		run_csv_head(f);
	json_array_foreach (rows, i, run)
		run_csv_row(f, run);
	c->ended = json_array_size(rows) < CSV_CHUNK;
	fclose(f);
	return 0;
}

static ssize_t read_csv(void *state, char *buf, size_t size)
{
	struct csv *c = state;
	struct err err;
	size_t n;

	if (c->offset == c->len && !c->ended && fill_csv(c, false, &err) < 0) {
		log_event(LOG_LEVEL_ERROR, "runs.csv", "cut off", LOG_ERROR(err.msg));
		return API_STREAM_CUT;
	}
	if (c->offset == c->len)
		return API_STREAM_END;
	n = c->len - c->offset < size ? c->len - c->offset : size;
	memcpy(buf, c->text + c->offset, n);
	c->offset += n;
	return (ssize_t)n;
}

static void close_csv(void *state)
{
	struct csv *c = state;

	for (size_t i = 0; i < ARRAY_SIZE(c->texts); i++)
		free(c->texts[i]);
	free(c->text);
	free(c);
}

void api_read_runs_csv(struct api_request *req, struct api_response *res)
{
	struct csv *c = x_calloc(1, sizeof(*c));
	struct dash_store_run_filter *f = &c->filter;
	struct err err;

	if (!read_filter(req, res, f)) {
		free(c);
		return;
	}
	c->store = req->api->store;
	f->target_id = c->texts[0] = f->target_id ? x_strdup(f->target_id) : NULL;
	f->agent = c->texts[1] = f->agent ? x_strdup(f->agent) : NULL;
	f->host = c->texts[2] = f->host ? x_strdup(f->host) : NULL;
	f->status = c->texts[3] = f->status ? x_strdup(f->status) : NULL;
	f->sort = NULL;
	c->stream = (struct api_stream){.read = read_csv, .close = close_csv, .state = c};
	if (fill_csv(c, true, &err) < 0) {
		close_csv(c);
		api_store_error(res, &err);
		return;
	}
	res->status = 200;
	res->type = "text/csv; charset=utf-8; header=present";
	res->disposition = "attachment; filename=\"runs.csv\"";
	res->stream = &c->stream;
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
