/* SPDX-License-Identifier: MIT */
/*
 * Messages between keeper, supervisor and workers: what msg_open() accepts every reader can
 * read, and what is written from that reads back to the same bytes.  A result of a run goes on
 * to its reader.
 */
#include "fuzz.h"

#include <string.h>

#include "common/msg.h"
#include "common/run.h"
#include "common/run_v4.h"
#include "common/run_v4.h"

/* The writer's message read and written once more is the same. */
#define MESSAGE(NAME, name, dir, max, fd) \
	static void again_##name(struct msg_reader *r) \
	{ \
		struct msg_##name first, second; \
		struct msg_writer a = {0}, b = {0}; \
		struct msg_reader reader; \
		struct err err; \
\
		msg_get_##name(r, &first); \
		FUZZ_HOLDS(!r->failed); \
		msg_put_##name(&a, &first); \
		FUZZ_HOLDS(msg_open(&reader, a.data, a.len, dir, &err) == MSG_##NAME); \
		msg_get_##name(&reader, &second); \
		FUZZ_HOLDS(!reader.failed && reader.p == reader.end); \
		msg_put_##name(&b, &second); \
		FUZZ_HOLDS(a.len == b.len && !memcmp(a.data, b.data, a.len)); \
		msg_free(&a); \
		msg_free(&b); \
	}
MSG_TABLE(MESSAGE, MSG_NO_FIELD, MSG_NO_END)
#undef MESSAGE

/* A result, also one of protocol 4, makes a run that is written and read again. */
static void take_result(const uint8_t *data, size_t size)
{
	struct msg_reader r;
	struct run run;
	struct err err;
	int type = msg_open(&r, data, size, MSG_TO_SUPERVISOR_W, &err), rc;

	if (type != MSG_AGENT_RESULT && type != MSG_AGENT_RESULT_4)
		return;
	rc = type == MSG_AGENT_RESULT ? run_get(&r, &run, &err) : run_v4_get(&r, &run, &err);
	if (rc == 0) {
		struct msg_writer w = {0};
		struct run same;

		run_put(&run, &w);
		FUZZ_HOLDS(
			msg_open(&r, w.data, w.len, MSG_TO_SUPERVISOR_W, &err) == MSG_AGENT_RESULT);
		FUZZ_HOLDS(run_get(&r, &same, &err) == 0);
		run_clear(&same);
		msg_free(&w);
	}
	run_clear(&run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int direction = 0; direction <= MSG_TO_SUPERVISOR_W; direction++) {
		struct msg_reader r;
		struct err err;
		int type = msg_open(&r, data, size, (enum msg_direction)direction, &err);

		FUZZ_HOLDS(type >= 0 || err.msg[0]);
		switch (type) {
#define MESSAGE(NAME, name, dir, max, fd) \
	case MSG_##NAME: again_##name(&r); break;
			MSG_TABLE(MESSAGE, MSG_NO_FIELD, MSG_NO_END)
#undef MESSAGE
		default: break;
		}
	}
	take_result(data, size);
	return 0;
}
