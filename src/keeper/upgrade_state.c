/* SPDX-License-Identifier: MIT */
/* The writer, the reader and the walk over descriptors come from the rows of
 * UPGRADE_STATE_TABLE.  The keeper wrote the state itself; it is checked nevertheless, because a
 * signal to pid -1 would reach every process. */
#include "keeper/upgrade_state.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sandbox.h"
#include "common/conf.h"
#include "common/json.h"
#include "common/mem.h"

/* --- values -------------------------------------------------------------------- */

static json_t *to_flag(bool v)
{
	return json_boolean(v);
}

static json_t *to_i32(int32_t v)
{
	return json_integer(v);
}

static json_t *to_u32(uint32_t v)
{
	return json_integer(v);
}

static json_t *to_i64(int64_t v)
{
	return json_integer(v);
}

/* JSON has no unsigned numbers of 64 bits: the upper half goes as negative ones. */
static json_t *to_u64(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *to_fd(int v)
{
	return json_integer(v);
}

static json_t *to_text(const char *v)
{
	return v ? json_text(v) : json_null();
}

static int wrong(const char *key, struct err *err)
{
	return err_code_set(err, ERR_MALFORMED, "%s has a value that it cannot have", key);
}

static int from_flag(const json_t *v, bool *out, const char *key, struct err *err)
{
	*out = json_is_true(v);
	return json_is_boolean(v) ? 0 : wrong(key, err);
}

static int from_range(
	const json_t *v, int64_t min, int64_t max, int64_t *out, const char *key, struct err *err)
{
	*out = json_integer_value(v);
	return json_is_integer(v) && *out >= min && *out <= max ? 0 : wrong(key, err);
}

static int from_i32(const json_t *v, int32_t *out, const char *key, struct err *err)
{
	int64_t n;
	int rc = from_range(v, INT32_MIN, INT32_MAX, &n, key, err);

	*out = (int32_t)n;
	return rc;
}

static int from_u32(const json_t *v, uint32_t *out, const char *key, struct err *err)
{
	int64_t n;
	int rc = from_range(v, 0, UINT32_MAX, &n, key, err);

	*out = (uint32_t)n;
	return rc;
}

static int from_i64(const json_t *v, int64_t *out, const char *key, struct err *err)
{
	return from_range(v, INT64_MIN, INT64_MAX, out, key, err);
}

static int from_u64(const json_t *v, uint64_t *out, const char *key, struct err *err)
{
	int64_t n;
	int rc = from_range(v, INT64_MIN, INT64_MAX, &n, key, err);

	*out = (uint64_t)n;
	return rc;
}

static int from_fd(const json_t *v, int *out, const char *key, struct err *err)
{
	int64_t n;
	int rc = from_range(v, -1, INT_MAX, &n, key, err);

	*out = (int)n;
	return rc;
}

static int from_text(const json_t *v, char **out, const char *key, struct err *err)
{
	if (json_is_string(v)) {
		*out = x_strdup(json_string_value(v));
		return 0;
	}
	*out = NULL;
	return json_is_null(v) ? 0 : wrong(key, err);
}

/* --- groups -------------------------------------------------------------------- */

static void add_value(json_t *group, const char *key, json_t *value)
{
	if (json_is_object(group))
		json_object_set_new(group, key, value);
	else
		json_array_append_new(group, value);
}

/* Returns NULL if it is missing. */
static const json_t *get_value(const json_t *group, const char *key, size_t place)
{
	return json_is_object(group) ? json_object_get(group, key) : json_array_get(group, place);
}

/* clang-format off */
#define OBJECT(name, key) \
	static json_t *write_##name(const struct upgrade_state_##name *g) \
	{ \
		json_t *group = json_object();
#define LIST(name, key) \
	static json_t *write_##name(const struct upgrade_state_##name *g) \
	{ \
		json_t *group = json_array();
#define FIELD(type, name, key, fallback) add_value(group, key, to_##type(g->name));
#define END(name) \
		return group; \
	}
UPGRADE_STATE_TABLE(OBJECT, LIST, LIST, FIELD, END)
#undef OBJECT
#undef LIST
#undef FIELD
#undef END

#define OBJECT(name, key) \
	static int read_##name(const json_t *group, struct upgrade_state_##name *g, struct err *err) \
	{ \
		size_t place = 0; \
		const json_t *v; \
		if (group && !json_is_object(group)) \
			return wrong(key, err);
#define LIST(name, key) \
	static int read_##name(const json_t *group, struct upgrade_state_##name *g, struct err *err) \
	{ \
		size_t place = 0; \
		const json_t *v; \
		if (group && !json_is_array(group)) \
			return wrong(key, err);
#define FIELD(type, name, key, fallback) \
		v = get_value(group, key, place++); \
		g->name = fallback; \
		if (v && from_##type(v, &g->name, key, err) < 0) \
			return -1;
#define END(name) \
		return 0; \
	}
UPGRADE_STATE_TABLE(OBJECT, LIST, LIST, FIELD, END)
#undef OBJECT
#undef LIST
#undef FIELD
#undef END

/* An array of arrays. */
#define MANY(name, key) \
	static json_t *write_all_##name(const struct upgrade_state *s) \
	{ \
		json_t *all = json_array(); \
		for (size_t i = 0; i < s->name##_count; i++) \
			json_array_append_new(all, write_##name(&s->name[i])); \
		return all; \
	} \
	static int read_all_##name(const json_t *all, struct upgrade_state *s, struct err *err) \
	{ \
		if (all && !json_is_array(all)) \
			return wrong(key, err); \
		s->name = x_calloc(json_array_size(all) + 1, sizeof(*s->name)); \
		for (; s->name##_count < json_array_size(all); s->name##_count++) { \
			if (read_##name(json_array_get(all, s->name##_count), \
				    &s->name[s->name##_count], err) < 0) \
				return err_prefix(err, key); \
		} \
		return 0; \
	}
UPGRADE_STATE_TABLE(UPGRADE_STATE_NO_GROUP, UPGRADE_STATE_NO_GROUP, MANY, UPGRADE_STATE_NO_FIELD, UPGRADE_STATE_NO_END)
#undef MANY

/* The code of upgrade_state_clear() and upgrade_state_each_fd() for each type of field. */
#define CLEAR_flag(v)
#define CLEAR_i32(v)
#define CLEAR_u32(v)
#define CLEAR_i64(v)
#define CLEAR_u64(v)
#define CLEAR_fd(v)
#define CLEAR_text(v) free(v);
#define VISIT_flag(v)
#define VISIT_i32(v)
#define VISIT_u32(v)
#define VISIT_i64(v)
#define VISIT_u64(v)
#define VISIT_fd(v) if ((v) >= 0) fn(arg, v);
#define VISIT_text(v)

#define GROUP(name, key) \
	static void clear_##name(struct upgrade_state_##name *g) \
	{ \
		(void)g;
#define FIELD(type, name, key, fallback) CLEAR_##type(g->name)
#define END(name) }
UPGRADE_STATE_TABLE(GROUP, GROUP, GROUP, FIELD, END)
#undef GROUP
#undef FIELD

#define GROUP(name, key) \
	static void visit_##name(const struct upgrade_state_##name *g, void (*fn)(void *arg, int fd), void *arg) \
	{ \
		(void)g; (void)fn; (void)arg;
#define FIELD(type, name, key, fallback) VISIT_##type(g->name)
UPGRADE_STATE_TABLE(GROUP, GROUP, GROUP, FIELD, END)
#undef GROUP
#undef FIELD
#undef END
/* clang-format on */

/* --- the whole -------------------------------------------------------------------- */

char *upgrade_state_write(const struct upgrade_state *s)
{
	_cleanup_json_ json_t *state = json_object();

	json_object_set_new(state, "format", json_integer(UPGRADE_FORMAT));
	json_object_set_new(state, "version", to_text(s->version));
#define ONE(name, key) json_object_set_new(state, key, write_##name(&s->name));
#define MANY(name, key) json_object_set_new(state, key, write_all_##name(s));
	UPGRADE_STATE_TABLE(ONE, ONE, MANY, UPGRADE_STATE_NO_FIELD, UPGRADE_STATE_NO_END)
#undef ONE
#undef MANY
	return json_compact(state);
}

static int check_children(const struct upgrade_state *s, struct err *err)
{
	_cleanup_free_ bool *taken = x_calloc(LIMIT_WORKERS, sizeof(*taken));

	for (size_t i = 0; i < s->children_count; i++) {
		const struct upgrade_state_children *c = &s->children[i];

		/* kill(2) takes 0 and negative numbers for groups of processes; pid 1 is never a
		 * child. */
		if (c->slot >= LIMIT_WORKERS || taken[c->slot] || c->chan < 0 ||
			(c->alive && c->pid <= 1))
			return err_code_set(err, ERR_OUT_OF_RANGE,
				"a worker in slot %u with pid %d that cannot be", c->slot, c->pid);
		taken[c->slot] = true;
	}
	return 0;
}

static int read_groups(const json_t *state, struct upgrade_state *s, struct err *err)
{
	if (json_get_int(state, "format", 0) != UPGRADE_FORMAT)
		return err_code_set(err, ERR_MALFORMED, "it is not of format %d", UPGRADE_FORMAT);
	s->version = x_strdup(json_get_text(state, "version", "?"));
#define ONE(name, key) \
	if (read_##name(json_object_get(state, key), &s->name, err) < 0) \
		return err_prefix(err, key);
#define MANY(name, key) \
	if (read_all_##name(json_object_get(state, key), s, err) < 0) \
		return -1;
	UPGRADE_STATE_TABLE(ONE, ONE, MANY, UPGRADE_STATE_NO_FIELD, UPGRADE_STATE_NO_END)
#undef ONE
#undef MANY
	if (!s->options.config || !s->paths.keeper || !s->paths.supervisor)
		return err_code_set(err, ERR_MALFORMED, "it has no paths");
	if (s->sandbox.level > SANDBOX_USER_NAMESPACE)
		return err_code_set(
			err, ERR_OUT_OF_RANGE, "there is no sandbox level %u", s->sandbox.level);
	return check_children(s, err);
}

int upgrade_state_read(const char *text, struct upgrade_state *s, struct err *err)
{
	_cleanup_json_ json_t *state = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	*s = (struct upgrade_state){0};
	if (!state)
		return err_code_set(err, ERR_MALFORMED, "it is no state of a keeper");
	if (read_groups(state, s, err) == 0)
		return 0;
	upgrade_state_clear(s);
	return -1;
}

void upgrade_state_clear(struct upgrade_state *s)
{
	free(s->version);
#define ONE(name, key) clear_##name(&s->name);
#define MANY(name, key) \
	for (size_t i = 0; i < s->name##_count; i++) \
		clear_##name(&s->name[i]); \
	free(s->name);
	UPGRADE_STATE_TABLE(ONE, ONE, MANY, UPGRADE_STATE_NO_FIELD, UPGRADE_STATE_NO_END)
#undef ONE
#undef MANY
	*s = (struct upgrade_state){0};
}

void upgrade_state_each_fd(const struct upgrade_state *s, void (*fn)(void *arg, int fd), void *arg)
{
#define ONE(name, key) visit_##name(&s->name, fn, arg);
#define MANY(name, key) \
	for (size_t i = 0; i < s->name##_count; i++) \
		visit_##name(&s->name[i], fn, arg);
	UPGRADE_STATE_TABLE(ONE, ONE, MANY, UPGRADE_STATE_NO_FIELD, UPGRADE_STATE_NO_END)
#undef ONE
#undef MANY
}
