/* SPDX-License-Identifier: MIT */
/* Packs and checks messages by the table of msg.h.  Reads no memory outside the message. */
#include "common/msg.h"

#include <endian.h>
#include <string.h>

#include "common/mem.h"

static const struct msg_info table[MSG_TYPES] = {
#define X(name, dir, fields, max, fd) [MSG_##name] = {#name, dir, fields, max, fd},
	MSG_TABLE(X)
#undef X
};

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
	type = msg_get_u32(r);
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
