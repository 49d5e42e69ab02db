/* SPDX-License-Identifier: MIT */
/* Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/.  At
 * most LIVE_TARGETS_MAX targets have series of their own; their label is the only text that a
 * user chooses. */
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
#include "dashboard/api_calls.h"
#include "dashboard/events.h"
#include "dashboard/live.h"
#include "dashboard/store_commands.h"
#include "dashboard/store_hosts.h"
#include "dashboard/store_overview.h"
#include "dashboard/store_targets.h"

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
	/* Two targets may have the same label; the id is unique. */
	fprintf(pt->f, "%s{target=\"", pt->metric);
	prom_label(pt->f, *label ? label : target_id);
	fputs("\",id=\"", pt->f);
	prom_label(pt->f, target_id);
	fprintf(pt->f, "\"} %.9g\n", v);
}

/* The part of a scrape that comes from the store. */
struct facts {
	json_t *labels; /* of targets, by id */
	json_t *counts;
	struct dash_store_desired desired;
	bool paused;
};

static void free_facts(struct facts *f)
{
	json_decref(f->labels);
	json_decref(f->counts);
}

static int read_labels(struct dash_store *s, json_t **labels, struct err *err)
{
	json_t *list, *t;
	size_t i;

	if (dash_store_list_targets(s, TARGET_FOR_PUBLIC, &list, err) < 0)
		return -1;
	*labels = json_object();
	json_array_foreach (list, i, t)
		json_object_set(*labels, json_get_text(t, "id", ""), json_object_get(t, "label"));
	json_decref(list);
	return 0;
}

static int read_facts(struct dash_store *s, struct facts *f, struct err *err)
{
	if (read_labels(s, &f->labels, err) < 0 || dash_store_overview(s, &f->counts, err) < 0 ||
		dash_store_get_total(s, &f->desired, err) < 0)
		return -1;
	return dash_store_is_paused(s, &f->paused, err);
}

static void put_runs(FILE *f, const struct api *api, const struct facts *facts)
{
	struct per_target pt = {f, facts->labels, "k6_run_p95_ms", true};

	prom_head(f, "k6_runs_total", "counter", "Ended runs by status, since the start.");
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

static void put_fleet(FILE *f, const struct facts *facts)
{
	const char *status;
	json_t *n;

	prom_head(f, "k6_agents", "gauge", "Agents by status.");
	json_object_foreach (json_object_get(facts->counts, "agents"), status, n)
		fprintf(f, "k6_agents{status=\"%s\"} %lld\n", status,
			(long long)json_integer_value(n));
	prom_one(f, "k6_desired_agents", "gauge", "Desired number of agents.",
		(double)facts->desired.agents);
	prom_one(f, "k6_hosts", "gauge", "Registered hosts.",
		(double)json_get_int(facts->counts, "hosts", 0));
	prom_one(f, "k6_targets", "gauge", "Number of targets.",
		(double)json_get_int(facts->counts, "targets", 0));
	prom_one(f, "k6_paused", "gauge", "1 while the whole fleet is paused.", facts->paused);
}

static void put_reaper(FILE *f, const struct api *api)
{
	prom_one(f, "reaper_k6agents_marked_offline_total", "counter",
		"Agents marked offline after offline_after without a heartbeat.",
		(double)api->reaped.agents_offline);
	prom_one(f, "reaper_k6agents_deleted_total", "counter",
		"Agents deleted after delete_after without a heartbeat.",
		(double)api->reaped.agents_deleted);
	prom_one(f, "reaper_k6runs_timed_out_total", "counter",
		"Runs ended as reaped: no result within run_timeout after their planned end.",
		(double)api->reaped.runs_timed_out);
}

void api_metrics(struct api_request *req, struct api_response *res)
{
	_cleanup_(free_facts) struct facts facts = {0};
	char *text = NULL;
	size_t size = 0;
	struct err err;
	FILE *f;

	if (read_facts(req->api->store, &facts, &err) < 0) {
		api_store_error(res, &err);
		return;
	}
	f = open_memstream(&text, &size);
	if (!f) {
		api_error(res, 503, "out_of_memory", NULL, "out of memory");
		return;
	}
	put_fleet(f, &facts);
	put_runs(f, req->api, &facts);
	put_reaper(f, req->api);
	prom_one(f, "k6fleet_dashboard_event_readers", "gauge", "Open streams of events.",
		events_readers(req->api->events));
	prom_head(f, "k6fleet_dashboard_requests_total", "counter", "Requests by class of status.");
	for (int i = 2; i < 6; i++)
		fprintf(f, "k6fleet_dashboard_requests_total{code=\"%dxx\"} %llu\n", i,
			(unsigned long long)req->api->responses[i]);
	prom_head(f, "k6fleet_dashboard_build_info", "gauge", "The version, as a label.");
	fprintf(f, "k6fleet_dashboard_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	fclose(f);
	res->status = 200;
	res->body = text;
	res->body_len = size;
	res->type = "text/plain; version=0.0.4; charset=utf-8";
}
