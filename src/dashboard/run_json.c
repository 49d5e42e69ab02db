/* SPDX-License-Identifier: MIT */
/* Nothing of an agent's object is stored that was not looked at; what it left out is null. */
#include "dashboard/run_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/run.h"
#include "common/units.h"

#define ID_MAX 64
#define TEXT_MAX_BYTES 4096
#define LOG_MAX_BYTES (64 * 1024)

static void set(json_t *o, const char *key, json_t *v)
{
	json_object_set_new(o, key, v);
}

/* Copies a string or null; cut to max. */
static int take_text(const json_t *in, json_t *out, const char *key, size_t max, struct err *err)
{
	const json_t *v = json_object_get(in, key);

	if (!v || json_is_null(v)) {
		set(out, key, json_null());
		return 0;
	}
	if (!json_is_string(v))
		return err_set(err, "%s must be a string", key);
	if (json_string_length(v) > max)
		set(out, key, json_text_n(json_string_value(v), max));
	else
		set(out, key, json_incref((json_t *)(uintptr_t)v));
	return 0;
}

static int take_time(const json_t *in, json_t *out, const char *key, int64_t *ms, struct err *err)
{
	const json_t *v = json_object_get(in, key);

	*ms = 0;
	if (!v || json_is_null(v)) {
		set(out, key, json_null());
		return 0;
	}
	if (!json_is_string(v) || units_parse_time(json_string_value(v), ms, err) < 0)
		return err_set(err, "%s must be an RFC 3339 time", key);
	set(out, key, json_time(*ms));
	return 0;
}

static int take_int(const json_t *in, json_t *out, const char *key, int64_t min, struct err *err)
{
	const json_t *v = json_object_get(in, key);

	if (!v || json_is_null(v)) {
		set(out, key, json_null());
		return 0;
	}
	if (!json_is_integer(v) || json_integer_value(v) < min)
		return err_set(err, "%s must be an integer of at least %lld", key, (long long)min);
	set(out, key, json_integer(json_integer_value(v)));
	return 0;
}

static int take_metrics(const json_t *in, json_t *out, struct err *err)
{
	const json_t *from = json_object_get(in, "metrics");
	json_t *to;

	if (!from || json_is_null(from)) {
		set(out, "metrics", json_null());
		return 0;
	}
	if (!json_is_object(from))
		return err_set(err, "metrics must be an object");
	to = json_object();
	set(out, "metrics", to);
	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *f = &run_fields[i];
		const json_t *v = json_object_get(from, f->name);

		if (f->group != RUN_METRICS)
			continue;
		if (!v || json_is_null(v)) {
			set(to, f->name, json_null());
			continue;
		}
		if (!json_is_number(v) || !isfinite(json_number_value(v)) ||
			json_number_value(v) < 0 ||
			(f->max && json_number_value(v) > (double)f->max))
			return err_set(err, "metrics.%s must be a number that is not negative%s",
				f->name, f->max ? " and at most 1" : "");
		set(to, f->name, json_incref((json_t *)(uintptr_t)v));
	}
	return 0;
}

static int take_quantiles(
	const json_t *in, struct quantile_lists *lists, struct dash_store_run *out, struct err *err)
{
	json_t *list = json_object_get(in, "latencyQuantiles"), *v;
	double last = 0;
	size_t i;

	if (!list || json_is_null(list))
		return 0;
	if (json_is_integer(list))
		out->quantiles = quantile_lists_take(lists, json_integer_value(list));
	if (out->quantiles)
		return 0;
	if (!json_is_array(list) || json_array_size(list) != QUANTILES)
		return err_set(err, "latencyQuantiles must be %d numbers or null", QUANTILES);
	out->quantiles = x_calloc(QUANTILES, sizeof(*out->quantiles));
	json_array_foreach (list, i, v) {
		if (!json_is_number(v) || !isfinite(json_number_value(v)) ||
			json_number_value(v) < last)
			return err_set(err, "latencyQuantiles must be numbers that do not fall");
		out->quantiles[i] = last = json_number_value(v);
	}
	return 0;
}

