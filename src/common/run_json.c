/* SPDX-License-Identifier: MIT */
/* A reader and a writer for each kind of a run's fields.  Every member that is read from a
 * sender's object is checked. */
#include "common/run_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/json_text.h"
#include "common/units.h"

/* --- writing -------------------------------------------------------------------------- */

static void write_text(const struct run_field *f, const struct run *r, struct json_text *t)
{
	json_text_string(t, *(char **)run_member(f, r));
}

static void write_status(const struct run_field *f, const struct run *r, struct json_text *t)
{
	(void)f;
	json_text_string(t, run_status_names[r->status]);
}

static void write_reason(const struct run_field *f, const struct run *r, struct json_text *t)
{
	(void)f;
	json_text_string(t, r->reason ? run_reason_names[r->reason] : NULL);
}

static void write_time(const struct run_field *f, const struct run *r, struct json_text *t)
{
	int64_t ms = *(int64_t *)run_member(f, r);
	char text[UNITS_TIME_MAX];

	json_text_string(t, ms ? units_format_time(ms, text) : NULL);
}

static void write_time_ms(const struct run_field *f, const struct run *r, struct json_text *t)
{
	json_text_int(t, *(int64_t *)run_member(f, r));
}

static void write_integer(const struct run_field *f, const struct run *r, struct json_text *t)
{
	int64_t v = *(int64_t *)run_member(f, r);

	if (v == RUN_NONE)
		json_text_raw(t, "null");
	else
		json_text_int(t, v);
}

static void write_real(const struct run_field *f, const struct run *r, struct json_text *t)
{
	double v = *(double *)run_member(f, r);

	if (r->integers & run_bit(f))
		json_text_int(t, (int64_t)v);
	else
		json_text_real(t, v);
}

static void write_quantiles(const struct run_field *f, const struct run *r, struct json_text *t)
{
	const double *q = *(double **)run_member(f, r);

	if (!q) {
		json_text_raw(t, "null");
		return;
	}
	for (int i = 0; i < QUANTILES; i++) {
		json_text_raw(t, i ? "," : "[");
		json_text_short_real(t, q[i]);
	}
	json_text_raw(t, "]");
}

static void write_thresholds(const struct run_field *f, const struct run *r, struct json_text *t)
{
	const struct run_thresholds *list = run_member(f, r);

	json_text_raw(t, "[");
	for (size_t i = 0; i < list->count; i++) {
		json_text_raw(t, i ? ",{\"metric\":" : "{\"metric\":");
		json_text_string(t, list->list[i].metric);
		json_text_raw(t, ",\"expression\":");
		json_text_string(t, list->list[i].expression);
		json_text_raw(t, list->list[i].ok ? ",\"ok\":true}" : ",\"ok\":false}");
	}
	json_text_raw(t, "]");
}

/* --- reading ---------------------------------------------------------------------------- */

/* A member of the sender's object on its way into the run. */
struct value {
	const json_t *json; /* NULL: missing or null */
	run_lifted *lifted;
	void *arg;
};

static int read_id(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	const char *id = json_is_string(v.json) ? json_string_value(v.json) : "";

	if (!*id || strlen(id) > RUN_ID_MAX ||
		strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") !=
			strlen(id))
		return err_set(err, "%s must be 1 to %d letters, digits, '-', '_' or '.'", f->name,
			RUN_ID_MAX);
	r->id = x_strdup(id);
	return 0;
}

/* A text that is too long is cut. */
static int read_text(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	char **text = run_member(f, r);

	if (!v.json) {
		if (f->empty_for_null)
			*text = x_strdup("");
		return 0;
	}
	if (!json_is_string(v.json))
		return err_set(err, "%s must be a string", f->name);
	if (json_string_length(v.json) <= (size_t)f->max) {
		*text = x_strdup(json_string_value(v.json));
	} else {
		/* A character that the cut divides becomes U+FFFD. */
		_cleanup_json_ json_t *cut = json_text_n(json_string_value(v.json), (size_t)f->max);

		*text = x_strdup(json_string_value(cut));
	}
	return 0;
}

