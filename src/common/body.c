/* SPDX-License-Identifier: MIT */
/* One writer and one reader for all bodies, driven by the rows of body.h. */
#include "common/body.h"

#include <stddef.h>

#include "common/json.h"
#include "common/mem.h"

enum kind { TEXT, NUMBER, FLAG, LIST, DESIRED, PROGRESS };
enum unknown { OMITTED, NULLED };

struct row {
	enum kind kind;
	size_t offset;
	const char *name;
	enum unknown unknown;
};

#define ROW(kind, member, name, unknown) {kind, offsetof(STRUCT, member), name, unknown},

#define STRUCT struct body_desired
static const struct row desired_rows[] = {BODY_DESIRED(ROW)};
#undef STRUCT
#define STRUCT struct body_progress
static const struct row progress_rows[] = {BODY_PROGRESS(ROW)};
#undef STRUCT
#define STRUCT struct body_registration
static const struct row registration_rows[] = {BODY_REGISTRATION(ROW)};
#undef STRUCT
#define STRUCT struct body_agent_registration
static const struct row agent_registration_rows[] = {BODY_AGENT_REGISTRATION(ROW)};
#undef STRUCT
#define STRUCT struct body_heartbeat
static const struct row heartbeat_rows[] = {BODY_HEARTBEAT(ROW)};
#undef STRUCT
#define STRUCT struct body_agent_heartbeat
static const struct row agent_heartbeat_rows[] = {BODY_AGENT_HEARTBEAT(ROW)};
#undef STRUCT

/* NULL: unknown. */
static json_t *value_json(enum kind kind, const void *place)
{
	switch (kind) {
	case TEXT: return *(char *const *)place ? json_text(*(char *const *)place) : NULL;
	case NUMBER: {
		int64_t n = *(const int64_t *)place;

		return n == BODY_UNKNOWN ? NULL : json_integer(n);
	}
	case FLAG: return json_boolean(*(const bool *)place);
	case LIST: return json_incref(*(json_t *const *)place);
	case DESIRED: {
		const struct body_desired *d = place;

		return d->known ? body_desired_json(d) : NULL;
	}
	case PROGRESS: {
		const struct body_progress *p = place;

		return p->known ? body_progress_json(p) : NULL;
	}
	}
	return NULL;
}

static json_t *write_rows(const struct row *rows, size_t count, const void *b)
{
	json_t *o = json_object();

	for (size_t i = 0; i < count; i++) {
		json_t *v = value_json(rows[i].kind, (const char *)b + rows[i].offset);

		if (!v && rows[i].unknown == NULLED)
			v = json_null();
		if (v)
			json_object_set_new_nocheck(o, rows[i].name, v);
	}
	return o;
}

static void read_value(enum kind kind, const json_t *v, void *place)
{
	switch (kind) {
	case TEXT: *(const char **)place = json_string_value(v); break;
	case NUMBER:
		*(int64_t *)place = json_is_integer(v) ? json_integer_value(v) : BODY_UNKNOWN;
		break;
	case FLAG: *(bool *)place = json_is_true(v); break;
	case LIST: *(const json_t **)place = json_is_array(v) ? v : NULL; break;
	case DESIRED: body_desired_read(v, place); break;
	case PROGRESS: body_progress_read(v, place); break;
	}
}

static void read_rows(const struct row *rows, size_t count, const json_t *object, void *b)
{
	for (size_t i = 0; i < count; i++)
		read_value(rows[i].kind, json_object_get(object, rows[i].name),
			(char *)b + rows[i].offset);
}

#define DEFINE_JSON(what, ROWS) \
	json_t *body_##what##_json(const struct body_##what *b) \
	{ \
		return write_rows(what##_rows, ARRAY_SIZE(what##_rows), b); \
	}
BODY_STRUCTS(DEFINE_JSON)

#define DEFINE_READ(what) \
	void body_##what##_read(const json_t *object, struct body_##what *b) \
	{ \
		read_rows(what##_rows, ARRAY_SIZE(what##_rows), object, b); \
	}
DEFINE_READ(registration)
DEFINE_READ(agent_registration)
DEFINE_READ(heartbeat)
DEFINE_READ(agent_heartbeat)

void body_desired_read(const json_t *object, struct body_desired *b)
{
	b->known = json_is_object(object);
	read_rows(desired_rows, ARRAY_SIZE(desired_rows), object, b);
}

void body_progress_read(const json_t *object, struct body_progress *b)
{
	b->known = json_is_object(object);
	read_rows(progress_rows, ARRAY_SIZE(progress_rows), object, b);
}
