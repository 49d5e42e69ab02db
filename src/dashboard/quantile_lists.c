/* SPDX-License-Identifier: MIT */
/*
 * A string is a key when a colon follows it.  The index that replaces a list is a bare integer,
 * so a body is left alone when it has an integer of its own there, or a key with an escape,
 * which might spell the same name.
 */
#include "dashboard/quantile_lists.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_fast.h"
#include "common/mem.h"
#include "common/quantiles.h"

#define KEY "\"latencyQuantiles\""

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static bool is_digit(const char *p, const char *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

/* Returns the place behind the string that begins at p, or end when it does not close. */
static const char *skip_string(const char *p, const char *end, bool *escaped)
{
	*escaped = false;
	for (p++; p < end && *p != '"'; p++) {
		if (*p == '\\') {
			*escaped = true;
			p++;
		}
	}
	return p < end ? p + 1 : end;
}

/* p is at the '['.  Returns the place behind the ']', or NULL when this is no list of 101
 * ascending numbers. */
static const char *read_list(const char *p, const char *end, double *out)
{
	for (int i = 0; i < QUANTILES; i++) {
		p = json_fast_number(skip_space(p + 1, end), end, &out[i]);
		if (!p || (i && out[i] < out[i - 1]))
			return NULL;
		p = skip_space(p, end);
		if (p == end || *p != (i < QUANTILES - 1 ? ',' : ']'))
			return NULL;
	}
	return p + 1;
}

static void add(struct quantile_lists *l, const double *values)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 128;
		l->lists = x_realloc(l->lists, l->cap, sizeof(*l->lists));
	}
	l->lists[l->count] = x_calloc(QUANTILES, sizeof(double));
	memcpy(l->lists[l->count++], values, QUANTILES * sizeof(double));
}

static void append(struct quantile_lists *l, const char *from, const char *to)
{
	memcpy(l->text + l->len, from, (size_t)(to - from));
	l->len += (size_t)(to - from);
}

bool quantile_lists_lift(struct quantile_lists *l, const char *body, size_t len)
{
	const char *end = body + len, *done = body, *p = body;
	double values[QUANTILES];

	*l = (struct quantile_lists){.text = x_calloc(len + 1, 1)};
	while ((p = memchr(p, '"', (size_t)(end - p)))) {
		const char *name = p, *value, *behind;
		bool escaped;

		p = skip_string(p, end, &escaped);
		value = skip_space(p, end);
		if (value == end || *value != ':')
			continue;
		if (escaped)
			break;
		if ((size_t)(p - name) != strlen(KEY) || memcmp(name, KEY, strlen(KEY)) != 0)
			continue;
		value = skip_space(value + 1, end);
		if (value == end || *value == '-' || is_digit(value, end))
			break;
		behind = *value == '[' ? read_list(value, end, values) : NULL;
		if (!behind)
			continue;
		append(l, done, value);
		l->len += (size_t)sprintf(l->text + l->len, "%zu", l->count);
		add(l, values);
		done = p = behind;
	}
	if (p) {
		quantile_lists_free(l);
		return false;
	}
	append(l, done, end);
	return true;
}

double *quantile_lists_take(struct quantile_lists *l, long long number)
{
	double *list;

	if (number < 0 || (size_t)number >= l->count)
		return NULL;
	list = l->lists[number];
	l->lists[number] = NULL;
	return list;
}

void quantile_lists_free(struct quantile_lists *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->lists[i]);
	free(l->lists);
	free(l->text);
	*l = (struct quantile_lists){0};
}
