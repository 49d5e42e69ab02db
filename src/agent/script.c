/* SPDX-License-Identifier: MIT */
/*
 * Writes k6 scripts.  Every value of a target enters as one JSON literal made by jansson with
 * everything outside ASCII escaped: JSON is a subset of JavaScript (ECMA-262, "JSON superset"),
 * so no URL, header or body can end the literal and become code.
 */
#include "agent/script.h"

#include "common/json.h"
#include "common/mem.h"

/*
 * The pause stands in front of every request but the first, and none is begun that would not be
 * answered before the end, judged by the last one: what the end of the run interrupts is then a
 * virtual user asleep, not half-way through a request, and what k6 counts is what the server
 * saw.  gracefulStop 0: the run ends when it said it would.
 */
static const char program[] =
	"import http from 'k6/http';\n"
	"import exec from 'k6/execution';\n"
	"import { sleep } from 'k6';\n"
	"\n"
	"const target = %s;\n"
	"\n"
	"if (target.expected.length > 0) {\n"
	"  http.setResponseCallback(http.expectedStatuses(...target.expected));\n"
	"}\n"
	"\n"
	"export const options = target.options;\n"
	"\n"
	"let lastMs = 0;\n"
	"\n"
	"export default function () {\n"
	"  if (__ITER > 0) {\n"
	"    sleep(%d);\n"
	"    const leftMs = exec.scenario.startTime + target.durationMs - Date.now();\n"
	"    if (leftMs < Math.max(100, 2 * lastMs)) sleep(60);\n"
	"  }\n"
	"  const startMs = Date.now();\n"
	"  http.request(target.method, target.url, target.body, { headers: target.headers });\n"
	"  lastMs = Date.now() - startMs;\n"
	"}\n";

static json_t *make_options(const struct target *t)
{
	_cleanup_free_ char *duration = x_asprintf("%lldms", (long long)t->duration_ms);
	json_t *thresholds = json_deep_copy(t->thresholds);

	/* An empty list of thresholds makes k6 keep and export the sub-metric. */
	if (!json_object_get(thresholds, SCRIPT_UNANSWERED))
		json_object_set_new(thresholds, SCRIPT_UNANSWERED, json_array());
	return json_pack("{s:{s:{s:s, s:I, s:s, s:s}}, s:o, s:O, s:b, s:s}", "scenarios", "default",
		"executor", "constant-vus", "vus", (json_int_t)t->vus, "duration", duration,
		"gracefulStop", "0s", "thresholds", thresholds, "tags", t->tags,
		"discardResponseBodies", 1, "userAgent", "k6fleet (k6)");
}

char *script_make(const struct target *t)
{
	_cleanup_free_ char *literal = NULL;
	_cleanup_json_ json_t *value = NULL;

	if (t->script)
		return x_strdup(t->script);
	value = json_pack("{s:s, s:s, s:O, s:s?, s:O, s:I, s:o}", "method", t->method, "url",
		t->url, "headers", t->headers, "body", t->body, "expected", t->expected_statuses,
		"durationMs", (json_int_t)t->duration_ms, "options", make_options(t));
	literal = json_dumps(value, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	return x_asprintf(program, literal ? literal : "null", SCRIPT_PACE_S);
}
