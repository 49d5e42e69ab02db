/* SPDX-License-Identifier: MIT */
/* The message of a worker about its run, by the rows of run.h.  Everything that comes in a
 * message is checked. */
#include <math.h>
#include <string.h>

#include "common/mem.h"
#include "common/msg.h"
#include "common/run.h"
#include "common/uuid.h"

/* --- the message: writing ----------------------------------------------------------- */

/* Each appends a value and returns true, or returns false for null; the caller then drops the
 * appended bytes. */
static bool put_text(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	const char *text = *(char **)run_member(f, r);

	if (!text || !*text)
		return false;
	msg_put_bytes(w, text, strnlen(text, (size_t)f->max));
	return true;
}

/* The end of the log is worth more than its beginning. */
static bool put_log(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	const char *log = *(char **)run_member(f, r);
	size_t len = log ? strlen(log) : 0, max = MSG_MAX_BYTES - w->len - sizeof(uint32_t);

	if (!len)
		return false;
	if (max > (size_t)f->max)
		max = (size_t)f->max;
	if (len > max)
		msg_put_bytes(w, log + len - max, max);
	else
		msg_put_bytes(w, log, len);
	return true;
}

static void put_byte(struct msg_writer *w, uint8_t v)
{
	msg_put_bytes(w, &v, sizeof(v));
}

static void put_number(struct msg_writer *w, uint64_t v)
{
	msg_put_u32(w, sizeof(v));
	msg_put_u64(w, v);
}

