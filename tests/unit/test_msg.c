/* SPDX-License-Identifier: MIT */
/* Every message of the table: cut at every byte, too long, and sent in the wrong direction. */
#include "test.h"

#include <fcntl.h>
#include <math.h>
#include <sys/socket.h>

#include "common/chan.h"
#include "common/msg.h"
#include "common/run.h"
#include "common/run_v4.h"

/* The values of the fields of a struct. */
enum pattern { ZERO, MIXED, LARGEST, SMALLEST, PATTERNS };

/* Each field's n is its place in the message.  The first string of a message gets `room` bytes
 * more. */
static uint64_t number(enum pattern p, unsigned int n)
{
	return p == ZERO ? 0 : p == MIXED ? n * UINT64_C(0x0123456789abcdef) + n : UINT64_MAX;
}

static void fill_flag(bool *v, enum pattern p, unsigned int n, size_t *room)
{
	(void)room;
	*v = p == MIXED ? n % 2 : p != ZERO;
}

static void fill_u8(uint8_t *v, enum pattern p, unsigned int n, size_t *room)
{
	(void)room;
	*v = (uint8_t)number(p, n);
}

static void fill_u32(uint32_t *v, enum pattern p, unsigned int n, size_t *room)
{
	(void)room;
	*v = (uint32_t)number(p, n);
}

static void fill_u64(uint64_t *v, enum pattern p, unsigned int n, size_t *room)
{
	(void)room;
	*v = number(p, n);
}

static void fill_i32(int32_t *v, enum pattern p, unsigned int n, size_t *room)
{
	(void)room;
	*v = p == LARGEST ? INT32_MAX : p == SMALLEST ? INT32_MIN : (int32_t)number(p, n);
}

static void fill_i64(int64_t *v, enum pattern p, unsigned int n, size_t *room)
{
	(void)room;
	*v = p == LARGEST ? INT64_MAX : p == SMALLEST ? INT64_MIN : (int64_t)number(p, n);
}

static const char letters[MSG_MAX_BYTES + 2] = {[0 ... MSG_MAX_BYTES] = 'x'};

static void fill_text(struct msg_bytes *v, enum pattern p, unsigned int n, size_t *room)
{
	*v = (struct msg_bytes){letters, (p == MIXED ? n % 4 : 0) + *room};
	*room = 0;
}

static void fill_bytes(struct msg_bytes *v, enum pattern p, unsigned int n, size_t *room)
{
	fill_text(v, p, n, room);
	if (p == MIXED)
		*v = (struct msg_bytes){"a\0b", 3};
}

static void same_flag(bool a, bool b)
{
	assert_int_equal(a, b);
}

static void same_u8(uint8_t a, uint8_t b)
{
	assert_int_equal(a, b);
}

static void same_u32(uint32_t a, uint32_t b)
{
	assert_int_equal(a, b);
}

static void same_i32(int32_t a, int32_t b)
{
	assert_int_equal(a, b);
}

static void same_u64(uint64_t a, uint64_t b)
{
	assert_true(a == b);
}

static void same_i64(int64_t a, int64_t b)
{
	assert_true(a == b);
}

static void same_bytes(struct msg_bytes a, struct msg_bytes b)
{
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.p, b.p, a.len);
}

static void same_text(struct msg_bytes a, struct msg_bytes b)
{
	same_bytes(a, b);
}

/* clang-format off */
union any {
#define MESSAGE(NAME, name, dir, max, fd) struct msg_##name name;
	MSG_TABLE(MESSAGE, MSG_NO_FIELD, MSG_NO_END)
#undef MESSAGE
};

