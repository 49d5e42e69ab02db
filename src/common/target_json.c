/* SPDX-License-Identifier: MIT */
/* A target as the JSON of the HTTP API, in and out, from the rows of TARGET_FIELDS.  Error texts
 * are part of the API: they name the field, what is allowed and what was given. */
#include "common/target.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"

#define HIDDEN "…"

static int fail(struct target_error *e, const char *field, enum err_code code, const char *fmt, ...)
	_printf_(4, 5);

static int fail(struct target_error *e, const char *field, enum err_code code, const char *fmt, ...)
{
	char text[ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*e = (struct target_error){0};
	snprintf(e->field, sizeof(e->field), "%s", field);
	return err_code_set(&e->err, code, "%s", text);
}

/* --- from JSON: a function for each kind, which changes nothing where it fails ------ */

typedef int take_fn(
	const struct target_field *f, void *place, const json_t *v, struct target_error *e);

static int take_text(
	const struct target_field *f, void *place, const json_t *v, struct target_error *e)
{
	const char *s = json_string_value(v);

	if (!s)
		return fail(e, f->name, ERR_MALFORMED, "%s must be a string", f->name);
	if (json_string_length(v) > (size_t)f->max)
		return fail(e, f->name, ERR_OUT_OF_RANGE, "%s must be at most %lld bytes, got %zu",
			f->name, (long long)f->max, json_string_length(v));
	if (f->check && f->check(s, &e->err) < 0) {
		snprintf(e->field, sizeof(e->field), "%s", f->name);
		e->err.code = ERR_OUT_OF_RANGE;
		return -1;
	}
	free(*(char **)place);
	*(char **)place = x_strdup(s);
	return 0;
}

static int take_number(
	const struct target_field *f, void *place, const json_t *v, struct target_error *e)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return fail(e, f->name, ERR_MALFORMED, "%s must be an integer", f->name);
	if (n < f->min || n > f->max)
		return fail(e, f->name, ERR_OUT_OF_RANGE, "%s must be %lld..%lld, got %lld",
			f->name, (long long)f->min, (long long)f->max, (long long)n);
	*(int64_t *)place = n * (f->kind == TARGET_TIME ? f->unit_ms : 1);
	return 0;
}

static int take_flag(
	const struct target_field *f, void *place, const json_t *v, struct target_error *e)
{
	if (!json_is_boolean(v))
		return fail(e, f->name, ERR_MALFORMED, "%s must be true or false", f->name);
	*(bool *)place = json_is_true(v);
	return 0;
}

static int take_choice(
	const struct target_field *f, void *place, const json_t *v, struct target_error *e)
{
	const char *s = json_string_value(v);
	char all[128] = "";

	for (int i = 0; f->choices[i]; i++) {
		if (s && !strcmp(s, f->choices[i])) {
			*(int *)place = i;
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s\"%s\"", i ? " or " : "",
			f->choices[i]);
	}
	return fail(
		e, f->name, s ? ERR_OUT_OF_RANGE : ERR_MALFORMED, "%s must be %s", f->name, all);
}

static void replace(void *place, const json_t *v)
{
	json_decref(*(json_t **)place);
	*(json_t **)place = json_deep_copy(v);
}

static int take_map(
	const struct target_field *f, void *place, const json_t *v, struct target_error *e)
{
	const char *key;
	json_t *value;

	if (!json_is_object(v))
		return fail(e, f->name, ERR_MALFORMED, "%s must be an object of strings", f->name);
	if (json_object_size(v) > (size_t)f->max)
		return fail(e, f->name, ERR_OUT_OF_RANGE, "%s may have %lld members at most",
			f->name, (long long)f->max);
	json_object_foreach ((json_t *)(uintptr_t)v, key, value) {
		if (!json_is_string(value))
			return fail(e, f->name, ERR_MALFORMED, "%s.%.40s must be a string", f->name,
				key);
		if (!target_is_pair(f, key, json_string_value(value)))
			return fail(e, f->name, ERR_OUT_OF_RANGE,
				"%s: \"%.40s\" is not allowed there", f->name, key);
	}
	replace(place, v);
	return 0;
}

static bool are_expressions(const json_t *list, int64_t max)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > (size_t)max)
		return false;
	json_array_foreach (list, i, item) {
		if (!json_is_string(item) || !target_is_expression(json_string_value(item)))
			return false;
	}
	return true;
}

static int take_thresholds(
	const struct target_field *f, void *place, const json_t *v, struct target_error *e)
{
	const char *metric;
	json_t *list;
	bool good = json_is_object(v);

	if (json_object_size(v) > (size_t)f->max)
		return fail(e, f->name, ERR_OUT_OF_RANGE, "%s may name %lld metrics at most",
			f->name, (long long)f->max);
	json_object_foreach ((json_t *)(uintptr_t)v, metric, list)
		good = good && are_expressions(list, f->max);
	if (!good)
		return fail(e, f->name, ERR_MALFORMED,
			"%s must be like {\"http_req_duration\":[\"p(95)<500\"]}", f->name);
	replace(place, v);
	return 0;
}