static uint64_t bits_of(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

static bool put_status(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	(void)f;
	put_byte(w, (uint8_t)r->status);
	return true;
}

static bool put_reason(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	(void)f;
	put_byte(w, (uint8_t)r->reason);
	return true;
}

static bool put_time(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	int64_t v = *(int64_t *)run_member(f, r);

	put_number(w, (uint64_t)v);
	return v != 0;
}

static bool put_integer(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	int64_t v = *(int64_t *)run_member(f, r);

	put_number(w, (uint64_t)v);
	return v != RUN_NONE;
}

static bool put_real(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	double v = *(double *)run_member(f, r);

	put_number(w, bits_of(v));
	return !isnan(v);
}

static bool put_quantiles(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	const double *q = *(double **)run_member(f, r);

	if (!q)
		return false;
	msg_put_u32(w, QUANTILES * sizeof(uint64_t));
	for (int i = 0; i < QUANTILES; i++)
		msg_put_u64(w, bits_of(q[i]));
	return true;
}

static bool put_thresholds(const struct run_field *f, const struct run *r, struct msg_writer *w)
{
	const struct run_thresholds *t = run_member(f, r);
	size_t at = msg_begin_bytes(w);

	for (size_t i = 0; i < t->count; i++) {
		msg_put_str(w, t->list[i].metric);
		msg_put_str(w, t->list[i].expression);
		msg_put_u8(w, t->list[i].ok);
	}
	msg_end_bytes(w, at);
	return t->count > 0;
}

/* --- the message: reading ----------------------------------------------------------- */

/* The bytes of one field of the message.  Each get_ function below reads all of them, or returns
 * -1 with err. */
struct value {
	const uint8_t *p;
	size_t len;
};

static int get_id(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	char id[UUID_MAX];

	if (v.len != UUID_MAX - 1)
		return err_set(err, "%s is no UUID", f->name);
	memcpy(id, v.p, v.len);
	id[v.len] = '\0';
	if (!uuid_is_valid(id))
		return err_set(err, "%s is no UUID", f->name);
	r->id = x_strdup(id);
	return 0;
}

/* A text ends at its first NUL, and is cut at the limit of its row. */
static int get_text(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	char **text = run_member(f, r);

	(void)err;
	if (v.len && *v.p)
		*text = x_strndup(
			(const char *)v.p, v.len < (size_t)f->max ? v.len : (size_t)f->max);
	return 0;
}

static int get_status(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	if (v.len != 1 || *v.p == RUN_RUNNING || *v.p >= RUN_STATUS_COUNT)
		return err_set(err, "%s is none of a run that has ended", f->name);
	r->status = (enum run_status) * v.p;
	return 0;
}

static int get_reason(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	if (v.len != 1 || *v.p >= RUN_REASON_COUNT)
		return err_set(err, "%s is unknown", f->name);
	r->reason = (enum run_reason) * v.p;
	return 0;
}

static int get_number(const struct run_field *f, struct value v, uint64_t *out, struct err *err)
{
	struct msg_reader in = {.p = v.p, .end = v.p + v.len};

	if (v.len != sizeof(*out))
		return err_set(err, "%s has %zu bytes, not %zu", f->name, v.len, sizeof(*out));
	*out = msg_get_u64(&in);
	return 0;
}

/* Half of the range, so that no sum of two values overflows. */
static int get_time(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	uint64_t n = 0;

	if (get_number(f, v, &n, err) < 0)
		return -1;
	if (n > INT64_MAX / 2)
		return err_set(err, "%s is out of range", f->name);
	*(int64_t *)run_member(f, r) = (int64_t)n;
	return 0;
}

static int get_integer(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	uint64_t n = 0;

	if (get_number(f, v, &n, err) < 0)
		return -1;
	if ((int64_t)n < f->min || (int64_t)n > INT64_MAX / 2)
		return err_set(err, "%s is out of range", f->name);
	*(int64_t *)run_member(f, r) = (int64_t)n;
	return 0;
}

static double real_from(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static int get_real(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	uint64_t bits = 0;
	double n;

	if (get_number(f, v, &bits, err) < 0)
		return -1;
	n = real_from(bits);
	if (!isfinite(n) || n < 0)
		return err_set(err, "%s is negative or not finite", f->name);
	*(double *)run_member(f, r) = n;
	if (f->whole && run_is_integer(n))
		r->integers |= run_bit(f);
	return 0;
}

static int get_quantiles(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	struct msg_reader in = {.p = v.p, .end = v.p + v.len};
	double *q;

	if (v.len != QUANTILES * sizeof(uint64_t))
		return err_set(err, "%s has %zu bytes, not %zu", f->name, v.len,
			QUANTILES * sizeof(uint64_t));
	q = x_calloc(QUANTILES, sizeof(*q));
	*(double **)run_member(f, r) = q;
	for (int i = 0; i < QUANTILES; i++) {
		q[i] = real_from(msg_get_u64(&in));
		if (!isfinite(q[i]) || q[i] < 0)
			return err_set(
				err, "%s has a number that is negative or not finite", f->name);
	}
	return 0;
}

static int get_thresholds(const struct run_field *f, struct run *r, struct value v, struct err *err)
{
	const struct run_thresholds *t = run_member(f, r);
	struct msg_reader in = {.p = v.p, .end = v.p + v.len};

	while (in.p != in.end) {
		_cleanup_free_ char *metric = msg_get_str(&in);
		_cleanup_free_ char *expression = msg_get_str(&in);
		bool ok = msg_get_u8(&in) != 0;

		if (in.failed || t->count >= RUN_WORKER_THRESHOLDS)
			return err_set(err, "%s is cut or too long", f->name);
		run_add_threshold(r, metric, expression, ok);
	}
	return 0;
}

/* --- whole runs --------------------------------------------------------------------- */

static const struct kind {
	bool (*put)(const struct run_field *f, const struct run *r, struct msg_writer *w);
	int (*get)(const struct run_field *f, struct run *r, struct value v, struct err *err);
} kinds[RUN_KIND_COUNT] = {
	[RUN_KIND_ID] = {put_text, get_id},
	[RUN_KIND_TEXT] = {put_text, get_text},
	[RUN_KIND_STATUS] = {put_status, get_status},
	[RUN_KIND_REASON] = {put_reason, get_reason},
	[RUN_KIND_TIME] = {put_time, get_time},
	[RUN_KIND_TIME_MS] = {put_time, get_time},
	[RUN_KIND_INTEGER] = {put_integer, get_integer},
	[RUN_KIND_REAL] = {put_real, get_real},
	[RUN_KIND_QUANTILES] = {put_quantiles, get_quantiles},
	[RUN_KIND_THRESHOLDS] = {put_thresholds, get_thresholds},
	[RUN_KIND_LOG] = {put_log, get_text},
};

void run_put(const struct run *r, struct msg_writer *w)
{
	size_t all;

	msg_start(w, MSG_AGENT_RESULT);
	all = msg_begin_bytes(w);
	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *f = &run_fields[i];
		size_t before = w->len;

		if (!f->by_worker && f->kind != RUN_KIND_ID)
			continue;
		msg_put_str(w, f->name);
		if (!kinds[f->kind].put(f, r, w))
			w->len = before;
	}
	msg_end_bytes(w, all);
}

static const struct run_field *find_field(const char *name)
{
	for (size_t i = 0; i < run_field_count; i++) {
		if (!strcmp(run_fields[i].name, name))
			return &run_fields[i];
	}
	return NULL;
}

/* Reads a name and its value.  *seen has the bits of the fields that came before. */
static int get_field(struct msg_reader *in, struct run *r, uint64_t *seen, struct err *err)
{
	_cleanup_free_ char *name = msg_get_str(in);
	const struct run_field *f;
	struct value v;

	v.p = msg_get_bytes(in, &v.len);
	if (in->failed)
		return err_set(err, "a result that is cut");
	f = find_field(name);
	if (!f)
		return 0; /* of a newer version */
	if (!f->by_worker && f->kind != RUN_KIND_ID)
		return err_set(err, "%s is not the worker's to say", f->name);
	if (*seen & run_bit(f))
		return err_set(err, "%s comes twice", f->name);
	*seen |= run_bit(f);
	return kinds[f->kind].get(f, r, v, err);
}

int run_get(struct msg_reader *in, struct run *r, struct err *err)
{
	struct msg_reader fields = {0};
	struct msg_agent_result m;
	uint64_t seen = 0;

	run_init(r);
	msg_get_agent_result(in, &m);
	fields.p = (const uint8_t *)m.fields.p;
	fields.end = fields.p + m.fields.len;
	while (fields.p != fields.end) {
		if (get_field(&fields, r, &seen, err) < 0)
			return -1;
	}
	if (in->failed)
		return err_set(err, "a result that is cut");
	if (!r->id)
		return err_set(err, "a result without a run id");
	if (r->status == RUN_RUNNING || (r->status == RUN_SUCCESS) != (r->reason == 0))
		return err_set(err, "status %d with reason %d", r->status, r->reason);
	return 0;
}
