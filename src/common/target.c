/* SPDX-License-Identifier: MIT */
/* Field table of a target, with the limits of the HTTP API. */
#include "common/target.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"

#define EXPECTED_MAX 64
#define MAP_MAX 64

static int bad(struct target_error *e, const char *field, bool out_of_range)
{
	snprintf(e->field, sizeof(e->field), "%s", field);
	e->out_of_range = out_of_range;
	return -1;
}

int target_check_url(const char *url, struct err *err)
{
	const char *host;

	if (!strncmp(url, "http://", 7))
		host = url + 7;
	else if (!strncmp(url, "https://", 8))
		host = url + 8;
	else
		return err_set(err, "url must begin with http:// or https://");
	if (!*host || strchr("/?#:@", *host))
		return err_set(err, "url has no host");
	if (strlen(url) > TARGET_TEXT_MAX)
		return err_set(err, "url is longer than %d bytes", TARGET_TEXT_MAX);
	return 0;
}

struct target *target_new(void)
{
	struct target *t = x_calloc(1, sizeof(*t));

	t->id = x_strdup("");
	t->label = x_strdup("");
	t->method = x_strdup("GET");
	t->headers = json_object();
	t->thresholds = json_object();
	t->tags = json_object();
	t->expected_statuses = json_array();
	t->vus = 1;
	t->duration_ms = 30000;
	t->interval_ms = 60000;
	t->checks_count = true;
	t->enabled = true;
	return t;
}

void target_free(struct target *t)
{
	if (!t)
		return;
	free(t->id);
	free(t->label);
	free(t->url);
	free(t->script);
	free(t->method);
	free(t->body);
	json_decref(t->headers);
	json_decref(t->thresholds);
	json_decref(t->tags);
	json_decref(t->expected_statuses);
	free(t);
}

static int set_text(char **place, const char *name, const json_t *v, size_t max, bool nullable,
	struct target_error *e)
{
	if (nullable && json_is_null(v)) {
		free(*place);
		*place = NULL;
		return 0;
	}
	if (!json_is_string(v)) {
		err_set(&e->err, "%s must be a string", name);
		return bad(e, name, false);
	}
	if (json_string_length(v) > max) {
		err_set(&e->err, "%s must be at most %zu bytes, got %zu", name, max,
			json_string_length(v));
		return bad(e, name, true);
	}
	free(*place);
	*place = x_strdup(json_string_value(v));
	return 0;
}

static int set_int(int64_t *place, const char *name, const json_t *v, int64_t min, int64_t max,
	int64_t factor, struct target_error *e)
{
	if (!json_is_integer(v)) {
		err_set(&e->err, "%s must be an integer", name);
		return bad(e, name, false);
	}
	if (json_integer_value(v) < min || json_integer_value(v) > max) {
		err_set(&e->err, "%s must be %lld..%lld, got %lld", name, (long long)min,
			(long long)max, (long long)json_integer_value(v));
		return bad(e, name, true);
	}
	*place = json_integer_value(v) * factor;
	return 0;
}

static int set_bool(bool *place, const char *name, const json_t *v, struct target_error *e)
{
	if (!json_is_boolean(v)) {
		err_set(&e->err, "%s must be true or false", name);
		return bad(e, name, false);
	}
	*place = json_is_true(v);
	return 0;
}

/* RFC 9110 section 5.6.2: the characters of a field name. */
static bool is_token(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	}
	return true;
}

static int set_map(
	json_t **place, const char *name, const json_t *v, bool header, struct target_error *e)
{
	const char *key;
	json_t *value, *copy;

	if (json_is_null(v)) {
		json_object_clear(*place);
		return 0;
	}
	if (!json_is_object(v)) {
		err_set(&e->err, "%s must be an object of strings", name);
		return bad(e, name, false);
	}
	if (json_object_size(v) > MAP_MAX) {
		err_set(&e->err, "%s may have %d members at most", name, MAP_MAX);
		return bad(e, name, true);
	}
	copy = json_deep_copy(v);
	json_object_foreach (copy, key, value) {
		const char *s = json_string_value(value);

		if (!s) {
			err_set(&e->err, "%s.%.40s must be a string", name, key);
			json_decref(copy);
			return bad(e, name, false);
		}
		if ((header && (!is_token(key) || strpbrk(s, "\r\n"))) || !*key ||
			strlen(key) > 256 || strlen(s) > TARGET_TEXT_MAX) {
			err_set(&e->err, "%s: \"%.40s\" is not allowed there", name, key);
			json_decref(copy);
			return bad(e, name, true);
		}
	}
	json_decref(*place);
	*place = copy;
	return 0;
}

