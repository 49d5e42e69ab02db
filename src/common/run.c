/* SPDX-License-Identifier: MIT */
/* The table of a run's fields, and the functions that need no more than a row: null, move,
 * order. */
#include "common/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

const struct run_field run_fields[] = {
#define X(member, k, n, documents, ...) \
	{.name = (n), \
		.offset = offsetof(struct run, member), \
		.kind = RUN_KIND_##k, \
		.in = (documents), \
		__VA_ARGS__},
	RUN_FIELDS(X)
#undef X
};

const size_t run_field_count = ARRAY_SIZE(run_fields);

/* struct run.integers has a bit for each row. */
_Static_assert(ARRAY_SIZE(run_fields) <= RUN_FIELD_MAX, "too many fields for a mask of 64 bits");

const char *const run_status_names[RUN_STATUS_COUNT] = {
#define X(id, name) [RUN_##id] = name,
	RUN_STATUSES(X)
#undef X
};

const char *const run_reason_names[RUN_REASON_COUNT] = {
#define X(id, name) [RUN_REASON_##id] = name,
	RUN_REASONS(X)
#undef X
};

const char *const run_group_names[RUN_GROUP_COUNT] = {
#define X(id, name, error) [RUN_##id] = name,
	RUN_GROUPS(X)
#undef X
};

const char *const run_group_errors[RUN_GROUP_COUNT] = {
#define X(id, name, error) [RUN_##id] = error,
	RUN_GROUPS(X)
#undef X
};

int run_find_name(const char *const names[], int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

int run_wrong_status(const char *name, struct err *err)
{
	err_set(err, "%s must be %s", name, run_status_names[0]);
	for (int i = 1; err && i < RUN_STATUS_COUNT; i++) {
		size_t len = strlen(err->msg);

		snprintf(err->msg + len, sizeof(err->msg) - len, "%s%s",
			i < RUN_STATUS_COUNT - 1 ? ", " : " or ", run_status_names[i]);
	}
	return -1;
}

bool run_is_integer(double v)
{
	return v > -9e15 && v < 9e15 && v == (double)(int64_t)v;
}

const char *run_name_at(size_t offset)
{
	for (size_t i = 0; i < ARRAY_SIZE(run_fields); i++) {
		if (run_fields[i].offset == offset)
			return run_fields[i].name;
	}
	return "";
}

static int position(const struct run_field *f, size_t position_offset)
{
	return *(const int *)(const void *)((const char *)f + position_offset);
}

size_t run_order(size_t position_offset, const struct run_field **out)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(run_fields); i++) {
		int at = position(&run_fields[i], position_offset);
		size_t k = n;

		if (!at)
			continue;
		for (; k > 0 && position(out[k - 1], position_offset) > at; k--)
			out[k] = out[k - 1];
		out[k] = &run_fields[i];
		n++;
	}
	return n;
}

/* --- values ------------------------------------------------------------------------- */

static void clear_text(const struct run_field *f, struct run *r)
{
	char **text = run_member(f, r);

	free(*text);
	*text = NULL;
}

static void clear_status(const struct run_field *f, struct run *r)
{
	(void)f;
	r->status = RUN_RUNNING;
}

static void clear_reason(const struct run_field *f, struct run *r)
{
	(void)f;
	r->reason = RUN_REASON_NONE;
}

static void clear_time(const struct run_field *f, struct run *r)
{
	*(int64_t *)run_member(f, r) = 0;
}

static void clear_integer(const struct run_field *f, struct run *r)
{
	*(int64_t *)run_member(f, r) = RUN_NONE;
}

static void clear_real(const struct run_field *f, struct run *r)
{
	*(double *)run_member(f, r) = NAN;
	r->integers &= ~run_bit(f);
}

static void clear_quantiles(const struct run_field *f, struct run *r)
{
	double **list = run_member(f, r);

	free(*list);
	*list = NULL;
}

static void clear_thresholds(const struct run_field *f, struct run *r)
{
	struct run_thresholds *t = run_member(f, r);

	for (size_t i = 0; i < t->count; i++) {
		free(t->list[i].metric);
		free(t->list[i].expression);
	}
	free(t->list);
	*t = (struct run_thresholds){0};
}

/* --- kinds -------------------------------------------------------------------------- */

static const size_t sizes[RUN_KIND_COUNT] = {
#define X(id, type, null) [RUN_KIND_##id] = sizeof(type),
	RUN_KINDS(X)
#undef X
};

static void (*const clearers[RUN_KIND_COUNT])(const struct run_field *f, struct run *r) = {
	[RUN_KIND_ID] = clear_text,
	[RUN_KIND_TEXT] = clear_text,
	[RUN_KIND_STATUS] = clear_status,
	[RUN_KIND_REASON] = clear_reason,
	[RUN_KIND_TIME] = clear_time,
	[RUN_KIND_TIME_MS] = clear_time,
	[RUN_KIND_INTEGER] = clear_integer,
	[RUN_KIND_REAL] = clear_real,
	[RUN_KIND_QUANTILES] = clear_quantiles,
	[RUN_KIND_THRESHOLDS] = clear_thresholds,
	[RUN_KIND_LOG] = clear_text,
};

/* --- whole runs --------------------------------------------------------------------- */

void run_init(struct run *r)
{
	*r = (struct run){0};
	for (size_t i = 0; i < ARRAY_SIZE(run_fields); i++)
		clearers[run_fields[i].kind](&run_fields[i], r);
}

void run_clear(struct run *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(run_fields); i++)
		clearers[run_fields[i].kind](&run_fields[i], r);
	memset(r->has, 0, sizeof(r->has));
}

void run_clear_group(struct run *r, enum run_group group)
{
	for (size_t i = 0; i < ARRAY_SIZE(run_fields); i++) {
		if (run_fields[i].group == group)
			clearers[run_fields[i].kind](&run_fields[i], r);
	}
	r->has[group] = false;
}

void run_set_text(char **member, const char *text)
{
	free(*member);
	*member = text && *text ? x_strdup(text) : NULL;
}

void run_add_threshold(struct run *r, const char *metric, const char *expression, bool ok)
{
	struct run_thresholds *t = &r->thresholds;

	if (t->count >= RUN_WORKER_THRESHOLDS)
		return;
	t->list = x_realloc(t->list, t->count + 1, sizeof(*t->list));
	t->list[t->count++] = (struct run_threshold){x_strndup(metric, RUN_WORKER_THRESHOLD_BYTES),
		x_strndup(expression, RUN_WORKER_THRESHOLD_BYTES), ok};
}

void run_take_result(struct run *r, struct run *result)
{
	for (size_t i = 0; i < ARRAY_SIZE(run_fields); i++) {
		const struct run_field *f = &run_fields[i];
		uint8_t *to = run_member(f, r), *from = run_member(f, result);

		if (!f->by_worker)
			continue;
		/* Swapped, so that the old value is freed with the result. */
		for (size_t k = 0; k < sizes[f->kind]; k++) {
			uint8_t byte = to[k];

			to[k] = from[k];
			from[k] = byte;
		}
		r->integers = (r->integers & ~run_bit(f)) | (result->integers & run_bit(f));
	}
	run_clear(result);
}
