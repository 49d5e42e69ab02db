/* SPDX-License-Identifier: MIT */
/* k6fleetd.conf: a file that is accepted prints as an effective configuration that reads back to
 * itself. */
#include "fuzz.h"

#include <string.h>

#include "common/conf.h"
#include "common/mem.h"

static char *print(const struct conf *conf)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	FUZZ_HOLDS(out);
	conf_print(conf, true, out);
	fclose(out);
	return text;
}

static void is_same(
	void *arg, const char *key, const char *from, const char *to, enum conf_effect effect)
{
	(void)arg;
	(void)effect;
	fprintf(stderr, "%s: %s, then %s\n", key, from, to);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_file_ FILE *f = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
	struct err err = {0};
	struct conf *conf, *again;

	/* Keys also come from there. */
	clearenv();
	if (!f)
		return 0;
	conf = conf_load(f, "k6fleetd.conf", NULL, &err);
	if (!conf) {
		FUZZ_HOLDS(err.msg[0]);
		return 0;
	}
	{
		_cleanup_free_ char *text = print(conf);
		_cleanup_file_ FILE *effective = fmemopen(text, strlen(text), "r");

		again = conf_load_effective(effective, &err);
		if (!again)
			fprintf(stderr, "%s\n%s", err.msg, text);
		FUZZ_HOLDS(again);
		conf_diff(conf, again, is_same, NULL);
	}
	conf_free(again);
	conf_free(conf);
	return 0;
}