static int set_thresholds(json_t **place, const json_t *v, struct target_error *e)
{
	const char *metric;
	json_t *list, *item;
	size_t i;

	if (json_is_null(v)) {
		json_object_clear(*place);
		return 0;
	}
	if (!json_is_object(v))
		goto malformed;
	if (json_object_size(v) > MAP_MAX) {
		err_set(&e->err, "thresholds may name %d metrics at most", MAP_MAX);
		return bad(e, "thresholds", true);
	}
	json_object_foreach ((json_t *)(uintptr_t)v, metric, list) {
		if (!json_is_array(list))
			goto malformed;
		json_array_foreach (list, i, item) {
			if (!json_is_string(item) || !*json_string_value(item) ||
				json_string_length(item) > 256 || i >= MAP_MAX)
				goto malformed;
		}
	}
	json_decref(*place);
	*place = json_deep_copy(v);
	return 0;
malformed:
	err_set(&e->err, "thresholds must be like {\"http_req_duration\":[\"p(95)<500\"]}");
	return bad(e, "thresholds", false);
}

static int set_statuses(json_t **place, const json_t *v, struct target_error *e)
{
	json_t *item;
	size_t i;

	if (json_is_null(v)) {
		json_array_clear(*place);
		return 0;
	}
	if (!json_is_array(v)) {
		err_set(&e->err, "expectedStatuses must be an array of HTTP statuses");
		return bad(e, "expectedStatuses", false);
	}
	json_array_foreach (v, i, item) {
		if (!json_is_integer(item) || json_integer_value(item) < 100 ||
			json_integer_value(item) > 599 || i >= EXPECTED_MAX) {
			err_set(&e->err,
				"expectedStatuses must be at most %d statuses, each 100..599",
				EXPECTED_MAX);
			return bad(e, "expectedStatuses", json_is_integer(item));
		}
	}
	json_decref(*place);
	*place = json_deep_copy(v);
	return 0;
}

static int set_checks(struct target *t, const json_t *v, struct target_error *e)
{
	const char *s = json_string_value(v);

	if (s && !strcmp(s, "count"))
		t->checks_count = true;
	else if (s && !strcmp(s, "ignore"))
		t->checks_count = false;
	else {
		err_set(&e->err, "checks must be \"count\" or \"ignore\"");
		return bad(e, "checks", s != NULL);
	}
	return 0;
}

static int set_method(struct target *t, const json_t *v, struct target_error *e)
{
	if (set_text(&t->method, "method", v, 32, false, e) < 0)
		return -1;
	if (!is_token(t->method)) {
		err_set(&e->err, "method must be an HTTP method such as GET or POST");
		return bad(e, "method", true);
	}
	return 0;
}

static int set_url(struct target *t, const json_t *v, struct target_error *e)
{
	if (set_text(&t->url, "url", v, TARGET_TEXT_MAX, true, e) < 0)
		return -1;
	if (t->url && target_check_url(t->url, &e->err) < 0)
		return bad(e, "url", true);
	return 0;
}