static int read_status(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	int i = !json_is_string(v.json)
		? -1
		: run_find_name(run_status_names, RUN_STATUS_COUNT, json_string_value(v.json));

	if (i < 0)
		return run_wrong_status(f->name, err);
	r->status = (enum run_status)i;
	return 0;
}

/* r->status has been read: its row is the one before. */
static int read_reason(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	int i;

	if (!v.json)
		return 0;
	i = !json_is_string(v.json)
		? -1
		: run_find_name(run_reason_names, RUN_REASON_COUNT, json_string_value(v.json));
	if (i <= RUN_REASON_NONE)
		return err_set(err, "%s is none of the known reasons", f->name);
	if (r->status == RUN_RUNNING || r->status == RUN_SUCCESS)
		return err_set(err, "a %s run has no reason", run_status_names[r->status]);
	r->reason = (enum run_reason)i;
	return 0;
}

static int read_time(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	if (v.json &&
		(!json_is_string(v.json) ||
			units_parse_time(json_string_value(v.json), run_member(f, r), err) < 0))
		return err_set(err, "%s must be an RFC 3339 time", f->name);
	return 0;
}

/* The row of kind TIME with the same member has set it. */
static int read_time_ms(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	(void)f;
	(void)v;
	(void)r;
	(void)err;
	return 0;
}

static int read_integer(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	if (!v.json)
		return 0;
	if (!json_is_integer(v.json) || json_integer_value(v.json) < f->min)
		return err_set(
			err, "%s must be an integer of at least %lld", f->name, (long long)f->min);
	*(int64_t *)run_member(f, r) = json_integer_value(v.json);
	return 0;
}

static int read_real(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	double n = json_number_value(v.json);

	if (!v.json)
		return 0;
	if (!json_is_number(v.json) || !isfinite(n) || n < 0 || (f->max && n > (double)f->max)) {
		char limit[40] = "";

		if (f->max)
			snprintf(limit, sizeof(limit), " and at most %lld", (long long)f->max);
		return err_set(err, "%s%s%s must be a number that is not negative%s",
			f->group ? run_group_names[f->group] : "", f->group ? "." : "", f->name,
			limit);
	}
	*(double *)run_member(f, r) = n;
	if (json_is_integer(v.json) && run_is_integer(n))
		r->integers |= run_bit(f);
	return 0;
}

static int read_quantiles(const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	double **q = run_member(f, r), last = 0;
	const json_t *item;
	size_t i;

	if (!v.json)
		return 0;
	if (json_is_integer(v.json) && v.lifted)
		*q = v.lifted(v.arg, json_integer_value(v.json));
	if (*q)
		return 0;
	if (!json_is_array(v.json) || json_array_size(v.json) != QUANTILES)
		return err_set(err, "%s must be %d numbers or null", f->name, QUANTILES);
	*q = x_calloc(QUANTILES, sizeof(**q));
	json_array_foreach (v.json, i, item) {
		if (!json_is_number(item) || !isfinite(json_number_value(item)) ||
			json_number_value(item) < last)
			return err_set(err, "%s must be numbers that do not fall", f->name);
		(*q)[i] = last = json_number_value(item);
	}
	return 0;
}

static int read_thresholds(
	const struct run_field *f, struct value v, struct run *r, struct err *err)
{
	struct run_thresholds *list = run_member(f, r);
	const json_t *item;
	size_t i;

	if (!v.json)
		return 0;
	if (!json_is_array(v.json) || json_array_size(v.json) > (size_t)f->max)
		return err_set(
			err, "%s must be an array of up to %lld", f->name, (long long)f->max);
	list->list = x_calloc(json_array_size(v.json) + 1, sizeof(*list->list));
	json_array_foreach (v.json, i, item) {
		const char *metric = json_get_text(item, "metric", NULL);
		const char *expression = json_get_text(item, "expression", NULL);
		const json_t *ok = json_object_get(item, "ok");

		if (!metric || !expression || !json_is_boolean(ok))
			return err_set(
				err, "%s[%zu] must have metric, expression and ok", f->name, i);
		list->list[list->count++] = (struct run_threshold){
			x_strdup(metric), x_strdup(expression), json_is_true(ok)};
	}
	return 0;
}