#define MESSAGE(NAME, name, dir, max, fd) \
	static void fill_##name(union any *u, enum pattern p, size_t room) \
	{ \
		struct msg_##name *m = &u->name; \
		unsigned int n = 0; \
		(void)m; (void)p; (void)n; (void)room;
#define FIELD(type, name) fill_##type(&m->name, p, n++, &room);
#define END(name) }
MSG_TABLE(MESSAGE, FIELD, END)
#undef MESSAGE
#undef FIELD
#define MESSAGE(NAME, name, dir, max, fd) \
	static void same_##name(const union any *ua, const union any *ub) \
	{ \
		const struct msg_##name *a = &ua->name, *b = &ub->name; \
		(void)a; (void)b;
#define FIELD(type, name) same_##type(a->name, b->name);
MSG_TABLE(MESSAGE, FIELD, END)
#undef MESSAGE
#define MESSAGE(NAME, name, dir, max, fd) \
	static void put_##name(struct msg_writer *w, const union any *u) { msg_put_##name(w, &u->name); } \
	static void get_##name(struct msg_reader *r, union any *u) { msg_get_##name(r, &u->name); }
MSG_TABLE(MESSAGE, MSG_NO_FIELD, MSG_NO_END)
#undef MESSAGE

static const struct row {
	void (*fill)(union any *, enum pattern, size_t room);
	void (*same)(const union any *, const union any *);
	void (*put)(struct msg_writer *, const union any *);
	void (*get)(struct msg_reader *, union any *);
} rows[MSG_TYPES] = {
#define MESSAGE(NAME, name, dir, max, fd) [MSG_##NAME] = {fill_##name, same_##name, put_##name, get_##name},
	MSG_TABLE(MESSAGE, MSG_NO_FIELD, MSG_NO_END)
#undef MESSAGE
};
/* clang-format on */

/* Makes a valid message of the type; its content goes to *u. */
static void make_sized(
	struct msg_writer *w, enum msg_type type, enum pattern p, size_t room, union any *u)
{
	memset(u, 0, sizeof(*u));
	rows[type].fill(u, p, room);
	rows[type].put(w, u);
}

static void make(struct msg_writer *w, enum msg_type type)
{
	union any u;

	make_sized(w, type, MIXED, 0, &u);
}

static bool has_string(uint32_t type)
{
	return strchr(msg_info(type)->fields, 's') != NULL;
}

/* Returns by how much the first string of a message can grow; 0 if it has none. */
static size_t room_in(uint32_t type, enum pattern p)
{
	struct msg_writer w = {0};
	union any u;
	size_t room = 0;

	make_sized(&w, type, p, 0, &u);
	if (has_string(type))
		room = msg_info(type)->max_bytes - w.len;
	msg_free(&w);
	return room;
}

static void every_message_round_trips(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPES; t++) {
		for (enum pattern p = 0; p < PATTERNS; p++) {
			size_t room = p == LARGEST ? room_in(t, p) : 0;
			struct msg_writer w = {0};
			struct msg_reader r;
			union any a, b;
			struct err err;

			make_sized(&w, t, p, room, &a);
			assert_int_equal(
				msg_open(&r, w.data, w.len, msg_info(t)->direction, &err), t);
			memset(&b, 0xa5, sizeof(b));
			rows[t].get(&r, &b);
			assert_false(r.failed);
			assert_ptr_equal(r.p, r.end);
			rows[t].same(&a, &b);
			if (p == LARGEST && has_string(t)) {
				assert_int_equal(w.len, msg_info(t)->max_bytes);
				make_sized(&w, t, p, room + 1, &a);
				assert_int_equal(
					msg_open(&r, w.data, w.len, msg_info(t)->direction, &err),
					-1);
			}
			msg_free(&w);
		}
	}
}

/* Only the getter of its row reads a message; every other getter fails and returns nothing. */
static void no_getter_reads_another_message(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPES; t++) {
		struct msg_writer w = {0};
		struct err err;

		make(&w, t);
		for (uint32_t other = MSG_NONE + 1; other < MSG_TYPES; other++) {
			struct msg_reader r;
			union any got, zero;

			assert_int_equal(
				msg_open(&r, w.data, w.len, msg_info(t)->direction, &err), t);
			if (other == t)
				continue;
			rows[other].get(&r, &got);
			assert_true(r.failed);
			memset(&zero, 0, sizeof(zero));
			rows[other].fill(&zero, ZERO, 0);
			rows[other].same(&got, &zero);
		}
		msg_free(&w);
	}
}