static int take_statuses(
	const struct target_field *f, void *place, const json_t *v, struct target_error *e)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(v))
		return fail(
			e, f->name, ERR_MALFORMED, "%s must be an array of HTTP statuses", f->name);
	json_array_foreach (v, i, item) {
		if (!json_is_integer(item) || !target_is_status(json_integer_value(item)) ||
			i >= (size_t)f->max)
			return fail(e, f->name,
				json_is_integer(item) ? ERR_OUT_OF_RANGE : ERR_MALFORMED,
				"%s must be at most %lld statuses, each 100..599", f->name,
				(long long)f->max);
	}
	replace(place, v);
	return 0;
}

/* null: the field is not set any more. */
static void unset(const struct target_field *f, void *place)
{
	switch (f->kind) {
	case TARGET_TEXT:
		free(*(char **)place);
		*(char **)place = NULL;
		break;
	case TARGET_NUMBER:
	case TARGET_TIME: *(int64_t *)place = 0; break;
	case TARGET_MAP:
	case TARGET_THRESHOLDS: json_object_clear(*(json_t **)place); break;
	case TARGET_STATUSES: json_array_clear(*(json_t **)place); break;
	/* Never null. */
	case TARGET_PATH:
	case TARGET_FLAG:
	case TARGET_CHOICE: break;
	}
}

static int apply_member(
	struct target *t, const char *name, const json_t *v, bool strict, struct target_error *e)
{
	static take_fn *const take[] = {
		[TARGET_TEXT] = take_text,
		[TARGET_NUMBER] = take_number,
		[TARGET_TIME] = take_number,
		[TARGET_FLAG] = take_flag,
		[TARGET_CHOICE] = take_choice,
		[TARGET_MAP] = take_map,
		[TARGET_THRESHOLDS] = take_thresholds,
		[TARGET_STATUSES] = take_statuses,
	};

	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const struct target_field *f = &target_fields[i];
		void *place = target_place(f, t);

		if (!f->name || !take[f->kind] || strcmp(f->name, name) != 0)
			continue;
		if (!f->null || !json_is_null(v)) {
			assert(take[f->kind]);
			return take[f->kind](f, place, v, e);
		}
		unset(f, place);
		return 0;
	}
	if (!strict || !strcmp(name, "id") || !strcmp(name, "createdAt") ||
		!strcmp(name, "updatedAt"))
		return 0;
	return fail(e, name, ERR_UNKNOWN_FIELD, "there is no field \"%.60s\" in a target", name);
}

int target_apply_json(struct target *t, const json_t *object, bool strict, struct target_error *e)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return fail(e, "", ERR_MALFORMED, "a target must be a JSON object");
	json_object_foreach ((json_t *)(uintptr_t)object, name, value) {
		if (apply_member(t, name, value, strict, e) < 0)
			return -1;
	}
	return 0;
}

int target_validate(const struct target *t, struct target_error *e)
{
	if (t->url && t->script)
		return fail(
			e, "script", ERR_OUT_OF_RANGE, "a target has a url or a script, not both");
	if (!t->url && !t->script)
		return fail(e, "url", ERR_OUT_OF_RANGE, "url is required (or a script)");
	return 0;
}

/* --- to JSON ---------------------------------------------------------------------- */

static json_t *hidden_map(const json_t *map)
{
	json_t *copy = json_object(), *value;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)map, key, value)
		json_object_set_new(copy, key, json_string(HIDDEN));
	return copy;
}

static json_t *number_json(const struct target_field *f, int64_t n)
{
	return f->null && !n ? json_null()
			     : json_integer(n / (f->kind == TARGET_TIME ? f->unit_ms : 1));
}

static json_t *field_json(const struct target_field *f, const void *place, bool hide)
{
	switch (f->kind) {
	case TARGET_TEXT: {
		const char *s = *(char *const *)place;

		return s ? json_text(hide ? HIDDEN : s) : json_null();
	}
	case TARGET_NUMBER:
	case TARGET_TIME: return number_json(f, *(const int64_t *)place);
	case TARGET_FLAG: return json_boolean(*(const bool *)place);
	case TARGET_CHOICE: return json_string(f->choices[*(const int *)place]);
	case TARGET_MAP:
		return hide ? hidden_map(*(json_t *const *)place)
			    : json_deep_copy(*(json_t *const *)place);
	case TARGET_THRESHOLDS:
	case TARGET_STATUSES: return json_deep_copy(*(json_t *const *)place);
	case TARGET_PATH: break;
	}
	return json_null();
}

json_t *target_to_json(const struct target *t, enum target_reader reader)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", json_text(t->id));
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const struct target_field *f = &target_fields[i];
		bool hide = f->hidden_from && reader >= f->hidden_from;

		if (f->name)
			json_object_set_new(o, f->name, field_json(f, target_place(f, t), hide));
	}
	return o;
}