/* --- whole runs ---------------------------------------------------------------------------- */

static const struct kind {
	void (*write)(const struct run_field *f, const struct run *r, struct json_text *t);
	/* Called for missing members, too. */
	int (*read)(const struct run_field *f, struct value v, struct run *r, struct err *err);
} kinds[RUN_KIND_COUNT] = {
	[RUN_KIND_ID] = {write_text, read_id},
	[RUN_KIND_TEXT] = {write_text, read_text},
	[RUN_KIND_STATUS] = {write_status, read_status},
	[RUN_KIND_REASON] = {write_reason, read_reason},
	[RUN_KIND_TIME] = {write_time, read_time},
	[RUN_KIND_TIME_MS] = {write_time_ms, read_time_ms},
	[RUN_KIND_INTEGER] = {write_integer, read_integer},
	[RUN_KIND_REAL] = {write_real, read_real},
	[RUN_KIND_QUANTILES] = {write_quantiles, read_quantiles},
	[RUN_KIND_THRESHOLDS] = {write_thresholds, read_thresholds},
	[RUN_KIND_LOG] = {write_text, read_text},
};

static void begin_member(struct json_text *t, const char *name)
{
	if (t->text[t->len - 1] != '{')
		json_text_raw(t, ",");
	json_text_string(t, name);
	json_text_raw(t, ":");
}

char *run_to_text(const struct run *r, enum run_document document)
{
	enum run_group group = RUN_TOP;
	struct json_text t = {0};

	json_text_raw(&t, "{");
	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *f = &run_fields[i];

		if (!(f->in & document) || f->kind == RUN_KIND_LOG)
			continue;
		if (f->group != group) {
			if (group && r->has[group])
				json_text_raw(&t, "}");
			group = f->group;
			if (group) {
				begin_member(&t, run_group_names[group]);
				json_text_raw(&t, r->has[group] ? "{" : "null");
			}
		}
		if (group && !r->has[group])
			continue;
		begin_member(&t, f->name);
		kinds[f->kind].write(f, r, &t);
	}
	if (group && r->has[group])
		json_text_raw(&t, "}");
	json_text_raw(&t, "}");
	return t.text;
}

/* Sets *out to the object with the fields of the group, NULL if it is null or missing.  Returns
 * 0, or -1 with err if it is something else. */
static int find_group(
	const json_t *in, enum run_group group, const json_t **out, struct run *r, struct err *err)
{
	const json_t *v = group ? json_object_get(in, run_group_names[group]) : in;

	*out = v && !json_is_null(v) ? v : NULL;
	if (*out && !json_is_object(v))
		return run_group_errors[group]
			? err_set(err, "%s", run_group_errors[group])
			: err_set(err, "%s must be an object", run_group_names[group]);
	r->has[group] = *out != NULL;
	return 0;
}

static int read_fields(
	const json_t *in, run_lifted *lifted, void *arg, struct run *out, struct err *err)
{
	enum run_group group = RUN_TOP;
	const json_t *object = in;

	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *f = &run_fields[i];
		struct value v = {NULL, lifted, arg};

		if (f->group != group && find_group(in, f->group, &object, out, err) < 0)
			return -1;
		group = f->group;
		v.json = json_object_get(object, f->name);
		if (json_is_null(v.json))
			v.json = NULL;
		if (kinds[f->kind].read(f, v, out, err) < 0)
			return run_group_errors[group] ? err_set(err, "%s", run_group_errors[group])
						       : -1;
	}
	return 0;
}

int run_from_json(const json_t *in, run_lifted *lifted, void *arg, struct run *out, struct err *err)
{
	run_init(out);
	if (!json_is_object(in))
		return err_set(err, "a run must be an object");
	if (read_fields(in, lifted, arg, out, err) == 0)
		return 0;
	run_clear(out);
	return -1;
}