/* The reader of a text sees it up to the first NUL, also if the sender put one inside. */
static void texts_end_at_a_nul(void **state)
{
	struct msg_writer w = {0};
	struct msg_agent_state m = {.run_id = {"ab\0cd", 5}};
	_cleanup_free_ char *copy = NULL;
	struct msg_reader r;
	struct err err;
	char small[2];

	(void)state;
	msg_put_agent_state(&w, &m);
	assert_int_equal(msg_open(&r, w.data, w.len, MSG_TO_SUPERVISOR_W, &err), MSG_AGENT_STATE);
	msg_get_agent_state(&r, &m);
	assert_ptr_equal(r.p, r.end);
	assert_true(msg_text_is(m.run_id, "ab"));
	assert_false(msg_text_is(m.run_id, "abc"));
	assert_false(msg_text_is(m.run_id, "a"));
	copy = msg_text_dup(m.run_id);
	assert_string_equal(copy, "ab");
	msg_text_copy(small, sizeof(small), m.run_id);
	assert_string_equal(small, "a");
	msg_free(&w);
}

/* A changed row changes the wire format for older and newer images: raise MSG_PROTOCOL, and change
 * this number, too. */
static void the_wire_has_a_number(void **state)
{
	uint32_t hash = 2166136261;

	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPES; t++) {
		const struct msg_info *info = msg_info(t);
		_cleanup_free_ char *text = x_asprintf("%s %d %s %u %d;", info->name,
			info->direction, info->fields, info->max_bytes, info->carries_fd);

		for (const char *p = text; *p; p++)
			hash = (hash ^ (uint8_t)*p) * 16777619;
	}
	assert_int_equal(MSG_PROTOCOL, 5);
	assert_int_equal(hash, 0x27be4424);
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPES; t++) {
		for (enum pattern p = 0; p < PATTERNS; p++) {
			struct msg_writer w = {0};
			struct msg_reader r;
			struct err err;
			union any u;

			make_sized(&w, t, p, 0, &u);
			for (size_t len = 0; len < w.len; len++) {
				/* A copy of exactly this size lets a sanitizer see a read beyond
				 * it. */
				uint8_t *cut = x_calloc(1, len ? len : 1);

				memcpy(cut, w.data, len);
				assert_int_equal(
					msg_open(&r, cut, len, msg_info(t)->direction, &err), -1);
				free(cut);
			}
			msg_put_u8(&w, 0);
			assert_int_equal(
				msg_open(&r, w.data, w.len, msg_info(t)->direction, &err), -1);
			msg_free(&w);
		}
	}
}

static void wrong_side_type_and_size(void **state)
{
	struct msg_writer w = {0};
	struct msg_reader r;
	struct err err;
	uint8_t huge[4096] = {0};

	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPES; t++) {
		make(&w, t);
		for (int d = 0; d < 4; d++) {
			if (d != (int)msg_info(t)->direction)
				assert_int_equal(
					msg_open(&r, w.data, w.len, (enum msg_direction)d, &err),
					-1);
		}
	}
	msg_start(&w, MSG_NONE);
	assert_int_equal(msg_open(&r, w.data, w.len, MSG_TO_KEEPER, &err), -1);
	msg_start(&w, MSG_TYPES);
	assert_int_equal(msg_open(&r, w.data, w.len, MSG_TO_KEEPER, &err), -1);
	/* A string that is longer than the message, and one that is larger than its row allows. */
	msg_start(&w, MSG_WORK_CANCEL);
	msg_put_u32(&w, 0xffffffff);
	assert_int_equal(msg_open(&r, w.data, w.len, MSG_TO_WORKER, &err), -1);
	msg_start(&w, MSG_WORK_CANCEL);
	msg_put_bytes(&w, huge, sizeof(huge));
	assert_int_equal(msg_open(&r, w.data, w.len, MSG_TO_WORKER, &err), -1);
	msg_free(&w);
}

