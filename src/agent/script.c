/* SPDX-License-Identifier: MIT */
/*
 * Writes k6 scripts.  All values of a target are in one JSON literal, made by jansson with all
 * characters outside ASCII escaped.  JSON is a subset of JavaScript (ECMA-262, "JSON superset"),
 * so no URL, header or body can end the literal and become code.
 */
#include "agent/script.h"

#include <ctype.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"

/*
 * A virtual user sleeps before every request but the first, and starts no request that would not
 * end before the run, to judge by the last one.  So the end of the run interrupts a sleep, not a
 * request, and k6 counts as many requests as the server.  gracefulStop 0: the run ends at the
 * planned time.
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
	"}\n"
	"\n"
	/* Instead of k6's text, with 101 percentiles a line, which nobody reads and which takes
	 * a quarter of the CPU time of a short run. */
	"export function handleSummary() {\n"
	"  return {};\n"
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

/* --- the module around a user's script ------------------------------------------ */

static const char around_begin[] = "import { sleep } from 'k6';\n"
				   "import * as script from '%s';\n"
				   "export * from '%s';\n"
				   "export default script.default;\n";
static const char around_end[] = "\nexport { options, handleSummary%s };\n";

/* k6 up to v0.52 turns modules into CommonJS, where a name that comes by `export *` cannot be
 * defined again. */
static const char old_begin[] = "const { sleep } = require('k6');\n"
				"const script = require('%s');\n";
static const char old_end[] =
	"\nmodule.exports = Object.assign({}, script, { options, handleSummary%s });\n";

/* Object.assign, because v0.49 does not take the spread operator everywhere. */
static const char around[] =
	"\n"
	"const given = script.options || {};\n"
	"const options = Object.assign({}, given, {\n"
	"  thresholds: Object.assign({ '%s': [] }, given.thresholds),\n"
	"});\n"
	"\n"
	"function failedChecks(group, lines) {\n"
	"  for (const c of group.checks || []) {\n"
	"    if (c.fails && lines.length < 100)\n"
	"      lines.push(`check failed: ${c.path.slice(2)}: ${c.fails} of ${c.fails + c.passes}`);\n"
	"  }\n"
	"  for (const g of group.groups || []) failedChecks(g, lines);\n"
	"  return lines;\n"
	"}\n"
	"\n"
	/* Instead of k6's text, as in a generated script: with thousands of metrics it takes
	 * minutes and gigabytes. */
	"function handleSummary(data) {\n"
	"  if (script.handleSummary) return script.handleSummary(data);\n"
	"  const lines = failedChecks(data.root_group || {}, []);\n"
	"  return lines.length ? { stdout: lines.join('\\n') + '\\n' } : {};\n"
	"}\n";

/* setup() runs once, before all virtual users
 * (https://grafana.com/docs/k6/latest/using-k6/test-lifecycle/).  The wait is added to the time
 * that the script allows for its own setup(). */
static const char together[] =
	"\n"
	"const startMs = %lld;\n"
	"\n"
	"function inMs(duration) {\n"
	"  if (typeof duration === 'number') return duration;\n"
	"  const units = { ms: 1, s: 1000, m: 60000, h: 3600000, d: 86400000 };\n"
	"  let ms = 0;\n"
	"  for (const part of String(duration).match(/[0-9.]+(ms|[smhd])/g) || []) {\n"
	"    const unit = part.replace(/[0-9.]+/, '');\n"
	"    ms += parseFloat(part) * units[unit];\n"
	"  }\n"
	"  return ms;\n"
	"}\n"
	"\n"
	"options.setupTimeout =\n"
	"  Math.ceil(Math.max(0, startMs - Date.now()) + 10000 + inMs(given.setupTimeout || '60s')) + 'ms';\n"
	"options.noSetup = false;\n"
	"\n"
	"function setup() {\n"
	"  const leftMs = startMs - Date.now();\n"
	"  if (leftMs > 0) sleep(leftMs / 1000);\n"
	"  else console.warn('%s' + -leftMs);\n"
	"  return script.setup && !given.noSetup ? script.setup() : undefined;\n"
	"}\n";

