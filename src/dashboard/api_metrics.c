/* SPDX-License-Identifier: MIT */
/* https://prometheus.io/docs/instrumenting/exposition_formats/.  The only label that people can choose is the
 * label of a target; there are at most LIVE_TARGETS_MAX of those. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/prom.h"
#include "common/run.h"
#include "dashboard/api.h"
#include "dashboard/events.h"
#include "dashboard/live.h"

struct per_target {
	FILE *f;
	const json_t *labels; /* by id */
	const char *metric;
	bool p95;
};

static void put_target(void *arg, const char *target_id, double p95_ms, double error_rate)
{
	const struct per_target *pt = arg;
	double v = pt->p95 ? p95_ms : error_rate;
	const char *label = json_get_text(pt->labels, target_id, "");

	if (isnan(v))
		return;
	/* The id keeps targets of one label apart. */
	fprintf(pt->f, "%s{target=\"", pt->metric);
	prom_label(pt->f, *label ? label : target_id);
	fputs("\",id=\"", pt->f);
	prom_label(pt->f, target_id);
	fprintf(pt->f, "\"} %.9g\n", v);
}

static json_t *find_labels(struct dash_store *s)
{
	struct err err = {0};
	json_t *list = dash_store_list_targets(s, true, &err), *labels = json_object(), *t;
	size_t i;

	json_array_foreach (list, i, t)
		json_object_set(labels, json_get_text(t, "id", ""), json_object_get(t, "label"));
	json_decref(list);
	return labels;
}

static void put_runs(FILE *f, const struct api *api)
{
	_cleanup_json_ json_t *labels = find_labels(api->store);
	struct per_target pt = {f, labels, "k6_run_p95_ms", true};

	prom_head(
		f, "k6_runs_total", "counter", "Runs that have ended, by status, since the start.");
	for (int i = RUN_SUCCESS; i < RUN_STATUS_COUNT; i++)
		fprintf(f, "k6_runs_total{status=\"%s\"} %llu\n", run_status_names[i],
			(unsigned long long)live_total(api->live, i));
	prom_head(f, "k6_run_p95_ms", "gauge", "95th percentile of the last run of each target.");
	live_each_target(api->live, put_target, &pt);
	pt.metric = "k6_run_error_rate";
	pt.p95 = false;
	prom_head(f, "k6_run_error_rate", "gauge", "Error rate of the last run of each target.");
	live_each_target(api->live, put_target, &pt);
}

static void put_fleet(FILE *f, const struct api *api)
{
	struct err err = {0};
	_cleanup_json_ json_t *counts = dash_store_counts(api->store, &err);
	struct dash_store_desired d = {0, 0};
	const char *status;
	json_t *n;

	prom_head(f, "k6_agents", "gauge", "Agents by status.");
	json_object_foreach (json_object_get(counts, "agents"), status, n)
		fprintf(f, "k6_agents{status=\"%s\"} %lld\n", status,
			(long long)json_integer_value(n));
	dash_store_get_total(api->store, &d, &err);
	prom_one(f, "k6_desired_agents", "gauge", "Agents that shall be kept.", (double)d.agents);
	prom_one(f, "k6_hosts", "gauge", "Hosts that have registered.",
		(double)json_get_int(counts, "hosts", 0));
	prom_one(f, "k6_targets", "gauge", "Targets that there are.",
		(double)json_get_int(counts, "targets", 0));
	prom_one(f, "k6_paused", "gauge", "1 while the whole fleet is paused.",
		dash_store_is_paused(api->store));
}

static void put_reaper(FILE *f, const struct api *api)
{
	prom_one(f, "reaper_k6agents_marked_offline_total", "counter",
		"Agents that were not heard of for offline_after.",
		(double)api->reaped.agents_offline);
	prom_one(f, "reaper_k6agents_deleted_total", "counter",
		"Agents that were not heard of for delete_after.",
		(double)api->reaped.agents_deleted);
	prom_one(f, "reaper_k6runs_timed_out_total", "counter",
		"Runs without a result run_timeout after their planned end.",
		(double)api->reaped.runs_timed_out);
}

void api_metrics(struct api_request *req, struct api_response *res)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f) {
		api_error(res, 503, "out_of_memory", NULL, "out of memory");
		return;
	}
	put_fleet(f, req->api);
	put_runs(f, req->api);
	put_reaper(f, req->api);
	prom_one(f, "k6fleet_dashboard_event_readers", "gauge", "Open streams of events.",
		events_readers(req->api->events));
	prom_head(f, "k6fleet_dashboard_requests_total", "counter", "Requests by class of status.");
	for (int i = 2; i < 6; i++)
		fprintf(f, "k6fleet_dashboard_requests_total{code=\"%dxx\"} %llu\n", i,
			(unsigned long long)req->api->answered[i]);
	prom_head(f, "k6fleet_dashboard_build_info", "gauge", "The version, as a label.");
	fprintf(f, "k6fleet_dashboard_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	fclose(f);
	res->status = 200;
	res->body = text;
	res->body_len = size;
	res->type = "text/plain; version=0.0.4; charset=utf-8";
}