static void channel_carries_descriptors(void **state)
{
	uint8_t *buf = x_calloc(1, MSG_MAX_BYTES);
	struct msg_writer w = {0};
	struct chan_queue q;
	struct err err;
	int pair[2], fd;
	size_t len, sent = 0, got = 0;

	(void)state;
	assert_int_equal(chan_pair(pair, &err), 0);
	chan_queue_init(&q);
	msg_put_keeper_signal(&w, &(struct msg_keeper_signal){.what = 1});
	assert_int_equal(chan_recv(pair[1], buf, &len, &fd, false, &err), CHAN_AGAIN);
	assert_int_equal(chan_send(pair[0], &w, 0, &err), CHAN_OK);
	/* A peek leaves the message in the socket. */
	assert_int_equal(chan_recv(pair[1], buf, &len, &fd, true, &err), CHAN_OK);
	assert_int_equal(fd, -1);
	assert_int_equal(chan_recv(pair[1], buf, &len, &fd, false, &err), CHAN_OK);
	assert_true(fd > 2);
	assert_int_equal(len, w.len);
	close(fd);
	/* Messages that the socket does not take wait in the queue and arrive in order. */
	for (; sent < 2000; sent++) {
		msg_put_keeper_signal(&w, &(struct msg_keeper_signal){.what = (uint32_t)sent});
		assert_int_not_equal(chan_queue_send(&q, pair[0], &w, -1, &err), CHAN_ERROR);
	}
	assert_true(q.count > 0);
	while (got < sent) {
		struct msg_keeper_signal m;
		struct msg_reader r;

		if (chan_recv(pair[1], buf, &len, &fd, false, &err) == CHAN_AGAIN) {
			assert_int_not_equal(chan_queue_flush(&q, pair[0], &err), CHAN_ERROR);
			continue;
		}
		assert_int_equal(
			msg_open(&r, buf, len, MSG_TO_SUPERVISOR_K, &err), MSG_KEEPER_SIGNAL);
		msg_get_keeper_signal(&r, &m);
		assert_int_equal(m.what, got++);
	}
	assert_int_equal(q.count, 0);
	close(pair[0]);
	assert_int_equal(chan_recv(pair[1], buf, &len, &fd, false, &err), CHAN_EOF);
	close(pair[1]);
	msg_free(&w);
	free(buf);
}

/* --- results of workers of protocol 4 ------------------------------------------------ */

static void put_doubles(struct msg_writer *w, const double *v, size_t count)
{
	w->len = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t bits;

		memcpy(&bits, &v[i], sizeof(bits));
		msg_put_u64(w, bits);
	}
}

static struct msg_bytes bytes_of(const struct msg_writer *w)
{
	return (struct msg_bytes){(const char *)w->data, w->len};
}

struct old_result {
	struct msg_agent_result_4 m;
	double metrics[13], quantiles[101];
	struct msg_writer packed_metrics, packed_quantiles, thresholds;
};

static void make_old(struct old_result *o)
{
	*o = (struct old_result){.m = {.run_id = msg_text("0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"),
					 .status = RUN_FAILED,
					 .reason = RUN_REASON_THRESHOLDS,
					 .exit_code = 99,
					 .started_wall_ms = 1,
					 .finished_wall_ms = 2,
					 .message = msg_text("crossed"),
					 .metrics_mask = 1 << 1 | 1 << 12,
					 .cpu_ms = 3,
					 .max_rss_bytes = 4,
					 .tmp_bytes = 5,
					 .log = msg_text("the log")}};
	o->metrics[1] = 1.5;
	o->metrics[2] = 9;
	o->metrics[12] = 7;
	for (int i = 0; i < 101; i++)
		o->quantiles[i] = i;
	msg_put_str(&o->thresholds, "http_req_duration");
	msg_put_str(&o->thresholds, "p(95)<1");
	msg_put_u8(&o->thresholds, 0);
	msg_put_str(&o->thresholds, "checks");
	msg_put_str(&o->thresholds, "rate>0");
	msg_put_u8(&o->thresholds, 1);
}

static int read_old(struct old_result *o, struct run *r)
{
	struct msg_writer w = {0};
	struct msg_reader in;
	struct err err;
	int rc;

	put_doubles(&o->packed_metrics, o->metrics, ARRAY_SIZE(o->metrics));
	put_doubles(&o->packed_quantiles, o->quantiles, ARRAY_SIZE(o->quantiles));
	o->m.metrics = bytes_of(&o->packed_metrics);
	o->m.quantiles = bytes_of(&o->packed_quantiles);
	o->m.thresholds = bytes_of(&o->thresholds);
	msg_put_agent_result_4(&w, &o->m);
	assert_int_equal(
		msg_open(&in, w.data, w.len, MSG_TO_SUPERVISOR_W, &err), MSG_AGENT_RESULT_4);
	rc = run_v4_get(&in, r, &err);
	msg_free(&w);
	return rc;
}

