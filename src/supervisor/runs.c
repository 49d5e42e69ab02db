/* SPDX-License-Identifier: MIT */
/* Field by field as in the API; a value that is not known is null. */
#include "supervisor/runs.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"

static void set(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value);
}

static const char *shown_label(const struct target *t)
{
	return t->label[0] ? t->label : t->url ? t->url : t->id;
}

json_t *runs_make(const char *agent, const char *host, const struct target *t, int64_t planned_ms,
	int64_t scheduled_ms, int64_t now_ms)
{
	char id[UUID_MAX];
	json_t *o = json_object();

	uuid_make_v7(now_ms, id);
	set(o, "id", json_string(id));
	set(o, "agent", json_text(agent));
	set(o, "host", json_text(host));
	set(o, "targetId", json_text(t->id));
	set(o, "targetLabel", json_text(shown_label(t)));
	set(o, "status", json_string("running"));
	set(o, "reason", json_null());
	set(o, "plannedMs", json_integer(planned_ms));
	set(o, "scheduledAt", json_time(scheduled_ms));
	set(o, "scheduledAtMs", json_integer(scheduled_ms));
	set(o, "startedAt", json_time(now_ms));
	set(o, "finishedAt", json_null());
	set(o, "lagMs", json_integer(now_ms > scheduled_ms ? now_ms - scheduled_ms : 0));
	set(o, "errorMessage", json_null());
	set(o, "metrics", json_null());
	set(o, "latencyQuantiles", json_null());
	set(o, "thresholds", json_array());
	set(o, "resources", json_null());
	set(o, "exitCode", json_null());
	return o;
}

void runs_started(json_t *run, int64_t started_ms)
{
	int64_t lag = started_ms - json_get_int(run, "scheduledAtMs", started_ms);

	set(run, "startedAt", json_time(started_ms));
	set(run, "lagMs", json_integer(lag > 0 ? lag : 0));
}

static json_t *whole_or_real(double v)
{
	/* Counts read as integers; latencies keep their fraction. */
	if (v == (double)(int64_t)v && v < 9e15)
		return json_integer((json_int_t)v);
	return json_real(v);
}

static json_t *metrics_object(const struct run_result *r)
{
	json_t *o = json_object();

	for (int i = 0; i < RESULT_METRIC_COUNT; i++) {
		bool count = i == RESULT_DATA_RECEIVED || i == RESULT_ITERATIONS ||
			i == RESULT_HTTP_REQS || i == RESULT_HTTP_REQS_ANSWERED ||
			i == RESULT_CHECKS_PASSED || i == RESULT_CHECKS_FAILED || i == RESULT_VUS;

		if (!result_has_metric(r, (enum result_metric)i))
			set(o, result_metric_names[i], json_null());
		else
			set(o, result_metric_names[i],
				count ? whole_or_real(r->metrics[i]) : json_real(r->metrics[i]));
	}
	return o;
}

static json_t *quantiles_array(const struct run_result *r)
{
	json_t *a;

	if (!r->has_quantiles)
		return json_null();
	a = json_array();
	for (int i = 0; i < RESULT_QUANTILES; i++)
		json_array_append_new(a, json_short_real(r->quantiles[i], 9));
	return a;
}

void runs_complete(json_t *run, const struct run_result *r)
{
	json_t *thresholds = json_array();

	for (size_t i = 0; i < r->threshold_count; i++)
		json_array_append_new(thresholds,
			json_pack("{s:o, s:o, s:b}", "metric", json_text(r->thresholds[i].metric),
				"expression", json_text(r->thresholds[i].expression), "ok",
				r->thresholds[i].ok));
	set(run, "status", json_string(result_status_names[r->status]));
	set(run, "reason", r->reason ? json_string(result_reason_names[r->reason]) : json_null());
	if (r->started_wall_ms)
		runs_started(run, r->started_wall_ms);
	set(run, "finishedAt",
		json_time(r->finished_wall_ms ? r->finished_wall_ms : units_now_wall_ms()));
	set(run, "errorMessage", r->message[0] ? json_text(r->message) : json_null());
	set(run, "metrics", metrics_object(r));
	set(run, "latencyQuantiles", quantiles_array(r));
	set(run, "thresholds", thresholds);
	set(run, "resources",
		json_pack("{s:I, s:I, s:I}", "cpuMs", (json_int_t)r->cpu_ms, "maxRssBytes",
			(json_int_t)r->max_rss_bytes, "tmpBytes", (json_int_t)r->tmp_bytes));
	set(run, "exitCode",
		r->exit_code == RESULT_EXIT_NONE ? json_null() : json_integer(r->exit_code));
	/* A run that went well has nothing in its log that is worth keeping. */
	if (r->status != RESULT_SUCCESS && r->log[0])
		set(run, "log", json_text(r->log));
}

void runs_abandon(json_t *run, enum result_reason reason, const char *message, int64_t now_ms)
{
	struct run_result r;

	/* Set back while it ran, the wall clock must not make it end before it began. */
	if (now_ms < json_get_int(run, "scheduledAtMs", 0))
		now_ms = json_get_int(run, "scheduledAtMs", 0) + json_get_int(run, "lagMs", 0);
	result_init(&r);
	free(r.message);
	r.message = x_strdup(message);
	r.status = RESULT_ERROR;
	r.reason = reason;
	r.finished_wall_ms = now_ms;
	runs_complete(run, &r);
	set(run, "resources", json_null());
	result_clear(&r);
}