char *script_wrap(const char *path, int64_t start_wall_ms, bool has_es_modules)
{
	_cleanup_free_ char *begin =
		x_asprintf(has_es_modules ? around_begin : old_begin, path, path);
	_cleanup_free_ char *middle = x_asprintf(around, SCRIPT_UNANSWERED);
	_cleanup_free_ char *wait = start_wall_ms
		? x_asprintf(together, (long long)start_wall_ms, SCRIPT_LATE)
		: x_strdup("");
	_cleanup_free_ char *end =
		x_asprintf(has_es_modules ? around_end : old_end, start_wall_ms ? ", setup" : "");

	return x_asprintf("%s%s%s%s", begin, middle, wait, end);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* Returns the next place of the word as a whole word, or NULL. */
static const char *find_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)) != NULL; p += len) {
		if ((p == text || (!is_word(p[-1]) && p[-1] != '.')) && !is_word(p[len]))
			return p;
	}
	return NULL;
}

bool script_is_module(const char *text)
{
	for (const char *p = text; (p = find_word(p, "export")) != NULL; p += 6) {
		if (p[6] && strchr(" \t\r\n{*", p[6]))
			return true;
	}
	return false;
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *skip_word(const char *p)
{
	while (is_word(*p))
		p++;
	return p;
}

/* "word Name {", "word Name =", "word Name<": a declaration that JavaScript does not have. */
static bool declares(const char *text, const char *word)
{
	for (const char *p = text; (p = find_word(p, word)) != NULL; p += strlen(word)) {
		const char *name = skip_space(p + strlen(word)), *end = skip_word(name);

		if (end > name && name > p + strlen(word)) {
			end = skip_space(end);
			if (*end && strchr("{=<", *end) && end[1] != '=' && end[1] != '>')
				return true;
			if (!strncmp(end, "extends ", 8) && strcmp(word, "type") != 0)
				return true;
		}
	}
	return false;
}

/* "let name: Type", "const name: Type" */
static bool annotates(const char *text, const char *word)
{
	for (const char *p = text; (p = find_word(p, word)) != NULL; p += strlen(word)) {
		const char *name = skip_space(p + strlen(word)), *end = skip_word(name);

		if (end > name && *skip_space(end) == ':')
			return true;
	}
	return false;
}

/* "): Type {" and "): Type =>" behind parameters. */
static bool annotates_results(const char *text)
{
	for (const char *p = text; (p = strchr(p, ')')) != NULL; p++) {
		const char *q = skip_space(p + 1), *type;

		if (*q != ':')
			continue;
		type = skip_space(q + 1);
		q = skip_word(type);
		if (q == type)
			continue;
		q = *q == '<' || *q == '[' ? q + strcspn(q, "{;\n") : skip_space(q);
		if (*q == '{' || !strncmp(q, "=>", 2))
			return true;
	}
	return false;
}

/* JavaScript that is taken for TypeScript by mistake still runs: it is valid TypeScript. */
bool script_is_typescript(const char *text)
{
	static const char *const types[] = {
		"string", "number", "boolean", "any", "void", "unknown"};
	const char *marker = strstr(text, SCRIPT_TYPESCRIPT);

	if (marker && (marker == text || marker[-1] == '\n'))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		_cleanup_free_ char *cast = x_asprintf("as %s", types[i]);
		_cleanup_free_ char *parameter = x_asprintf(": %s", types[i]);

		if (find_word(text, cast))
			return true;
		for (const char *p = text; (p = strstr(p, parameter)) != NULL; p++) {
			const char *end = skip_space(p + strlen(parameter));

			if (p > text && (is_word(p[-1]) || p[-1] == '?') && *end &&
				strchr(",)[;=|", *end))
				return true;
		}
	}
	return declares(text, "interface") || declares(text, "type") || declares(text, "enum") ||
		annotates(text, "let") || annotates(text, "const") || annotates(text, "var") ||
		annotates_results(text);
}
