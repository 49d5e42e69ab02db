/* SPDX-License-Identifier: MIT */
/* Packs and checks messages by the table of msg.h.  Reads no memory outside the message. */
#include "common/msg.h"

#include <endian.h>
#include <string.h>

#include "common/mem.h"

/* The wire form of each type of field: bytes of an integer, or 's' for a counted string. */
#define WIRE_flag "1"
#define WIRE_u8 "1"
#define WIRE_u32 "4"
#define WIRE_i32 "4"
#define WIRE_u64 "8"
#define WIRE_i64 "8"
#define WIRE_text "s"
#define WIRE_bytes "s"

/* clang-format off */
static const struct msg_info table[MSG_TYPES] = {
#define MESSAGE(NAME, name, dir, max, fd) [MSG_##NAME] = {#NAME, dir, max, fd, ""
#define FIELD(type, name) WIRE_##type
#define END(name) },
	MSG_TABLE(MESSAGE, FIELD, END)
#undef MESSAGE
#undef FIELD
#undef END
};
/* clang-format on */

const struct msg_info *msg_info(uint32_t type)
{
	return type > MSG_NONE && type < MSG_TYPES ? &table[type] : NULL;
}

static void put(struct msg_writer *w, const void *p, size_t n)
{
	if (!w->data) {
		w->data = w->small;
		w->cap = sizeof(w->small);
	}
	if (w->len + n > w->cap) {
		bool was_small = w->data == w->small;

		w->cap = (w->len + n) * 2;
		w->data = x_realloc(was_small ? NULL : w->data, w->cap, 1);
		if (was_small)
			memcpy(w->data, w->small, w->len);
	}
	if (n)
		memcpy(w->data + w->len, p, n);
	w->len += n;
}

void msg_start(struct msg_writer *w, enum msg_type type)
{
	w->len = 0;
	msg_put_u32(w, type);
}

void msg_put_u8(struct msg_writer *w, uint8_t v)
{
	put(w, &v, sizeof(v));
}

void msg_put_u32(struct msg_writer *w, uint32_t v)
{
	v = htole32(v);
	put(w, &v, sizeof(v));
}

void msg_put_u64(struct msg_writer *w, uint64_t v)
{
	v = htole64(v);
	put(w, &v, sizeof(v));
}

void msg_put_bytes(struct msg_writer *w, const void *p, size_t n)
{
	msg_put_u32(w, (uint32_t)n);
	put(w, p, n);
}

size_t msg_begin_bytes(struct msg_writer *w)
{
	msg_put_u32(w, 0);
	return w->len;
}

void msg_end_bytes(struct msg_writer *w, size_t begin)
{
	uint32_t n = htole32((uint32_t)(w->len - begin));

	memcpy(w->data + begin - sizeof(n), &n, sizeof(n));
}

void msg_put_str(struct msg_writer *w, const char *s)
{
	msg_put_bytes(w, s, strlen(s));
}

void msg_copy(struct msg_writer *w, const void *data, size_t len)
{
	w->len = 0;
	put(w, data, len);
}

void msg_free(struct msg_writer *w)
{
	if (w->data != w->small)
		free(w->data);
	w->data = NULL;
	w->len = w->cap = 0;
}

static const uint8_t *take(struct msg_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->failed || (size_t)(r->end - r->p) < n) {
		r->failed = true;
		return NULL;
	}
	r->p += n;
	return p;
}

uint8_t msg_get_u8(struct msg_reader *r)
{
	const uint8_t *p = take(r, 1);

	return p ? *p : 0;
}