static int take_thresholds(const json_t *in, json_t *out, struct err *err)
{
	json_t *list = json_object_get(in, "thresholds"), *v, *copy = json_array();
	size_t i;

	set(out, "thresholds", copy);
	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list) || json_array_size(list) > 1000)
		return err_set(err, "thresholds must be an array of up to 1000");
	json_array_foreach (list, i, v) {
		const char *metric = json_get_text(v, "metric", NULL);
		const char *expression = json_get_text(v, "expression", NULL);
		const json_t *ok = json_object_get(v, "ok");

		if (!metric || !expression || !json_is_boolean(ok))
			return err_set(
				err, "thresholds[%zu] must have metric, expression and ok", i);
		json_array_append_new(copy,
			json_pack("{s:s, s:s, s:b}", "metric", metric, "expression", expression,
				"ok", json_is_true(ok)));
	}
	return 0;
}

static int take_resources(const json_t *in, json_t *out, struct err *err)
{
	const json_t *from = json_object_get(in, "resources");
	json_t *to;

	if (!from || json_is_null(from)) {
		set(out, "resources", json_null());
		return 0;
	}
	to = json_object();
	set(out, "resources", to);
	if (!json_is_object(from) || take_int(from, to, "cpuMs", 0, err) < 0 ||
		take_int(from, to, "maxRssBytes", 0, err) < 0 ||
		take_int(from, to, "tmpBytes", 0, err) < 0)
		return err_set(err, "resources must be an object of counts");
	return 0;
}

static int take_status(const json_t *in, json_t *out, struct err *err)
{
	const char *status = json_get_text(in, "status", "");
	const json_t *reason = json_object_get(in, "reason");
	int index = run_find_name(run_status_names, RUN_STATUS_COUNT, status);
	bool has_reason = reason && !json_is_null(reason);

	if (index < 0)
		return err_set(err, "status must be running, success, failed or error");
	set(out, "status", json_string(status));
	set(out, "reason", json_null());
	if (!has_reason)
		return 0;
	if (!json_is_string(reason) || !*json_string_value(reason) ||
		run_find_name(run_reason_names, RUN_REASON_COUNT, json_string_value(reason)) < 0)
		return err_set(err, "reason is none of the known reasons");
	if (index == RUN_RUNNING || index == RUN_SUCCESS)
		return err_set(err, "a %s run has no reason", status);
	set(out, "reason", json_string(json_string_value(reason)));
	return 0;
}

static int check(
	const json_t *in, struct quantile_lists *lists, struct dash_store_run *run, struct err *err)
{
	json_t *out = run->json;
	const char *id = json_get_text(in, "id", "");
	int64_t scheduled, started, finished;

	if (!*id || strlen(id) > ID_MAX ||
		strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") !=
			strlen(id))
		return err_set(err, "id must be 1 to %d letters, digits, '-', '_' or '.'", ID_MAX);
	set(out, "id", json_string(id));
	if (take_text(in, out, "agent", 255, err) < 0 || take_text(in, out, "host", 255, err) < 0 ||
		take_text(in, out, "targetId", 255, err) < 0 ||
		take_text(in, out, "targetLabel", 256, err) < 0 || take_status(in, out, err) < 0 ||
		take_int(in, out, "plannedMs", 0, err) < 0 ||
		take_time(in, out, "scheduledAt", &scheduled, err) < 0 ||
		take_time(in, out, "startedAt", &started, err) < 0 ||
		take_time(in, out, "finishedAt", &finished, err) < 0 ||
		take_int(in, out, "lagMs", 0, err) < 0 ||
		take_text(in, out, "errorMessage", TEXT_MAX_BYTES, err) < 0 ||
		take_metrics(in, out, err) < 0 || take_quantiles(in, lists, run, err) < 0 ||
		take_thresholds(in, out, err) < 0 || take_resources(in, out, err) < 0 ||
		take_int(in, out, "exitCode", -1, err) < 0 ||
		take_text(in, out, "log", LOG_MAX_BYTES, err) < 0)
		return -1;
	run->log = json_incref(json_object_get(out, "log"));
	json_object_del(out, "log");
	run->started_ms = started ? started
		: scheduled       ? scheduled
		: finished        ? finished
				  : units_now_wall_ms();
	if (json_is_null(json_object_get(out, "host")))
		set(out, "host", json_string(""));
	return 0;
}

int run_json_check(
	const json_t *in, struct quantile_lists *lists, struct dash_store_run *out, struct err *err)
{
	*out = (struct dash_store_run){0};
	if (!json_is_object(in))
		return err_set(err, "a run must be an object");
	out->json = json_object();
	if (check(in, lists, out, err) == 0)
		return 0;
	run_json_clear(out);
	return -1;
}

void run_json_clear(struct dash_store_run *run)
{
	json_decref(run->json);
	json_decref(run->log);
	free(run->quantiles);
	*run = (struct dash_store_run){0};
}