static int apply_member(
	struct target *t, const char *key, const json_t *v, bool strict, struct target_error *e)
{
#define IS(name) (!strcmp(key, name))
	if (IS("url"))
		return set_url(t, v, e);
	if (IS("label"))
		return set_text(&t->label, key, v, 256, false, e);
	if (IS("vus"))
		return set_int(&t->vus, key, v, 1, 10000, 1, e);
	if (IS("durationS"))
		return set_int(&t->duration_ms, key, v, 1, 86400, 1000, e);
	if (IS("runIntervalMs"))
		return set_int(&t->interval_ms, key, v, 1000, 604800000, 1, e);
	if (IS("enabled"))
		return set_bool(&t->enabled, key, v, e);
	if (IS("method"))
		return set_method(t, v, e);
	if (IS("headers"))
		return set_map(&t->headers, key, v, true, e);
	if (IS("body"))
		return set_text(&t->body, key, v, TARGET_BODY_MAX, true, e);
	if (IS("expectedStatuses"))
		return set_statuses(&t->expected_statuses, v, e);
	if (IS("checks"))
		return set_checks(t, v, e);
	if (IS("script"))
		return set_text(&t->script, key, v, TARGET_SCRIPT_MAX, true, e);
	if (IS("thresholds"))
		return set_thresholds(&t->thresholds, v, e);
	if (IS("maxAgents") || IS("timeoutS")) {
		int64_t *place = key[0] == 'm' ? &t->max_agents : &t->timeout_ms;

		if (json_is_null(v)) {
			*place = 0;
			return 0;
		}
		return key[0] == 'm' ? set_int(place, key, v, 1, 100000, 1, e)
				     : set_int(place, key, v, 1, 604800, 1000, e);
	}
	if (IS("tags"))
		return set_map(&t->tags, key, v, false, e);
#undef IS
	if (!strict || !strcmp(key, "id") || !strcmp(key, "createdAt") || !strcmp(key, "updatedAt"))
		return 0;
	err_set(&e->err, "there is no field \"%.60s\" in a target", key);
	return bad(e, key, false);
}

int target_apply_json(struct target *t, const json_t *object, bool strict, struct target_error *e)
{
	const char *key;
	json_t *value;

	e->field[0] = '\0';
	e->out_of_range = false;
	if (!json_is_object(object)) {
		err_set(&e->err, "a target must be a JSON object");
		return -1;
	}
	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		if (apply_member(t, key, value, strict, e) < 0)
			return -1;
	}
	return 0;
}

int target_validate(const struct target *t, struct target_error *e)
{
	e->field[0] = '\0';
	if (t->url && t->script) {
		err_set(&e->err, "a target has a url or a script, not both");
		return bad(e, "script", true);
	}
	if (!t->url && !t->script) {
		err_set(&e->err, "url is required (or a script)");
		return bad(e, "url", true);
	}
	return 0;
}

static json_t *masked_map(const json_t *map)
{
	json_t *copy = json_object(), *value;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)map, key, value)
		json_object_set_new(copy, key, json_string("…"));
	return copy;
}

static json_t *text_or_null(const char *s, bool mask)
{
	return s ? json_text(mask ? "…" : s) : json_null();
}

json_t *target_to_json(const struct target *t, bool mask)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", json_text(t->id));
	json_object_set_new(o, "label", json_text(t->label));
	json_object_set_new(o, "url", text_or_null(t->url, false));
	json_object_set_new(o, "vus", json_integer(t->vus));
	json_object_set_new(o, "durationS", json_integer(t->duration_ms / 1000));
	json_object_set_new(o, "runIntervalMs", json_integer(t->interval_ms));
	json_object_set_new(o, "enabled", json_boolean(t->enabled));
	json_object_set_new(o, "method", json_text(t->method));
	json_object_set_new(
		o, "headers", mask ? masked_map(t->headers) : json_deep_copy(t->headers));
	json_object_set_new(o, "body", text_or_null(t->body, mask));
	json_object_set_new(o, "expectedStatuses", json_deep_copy(t->expected_statuses));
	json_object_set_new(o, "checks", json_string(t->checks_count ? "count" : "ignore"));
	json_object_set_new(o, "script", text_or_null(t->script, mask));
	json_object_set_new(o, "thresholds", json_deep_copy(t->thresholds));
	json_object_set_new(
		o, "maxAgents", t->max_agents ? json_integer(t->max_agents) : json_null());
	json_object_set_new(
		o, "timeoutS", t->timeout_ms ? json_integer(t->timeout_ms / 1000) : json_null());
	json_object_set_new(o, "tags", json_deep_copy(t->tags));
	return o;
}

struct target *target_copy(const struct target *from)
{
	_cleanup_json_ json_t *json = target_to_json(from, false);
	struct target *t = target_new();
	struct target_error err;

	target_apply_json(t, json, false, &err);
	/* Which JSON has in whole seconds. */
	t->duration_ms = from->duration_ms;
	t->timeout_ms = from->timeout_ms;
	free(t->id);
	t->id = x_strdup(from->id);
	return t;
}
