/* SPDX-License-Identifier: MIT */
/* Every message of the table, cut at every byte, grown, and sent the wrong way. */
#include "test.h"

#include <fcntl.h>
#include <math.h>
#include <sys/socket.h>

#include "common/chan.h"
#include "common/msg.h"
#include "common/result.h"

/* A valid message of the type, with strings of different lengths. */
static void make(struct msg_writer *w, enum msg_type type)
{
	unsigned int n = 0;

	msg_start(w, type);
	for (const char *f = msg_info(type)->fields; *f; f++, n++) {
		if (*f == '1')
			msg_put_u8(w, (uint8_t)n);
		else if (*f == '4')
			msg_put_u32(w, n);
		else if (*f == '8')
			msg_put_u64(w, n);
		else
			msg_put_bytes(w, "abcdefgh", n % 4);
	}
}

static void every_message_round_trips(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPES; t++) {
		struct msg_writer w = {0};
		struct msg_reader r;
		struct err err;
		unsigned int n = 0;

		make(&w, t);
		assert_int_equal(msg_open(&r, w.data, w.len, msg_info(t)->direction, &err), t);
		for (const char *f = msg_info(t)->fields; *f; f++, n++) {
			size_t len;

			if (*f == '1')
				assert_int_equal(msg_get_u8(&r), n);
			else if (*f == '4')
				assert_int_equal(msg_get_u32(&r), n);
			else if (*f == '8')
				assert_int_equal(msg_get_u64(&r), n);
			else {
				assert_non_null(msg_get_bytes(&r, &len));
				assert_int_equal(len, n % 4);
			}
		}
		assert_false(r.failed);
		msg_free(&w);
	}
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPES; t++) {
		struct msg_writer w = {0};
		struct msg_reader r;
		struct err err;

		make(&w, t);
		for (size_t len = 0; len < w.len; len++) {
			/* A copy of exactly that size, so that a sanitizer sees a read beyond it. */
			uint8_t *cut = x_calloc(1, len + 1);

			memcpy(cut, w.data, len);
			assert_int_equal(msg_open(&r, cut, len, msg_info(t)->direction, &err), -1);
			free(cut);
		}
		msg_put_u8(&w, 0);
		assert_int_equal(msg_open(&r, w.data, w.len, msg_info(t)->direction, &err), -1);
		msg_free(&w);
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
	/* A string that claims more than there is, and one larger than its row allows. */
	msg_start(&w, MSG_WORK_CANCEL);
	msg_put_u32(&w, 0xffffffff);
	assert_int_equal(msg_open(&r, w.data, w.len, MSG_TO_WORKER, &err), -1);
	msg_start(&w, MSG_WORK_CANCEL);
	msg_put_bytes(&w, huge, sizeof(huge));
	assert_int_equal(msg_open(&r, w.data, w.len, MSG_TO_WORKER, &err), -1);
	msg_free(&w);
}

static void fill(struct run_result *r)
{
	result_init(r);
	strcpy(r->run_id, "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee");
	r->status = RESULT_FAILED;
	r->reason = RESULT_REASON_THRESHOLDS;
	r->exit_code = 99;
	r->started_wall_ms = 1;
	r->finished_wall_ms = 2;
	free(r->message);
	r->message = x_strdup("crossed");
	result_set_metric(r, RESULT_P95, 1.5);
	r->has_quantiles = true;
	for (int i = 0; i < RESULT_QUANTILES; i++)
		r->quantiles[i] = i;
	result_add_threshold(r, "http_req_duration", "p(95)<1", false);
	result_add_threshold(r, "checks", "rate>0", true);
	r->cpu_ms = 3;
	free(r->log);
	r->log = x_calloc(1, 2 * RESULT_LOG_MAX + 1);
	memset(r->log, 'x', 2 * RESULT_LOG_MAX - 1);
	strcat(r->log, "Z");
}

