/* SPDX-License-Identifier: MIT */
/* Reading: lists and single objects for pages, scripts and people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/events.h"

#define RECENT_MAX 60 /* runs of each target */
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
	json_t *targets, *t, *runs;
	int64_t recent;
	size_t i;

	if (!api_query_int(req, res, "recent", 0, RECENT_MAX, 0, &recent))
		return;
	targets = dash_store_list_targets(req->api->store, !req->is_admin, &err);
	json_array_foreach (targets, i, t) {
		if (!recent || err.msg[0])
			break;
		runs = dash_store_recent_runs(
			req->api->store, json_get_text(t, "id", ""), (int)recent, &err);
		json_object_set_new(t, "recentRuns", runs);
	}
	reply_items(res, targets, &err);
}

void api_read_agents(struct api_request *req, struct api_response *res)
{
	struct err err = {0};

	reply_items(res, dash_store_list_agents(req->api->store, &err), &err);
}

void api_read_hosts(struct api_request *req, struct api_response *res)
{
	struct err err = {0};

	reply_items(res,
		dash_store_list_hosts(req->api->store, units_now_wall_ms(),
			req->api->config->reaper.offline_after_ms, &err),
		&err);
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
	int64_t version = dash_store_version(req->api->store);
	_cleanup_free_ char *key = NULL;
	struct dash_store_run_filter f;
	struct api_cached *c;
	struct err err = {0};
	json_t *list;

	if (!read_filter(req, res, &f))
		return;
	key = make_key(&f);
	c = find_cached(req->api, key);
	if (c->key && c->version == version && !strcmp(c->key, key)) {
		res->status = 200;
		res->body = x_strndup(c->body, c->len);
		res->body_len = c->len;
		return;
	}
	list = dash_store_list_runs(req->api->store, &f, &err);
	if (!list) {
		api_store_error(res, &err);
		return;
	}
	api_reply(res, 200, list);
	remember(c, &key, res, version);
}

/* --- CSV ------------------------------------------------------------------------------- */

#define CSV_CHUNK 200

static const char *const csv_columns[] = {"id", "startedAt", "finishedAt", "agent", "host",
	"targetId", "targetLabel", "status", "reason", "lagMs", "plannedMs", "exitCode",
	"errorMessage"};

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

/* RFC 4180; what a spreadsheet would take for a formula gets an apostrophe in front. */
static void put_cell(FILE *f, const char *text)
{
	fputc('"', f);
	if (*text && strchr("=+-@\t\r", *text))
		fputc('\'', f);
	for (const char *p = text; *p; p++) {
		if (*p == '"')
			fputc('"', f);
		fputc(*p, f);
	}
	fputc('"', f);
}

static void put_value(FILE *f, const json_t *v)
{
	if (json_is_string(v))
		put_cell(f, json_string_value(v));
	else if (json_is_integer(v))
		fprintf(f, "%lld", (long long)json_integer_value(v));
	else if (json_is_number(v))
		fprintf(f, "%.9g", json_number_value(v));
}

static void put_row(FILE *f, const json_t *run)
{
	const json_t *metrics = json_object_get(run, "metrics");

	for (size_t i = 0; i < ARRAY_SIZE(csv_columns); i++) {
		if (i)
			fputc(',', f);
		put_value(f, json_object_get(run, csv_columns[i]));
	}
	for (size_t i = 0; i < run_field_count; i++) {
		if (run_fields[i].group != RUN_METRICS)
			continue;
		fputc(',', f);
		put_value(f, json_object_get(metrics, run_fields[i].name));
	}
	fputs("\r\n", f);
}

static void put_head(FILE *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(csv_columns); i++)
		fprintf(f, "%s%s", i ? "," : "", csv_columns[i]);
	for (size_t i = 0; i < run_field_count; i++) {
		if (run_fields[i].group == RUN_METRICS)
			fprintf(f, ",%s", run_fields[i].name);
	}
	fputs("\r\n", f);
}

static void fill_csv(struct csv *c, bool first)
{
	_cleanup_json_ json_t *rows = NULL;
	struct err err;
	json_t *run;
	size_t i;
	FILE *f;

	free(c->text);
	c->text = NULL;
	c->offset = 0;
	f = open_memstream(&c->text, &c->len);
	if (!f) {
		c->ended = true;
		return;
	}
	if (first)
		put_head(f);
	rows = dash_store_next_runs(c->store, &c->filter, CSV_CHUNK, &err);
	json_array_foreach (rows, i, run)
		put_row(f, run);
	c->ended = json_array_size(rows) < CSV_CHUNK;
	fclose(f);
}

static ssize_t read_csv(void *state, char *buf, size_t size)
{
	struct csv *c = state;
	size_t n;

	if (c->offset == c->len && !c->ended)
		fill_csv(c, false);
	if (c->offset == c->len)
		return -1;
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
	fill_csv(c, true);
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
	struct err err;
	json_t *run = dash_store_get_run(req->api->store, req->params[0], &err);

	if (run)
		api_reply(res, 200, run);
	else if (err.msg[0])
		api_store_error(res, &err);
	else
		api_error(
			res, 404, "not_found", NULL, "there is no run \"%.100s\"", req->params[0]);
}
