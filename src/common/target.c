/* SPDX-License-Identifier: MIT */
/* The table of a target's fields, and what needs no JSON text: defaults, copies, comparison, the
 * checks of single values. */
#include "common/target.h"

#include <ctype.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"

static const char *const checks_names[] =
	{[TARGET_CHECKS_COUNT] = "count", [TARGET_CHECKS_IGNORE] = "ignore", NULL};

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

static int check_method(const char *value, struct err *err)
{
	return is_token(value) ? 0
			       : err_set(err, "method must be an HTTP method such as GET or POST");
}

static bool is_header(const char *key, const char *value)
{
	return is_token(key) && !strpbrk(value, "\r\n");
}

const struct target_field target_fields[TARGET_FIELD_COUNT] = {
#define TARGET_ROW(kind_, member, name_, key_, ...) \
	{.kind = TARGET_##kind_, \
		.offset = offsetof(struct target, member), \
		.name = (name_), \
		.key = (key_), \
		__VA_ARGS__},
	TARGET_FIELDS(TARGET_ROW)
#undef TARGET_ROW
};

bool target_is_pair(const struct target_field *f, const char *key, const char *value)
{
	return *key && strlen(key) <= TARGET_KEY_MAX && strlen(value) <= TARGET_TEXT_MAX &&
		(!f->pair || f->pair(key, value));
}

bool target_is_expression(const char *expression)
{
	return *expression && strlen(expression) <= TARGET_KEY_MAX;
}

bool target_is_status(int64_t status)
{
	return status >= 100 && status <= 599;
}

/* The bytes of a member that owns nothing; 0 for one that owns memory. */
static size_t plain_size(enum target_kind kind)
{
	switch (kind) {
	case TARGET_NUMBER:
	case TARGET_TIME: return sizeof(int64_t);
	case TARGET_FLAG: return sizeof(bool);
	case TARGET_CHOICE: return sizeof(int);
	default: return 0;
	}
}

static bool is_text(const struct target_field *f)
{
	return f->kind == TARGET_TEXT || f->kind == TARGET_PATH;
}

static void clear(const struct target_field *f, struct target *t)
{
	void *place = target_place(f, t);

	if (is_text(f)) {
		free(*(char **)place);
		*(char **)place = NULL;
	} else if (!plain_size(f->kind)) {
		json_decref(*(json_t **)place);
		*(json_t **)place = NULL;
	}
}

static void set_default(const struct target_field *f, struct target *t)
{
	void *place = target_place(f, t);

	switch (f->kind) {
	case TARGET_TEXT:
	case TARGET_PATH:
		if (f->text || !f->null)
			*(char **)place = x_strdup(f->text ? f->text : "");
		break;
	case TARGET_NUMBER: *(int64_t *)place = f->initial; break;
	case TARGET_TIME: *(int64_t *)place = f->initial * f->unit_ms; break;
	case TARGET_FLAG: *(bool *)place = f->initial; break;
	case TARGET_CHOICE: *(int *)place = (int)f->initial; break;
	case TARGET_MAP:
	case TARGET_THRESHOLDS: *(json_t **)place = json_object(); break;
	case TARGET_STATUSES: *(json_t **)place = json_array(); break;
	}
}

struct target *target_new(void)
{
	struct target *t = x_calloc(1, sizeof(*t));

	t->id = x_strdup("");
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++)
		set_default(&target_fields[i], t);
	return t;
}

void target_free(struct target *t)
{
	if (!t)
		return;
	free(t->id);
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++)
		clear(&target_fields[i], t);
	free(t);
}

struct target *target_copy(const struct target *from)
{
	struct target *t = x_calloc(1, sizeof(*t));

	t->id = x_strdup(from->id);
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const struct target_field *f = &target_fields[i];
		const void *source = target_place(f, from);
		void *place = target_place(f, t);

		if (is_text(f))
			*(char **)place =
				*(char *const *)source ? x_strdup(*(char *const *)source) : NULL;
		else if (plain_size(f->kind))
			memcpy(place, source, plain_size(f->kind));
		else
			*(json_t **)place = json_deep_copy(*(json_t *const *)source);
	}
	return t;
}

static bool field_equal(
	const struct target_field *f, const struct target *one, const struct target *other)
{
	const void *a = target_place(f, one), *b = target_place(f, other);

	if (plain_size(f->kind))
		return !memcmp(a, b, plain_size(f->kind));
	if (is_text(f)) {
		const char *x = *(char *const *)a, *y = *(char *const *)b;

		return x && y ? !strcmp(x, y) : x == y;
	}
	return json_equal(*(json_t *const *)a, *(json_t *const *)b);
}

bool target_equal(const struct target *a, const struct target *b)
{
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		if (target_fields[i].kind != TARGET_PATH && !field_equal(&target_fields[i], a, b))
			return false;
	}
	return true;
}
