/* SPDX-License-Identifier: MIT */
/* k6's summary, which any script can forge: the run made of it is one that the dashboard
 * accepts. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "agent/summary.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/run.h"
#include "common/run_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_run_ struct run run;
	struct err err = {0};

	run_init(&run);
	if (summary_parse((const char *)data, size, 10.0, &run, &err) < 0) {
		FUZZ_HOLDS(err.msg[0]);
		return 0;
	}
	{
		_cleanup_free_ char *text = NULL;
		_cleanup_json_ json_t *json = NULL;
		struct run again;

		run_set_text(&run.id, "01890000-0000-7000-8000-000000000000");
		text = run_to_text(&run, RUN_RECORD);
		json = json_loads(text, 0, NULL);
		FUZZ_HOLDS(json);
		if (run_from_json(json, NULL, NULL, &again, &err) < 0) {
			fprintf(stderr, "%s\n%s\n", err.msg, text);
			abort();
		}
		run_clear(&again);
	}
	return 0;
}