static void free_old(struct old_result *o)
{
	msg_free(&o->packed_metrics);
	msg_free(&o->packed_quantiles);
	msg_free(&o->thresholds);
}

static void old_results_are_read(void **state)
{
	struct old_result o;
	struct run r;

	(void)state;
	/* The number that AGENT_RESULT had in protocol 4. */
	assert_int_equal(MSG_AGENT_RESULT_4, 28);
	make_old(&o);
	assert_int_equal(read_old(&o, &r), 0);
	assert_string_equal(r.id, "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee");
	assert_int_equal(r.status, RUN_FAILED);
	assert_int_equal(r.reason, RUN_REASON_THRESHOLDS);
	assert_int_equal(r.exit_code, 99);
	assert_int_equal(r.started_ms, 1);
	assert_int_equal(r.finished_ms, 2);
	assert_string_equal(r.message, "crossed");
	assert_near(r.p95_ms, 1.5, 0);
	assert_near(r.vus, 7, 0);
	/* Its bit is not set. */
	assert_true(isnan(r.p99_ms));
	assert_near(r.quantiles[100], 100, 0);
	assert_int_equal(r.thresholds.count, 2);
	assert_string_equal(r.thresholds.list[0].expression, "p(95)<1");
	assert_false(r.thresholds.list[0].ok);
	assert_true(r.thresholds.list[1].ok);
	assert_int_equal(r.cpu_ms, 3);
	assert_int_equal(r.max_rss_bytes, 4);
	assert_int_equal(r.tmp_bytes, 5);
	assert_string_equal(r.log, "the log");
	run_clear(&r);
	o.m.exit_code = INT32_MIN;
	assert_int_equal(read_old(&o, &r), 0);
	assert_true(r.exit_code == RUN_NONE);
	run_clear(&r);
	free_old(&o);
}

static void refuse_old(struct old_result *o)
{
	struct run r;

	assert_int_equal(read_old(o, &r), -1);
	run_clear(&r);
	free_old(o);
	make_old(o);
}

static void forged_old_results_are_refused(void **state)
{
	struct old_result o;

	(void)state;
	make_old(&o);
	o.metrics[5] = NAN;
	refuse_old(&o);
	o.metrics[5] = INFINITY;
	refuse_old(&o);
	o.metrics[5] = -1;
	refuse_old(&o);
	o.quantiles[7] = NAN;
	refuse_old(&o);
	o.m.status = RUN_RUNNING;
	refuse_old(&o);
	o.m.status = RUN_STATUS_COUNT;
	refuse_old(&o);
	o.m.status = RUN_SUCCESS; /* with a reason */
	refuse_old(&o);
	o.m.status = RUN_ERROR;
	o.m.reason = RUN_REASON_NONE;
	refuse_old(&o);
	o.m.reason = RUN_REASON_COUNT;
	refuse_old(&o);
	o.m.run_id = msg_text("../../etc/passwd");
	refuse_old(&o);
	o.m.run_id = msg_text("");
	refuse_old(&o);
	/* Cut within a threshold. */
	for (size_t cut = o.thresholds.len - 1; cut > o.thresholds.len - 19; cut--) {
		o.thresholds.len = cut;
		refuse_old(&o);
	}
	for (int i = 0; i < RUN_WORKER_THRESHOLDS; i++) {
		msg_put_str(&o.thresholds, "m");
		msg_put_str(&o.thresholds, "e");
		msg_put_u8(&o.thresholds, 1);
	}
	refuse_old(&o);
	free_old(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_round_trips),
		cmocka_unit_test(no_getter_reads_another_message),
		cmocka_unit_test(texts_end_at_a_nul),
		cmocka_unit_test(the_wire_has_a_number),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(wrong_side_type_and_size),
		cmocka_unit_test(channel_carries_descriptors),
		cmocka_unit_test(old_results_are_read),
		cmocka_unit_test(forged_old_results_are_refused),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
