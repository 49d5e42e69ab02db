/* SPDX-License-Identifier: MIT */
/* What k6 prints: cut into pieces anywhere it gives the same progress, plan and end of the log
 * as in one piece. */
#include "fuzz.h"

#include <string.h>

#include "agent/k6out.h"
#include "common/mem.h"

static void ignore(void *arg, const char *data, size_t len)
{
	(void)arg;
	for (size_t i = 0; i < len; i++)
		FUZZ_HOLDS(data[i] || i < len);
}

/* Standard output, and then the same as standard error, in pieces of so many bytes. */
static void take(struct k6out *o, const char *data, size_t size, size_t piece)
{
	struct err err;

	FUZZ_HOLDS(k6out_init(o, &err) == 0);
	for (size_t at = 0; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		k6out_take_stdout(o, data + at, n, ignore, NULL);
		k6out_take_stderr(o, data + at, n, ignore, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct k6out whole = {0}, pieces = {0};
	const char *text = (const char *)data;
	char *a, *b;
	size_t from_a = 0, from_b = 0;

	if (!size)
		return 0;
	/* The first byte is the length of a piece. */
	take(&whole, text + 1, size - 1, size);
	take(&pieces, text + 1, size - 1, data[0] ? data[0] : 1);
	a = k6out_log(&whole, &from_a);
	b = k6out_log(&pieces, &from_b);
	FUZZ_HOLDS(from_a == from_b && !strcmp(a, b) && from_a <= strlen(a));
	FUZZ_HOLDS(k6out_planned_ms(&whole) == k6out_planned_ms(&pieces));
	FUZZ_HOLDS(whole.elapsed_ms == pieces.elapsed_ms && whole.vus == pieces.vus &&
		whole.iterations == pieces.iterations);
	FUZZ_HOLDS(whole.elapsed_ms >= 0 && whole.longest_ms >= 0 && whole.graceful_ms >= 0);
	free(a);
	free(b);
	k6out_clear(&whole);
	k6out_clear(&pieces);
	return 0;
}