static void results_round_trip(void **state)
{
	struct msg_writer w = {0};
	struct run_result a, b;
	struct msg_reader in;
	struct err err;

	(void)state;
	fill(&a);
	result_pack(&a, &w);
	assert_in_range(w.len, 1, MSG_MAX_BYTES);
	assert_int_equal(msg_open(&in, w.data, w.len, MSG_TO_SUPERVISOR_W, &err), MSG_AGENT_RESULT);
	assert_int_equal(result_unpack(&in, &b, &err), 0);
	assert_int_equal(b.status, RESULT_FAILED);
	assert_int_equal(b.reason, RESULT_REASON_THRESHOLDS);
	assert_int_equal(b.exit_code, 99);
	assert_string_equal(b.message, "crossed");
	assert_true(result_has_metric(&b, RESULT_P95));
	assert_false(result_has_metric(&b, RESULT_P50));
	assert_near(b.metrics[RESULT_P95], 1.5, 0);
	assert_near(b.quantiles[100], 100, 0);
	assert_int_equal(b.threshold_count, 2);
	assert_string_equal(b.thresholds[0].expression, "p(95)<1");
	assert_true(b.thresholds[1].ok);
	/* The end of the log is what is kept. */
	assert_int_equal(strlen(b.log), RESULT_LOG_MAX);
	assert_int_equal(b.log[RESULT_LOG_MAX - 1], 'Z');
	result_clear(&a);
	result_clear(&b);
	msg_free(&w);
}

static int unpack(const struct run_result *r)
{
	struct msg_writer w = {0};
	struct run_result out;
	struct msg_reader in;
	struct err err;
	int rc;

	result_pack(r, &w);
	assert_int_equal(msg_open(&in, w.data, w.len, MSG_TO_SUPERVISOR_W, &err), MSG_AGENT_RESULT);
	rc = result_unpack(&in, &out, &err);
	result_clear(&out);
	msg_free(&w);
	return rc;
}

static void forged_results_are_refused(void **state)
{
	struct run_result r;

	(void)state;
	fill(&r);
	assert_int_equal(unpack(&r), 0);
	r.metrics[RESULT_RPS] = NAN;
	assert_int_equal(unpack(&r), -1);
	r.metrics[RESULT_RPS] = INFINITY;
	assert_int_equal(unpack(&r), -1);
	r.metrics[RESULT_RPS] = -1;
	assert_int_equal(unpack(&r), -1);
	r.metrics[RESULT_RPS] = 0;
	r.quantiles[7] = NAN;
	assert_int_equal(unpack(&r), -1);
	r.quantiles[7] = 7;
	r.status = RESULT_RUNNING;
	assert_int_equal(unpack(&r), -1);
	r.status = RESULT_SUCCESS; /* with a reason */
	assert_int_equal(unpack(&r), -1);
	r.status = RESULT_ERROR;
	r.reason = RESULT_REASON_NONE;
	assert_int_equal(unpack(&r), -1);
	r.reason = RESULT_REASON_LOST;
	strcpy(r.run_id, "../../etc/passwd");
	assert_int_equal(unpack(&r), -1);
	result_clear(&r);
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
	msg_start(&w, MSG_KEEPER_SIGNAL);
	msg_put_u32(&w, 1);
	assert_int_equal(chan_recv(pair[1], buf, &len, &fd, false, &err), CHAN_AGAIN);
	assert_int_equal(chan_send(pair[0], &w, 0, &err), CHAN_OK);
	/* A peek leaves it there. */
	assert_int_equal(chan_recv(pair[1], buf, &len, &fd, true, &err), CHAN_OK);
	assert_int_equal(fd, -1);
	assert_int_equal(chan_recv(pair[1], buf, &len, &fd, false, &err), CHAN_OK);
	assert_true(fd > 2);
	assert_int_equal(len, w.len);
	close(fd);
	/* More than the socket takes waits in the queue and arrives in order. */
	for (; sent < 2000; sent++) {
		msg_start(&w, MSG_KEEPER_SIGNAL);
		msg_put_u32(&w, (uint32_t)sent);
		assert_int_not_equal(chan_queue_send(&q, pair[0], &w, -1, &err), CHAN_ERROR);
	}
	assert_true(q.count > 0);
	while (got < sent) {
		struct msg_reader r;

		if (chan_recv(pair[1], buf, &len, &fd, false, &err) == CHAN_AGAIN) {
			assert_int_not_equal(chan_queue_flush(&q, pair[0], &err), CHAN_ERROR);
			continue;
		}
		assert_int_equal(
			msg_open(&r, buf, len, MSG_TO_SUPERVISOR_K, &err), MSG_KEEPER_SIGNAL);
		assert_int_equal(msg_get_u32(&r), got++);
	}
	assert_int_equal(q.count, 0);
	close(pair[0]);
	assert_int_equal(chan_recv(pair[1], buf, &len, &fd, false, &err), CHAN_EOF);
	close(pair[1]);
	msg_free(&w);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_round_trips),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(wrong_side_type_and_size),
		cmocka_unit_test(results_round_trip),
		cmocka_unit_test(forged_results_are_refused),
		cmocka_unit_test(channel_carries_descriptors),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
