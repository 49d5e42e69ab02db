/* SPDX-License-Identifier: MIT */
/*
 * Targets as JSON: one that is accepted prints as JSON that makes an equal one, and its script
 * is made without a value becoming code.
 */
#include "fuzz.h"

#include <string.h>

#include "agent/script.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/target.h"

static void check_script(const struct target *t)
{
	_cleanup_free_ char *script = script_make(t);
	_cleanup_free_ char *module = NULL;

	FUZZ_HOLDS(script);
	script_is_module(script);
	script_is_typescript(script);
	module = script_wrap("./script.js", 0, true);
	FUZZ_HOLDS(module);
}

static void check_same(const struct target *t)
{
	_cleanup_json_ json_t *json = target_to_json(t, TARGET_FOR_HOST);
	_cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
	_cleanup_json_ json_t *parsed = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	struct target *again = target_new();
	struct target_error err = {0};

	FUZZ_HOLDS(parsed);
	if (target_apply_json(again, parsed, true, &err) < 0 || target_validate(again, &err) < 0) {
		fprintf(stderr, "%s: %s\n%s\n", err.field, err.err.msg, text);
		abort();
	}
	FUZZ_HOLDS(target_equal(t, again));
	target_free(again);
}

static void try(const json_t *json, bool strict)
{
	struct target *t = target_new();
	struct target_error err = {0};

	if (target_apply_json(t, json, strict, &err) == 0 && target_validate(t, &err) == 0) {
		struct target *copy = target_copy(t);

		FUZZ_HOLDS(target_equal(t, copy));
		target_free(copy);
		json_decref(target_to_json(t, TARGET_FOR_ADMIN));
		json_decref(target_to_json(t, TARGET_FOR_PUBLIC));
		check_same(t);
		check_script(t);
	} else {
		FUZZ_HOLDS(err.err.msg[0]);
	}
	target_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ json_t *json =
		json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

	if (json) {
		try(json, true);
		try(json, false);
	}
	return 0;
}
