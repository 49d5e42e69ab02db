/* SPDX-License-Identifier: MIT */
/*
 * Lists of quantiles in a body of runs: without the lists the body is JSON exactly if it was
 * before, each list ascends, and the run is the same as without the lifting.
 */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "common/json.h"
#include "common/json_fast.h"
#include "common/mem.h"
#include "common/quantiles.h"
#include "common/run_json.h"
#include "dashboard/quantile_lists.h"

static double *lifted(void *arg, long long number)
{
	return quantile_lists_take(arg, number);
}

static void compare_runs(const json_t *plain, const json_t *rest, struct quantile_lists *lists)
{
	struct run a, b;
	struct err err;
	int from_plain = run_from_json(plain, NULL, NULL, &a, &err);
	int from_rest = run_from_json(rest, lifted, lists, &b, &err);

	FUZZ_HOLDS(from_plain == from_rest);
	if (from_plain == 0) {
		_cleanup_free_ char *first = run_to_text(&a, RUN_ONE);
		_cleanup_free_ char *second = run_to_text(&b, RUN_ONE);

		FUZZ_HOLDS(!strcmp(first, second));
		run_clear(&a);
		run_clear(&b);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct quantile_lists lists = {0};
	_cleanup_json_ json_t *plain = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	_cleanup_json_ json_t *rest = NULL;
	double v;

	json_fast_number(text, text + size, &v);
	if (!quantile_lists_lift(&lists, text, size)) {
		quantile_lists_free(&lists);
		return 0;
	}
	for (size_t i = 0; i < lists.count; i++) {
		for (int q = 1; q < QUANTILES; q++)
			FUZZ_HOLDS(lists.lists[i][q - 1] <= lists.lists[i][q]);
	}
	rest = json_loadb(lists.text, lists.len, JSON_REJECT_DUPLICATES, NULL);
	FUZZ_HOLDS(!plain == !rest);
	if (plain)
		compare_runs(plain, rest, &lists);
	quantile_lists_free(&lists);
	return 0;
}