uint32_t msg_get_u32(struct msg_reader *r)
{
	const uint8_t *p = take(r, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

uint64_t msg_get_u64(struct msg_reader *r)
{
	const uint8_t *p = take(r, 8);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

const uint8_t *msg_get_bytes(struct msg_reader *r, size_t *len)
{
	uint32_t n = msg_get_u32(r);
	const uint8_t *p = take(r, n);

	*len = p ? n : 0;
	return p;
}

char *msg_get_str(struct msg_reader *r)
{
	size_t len;
	const uint8_t *p = msg_get_bytes(r, &len);

	return p ? x_strndup((const char *)p, len) : x_strdup("");
}

int msg_open(struct msg_reader *r, const void *data, size_t len, enum msg_direction direction,
	struct err *err)
{
	const struct msg_info *info;
	struct msg_reader check;
	uint32_t type;
	size_t n;

	*r = (struct msg_reader){.p = data, .end = (const uint8_t *)data + len};
	type = r->type = msg_get_u32(r);
	info = msg_info(type);
	if (r->failed || !info)
		return err_set(err, "unknown message %u of %zu bytes", type, len);
	if (info->direction != direction)
		return err_set(err, "message %s came from the wrong side", info->name);
	if (len > info->max_bytes)
		return err_set(err, "message %s has %zu bytes, more than %u", info->name, len,
			info->max_bytes);
	check = *r;
	for (const char *f = info->fields; *f; f++) {
		if (*f == 's')
			msg_get_bytes(&check, &n);
		else
			take(&check, (size_t)(*f - '0'));
	}
	if (check.failed || check.p != check.end)
		return err_set(err, "message %s of %zu bytes does not have the fields \"%s\"",
			info->name, len, info->fields);
	return (int)type;
}

/* --- messages as structs ---------------------------------------------------------- */

static void put_flag(struct msg_writer *w, bool v)
{
	msg_put_u8(w, v);
}

static void put_u8(struct msg_writer *w, uint8_t v)
{
	msg_put_u8(w, v);
}

static void put_u32(struct msg_writer *w, uint32_t v)
{
	msg_put_u32(w, v);
}

static void put_i32(struct msg_writer *w, int32_t v)
{
	msg_put_u32(w, (uint32_t)v);
}

static void put_u64(struct msg_writer *w, uint64_t v)
{
	msg_put_u64(w, v);
}

static void put_i64(struct msg_writer *w, int64_t v)
{
	msg_put_u64(w, (uint64_t)v);
}

static void put_bytes(struct msg_writer *w, struct msg_bytes v)
{
	msg_put_bytes(w, v.p, v.len);
}

static void put_text(struct msg_writer *w, struct msg_bytes v)
{
	msg_put_bytes(w, v.p, v.len);
}

static bool get_flag(struct msg_reader *r)
{
	return msg_get_u8(r) != 0;
}

static uint8_t get_u8(struct msg_reader *r)
{
	return msg_get_u8(r);
}

static uint32_t get_u32(struct msg_reader *r)
{
	return msg_get_u32(r);
}

static int32_t get_i32(struct msg_reader *r)
{
	return (int32_t)msg_get_u32(r);
}

static uint64_t get_u64(struct msg_reader *r)
{
	return msg_get_u64(r);
}

static int64_t get_i64(struct msg_reader *r)
{
	return (int64_t)msg_get_u64(r);
}

static struct msg_bytes get_bytes(struct msg_reader *r)
{
	struct msg_bytes v;

	v.p = (const char *)msg_get_bytes(r, &v.len);
	if (!v.p)
		v.p = "";
	return v;
}

static struct msg_bytes get_text(struct msg_reader *r)
{
	struct msg_bytes v = get_bytes(r);

	v.len = strnlen(v.p, v.len);
	return v;
}

/* clang-format off */
#define MESSAGE(NAME, name, dir, max, fd)                                                          \
	void msg_put_##name(struct msg_writer *w, const struct msg_##name *m)                      \
	{                                                                                          \
		(void)m;                                                                           \
		msg_start(w, MSG_##NAME);
#define FIELD(type, name) put_##type(w, m->name);
#define END(name) }
MSG_TABLE(MESSAGE, FIELD, END)
#undef MESSAGE
#undef FIELD

#define MESSAGE(NAME, name, dir, max, fd)                                                          \
	void msg_get_##name(struct msg_reader *r, struct msg_##name *m)                            \
	{                                                                                          \
		(void)m;                                                                           \
		r->failed |= r->type != MSG_##NAME;
#define FIELD(type, name) m->name = get_##type(r);
MSG_TABLE(MESSAGE, FIELD, END)
#undef MESSAGE
#undef FIELD
#undef END
/* clang-format on */

struct msg_bytes msg_text(const char *s)
{
	return (struct msg_bytes){s, strlen(s)};
}

bool msg_text_is(struct msg_bytes text, const char *s)
{
	return text.len == strlen(s) && !memcmp(text.p, s, text.len);
}

char *msg_text_dup(struct msg_bytes text)
{
	return x_strndup(text.p, text.len);
}

void msg_text_copy(char *buf, size_t size, struct msg_bytes text)
{
	size_t len = text.len < size ? text.len : size - 1;

	memcpy(buf, text.p, len);
	buf[len] = '\0';
}
