/* SPDX-License-Identifier: MIT */
/* The table of a run's fields, its statuses and reasons, against everything that lists them by
 * hand: a row that is not documented, a document that promises something else, and a name that
 * no row has are errors. */
#include "documents.h"

#include "common/json.h"
#include "common/run.h"
#include "dashboard/store_lists.h"

#define WWW TOP_SRCDIR "/src/dashboard/www/"
#define OPERATIONS TOP_SRCDIR "/docs/operations.md"

/* --- docs/openapi.yaml ------------------------------------------------------------------ */

/* What a sender may say of the field, without the closing brace. */
static void print_input(FILE *f, const struct run_field *row)
{
	long long max = row->max;

	switch (row->kind) {
	case RUN_KIND_ID:
		fprintf(f,
			"{type: string, minLength: 1, maxLength: %lld, pattern: '^[A-Za-z0-9_.-]+$'",
			max);
		break;
	case RUN_KIND_TEXT:
	case RUN_KIND_LOG: fprintf(f, "{type: [string, 'null'], maxLength: %lld", max); break;
	case RUN_KIND_STATUS: fputs("{$ref: '#/components/schemas/RunStatus'", f); break;
	case RUN_KIND_REASON: fputs("{$ref: '#/components/schemas/RunReason'", f); break;
	case RUN_KIND_TIME: fputs("{$ref: '#/components/schemas/TimeOrNull'", f); break;
	case RUN_KIND_INTEGER:
		fprintf(f, "{type: [integer, 'null'], minimum: %lld", (long long)row->min);
		break;
	case RUN_KIND_REAL:
		fputs("{type: [number, 'null'], minimum: 0", f);
		if (max)
			fprintf(f, ", maximum: %lld", max);
		break;
	case RUN_KIND_QUANTILES:
		fprintf(f,
			"{type: [array, 'null'], minItems: %lld, maxItems: %lld, items: {type: number, minimum: 0}",
			max, max);
		break;
	case RUN_KIND_THRESHOLDS:
		fprintf(f,
			"{type: [array, 'null'], maxItems: %lld, items: {$ref: '#/components/schemas/Threshold'}",
			max);
		break;
	default: fail_msg("the API has no form of %s", row->name);
	}
}

/* What the dashboard returns. */
static void print_output(FILE *f, const struct run_field *row)
{
	switch (row->kind) {
	case RUN_KIND_ID: fputs("{type: string", f); break;
	case RUN_KIND_TEXT:
	case RUN_KIND_LOG:
		fputs(row->empty_for_null ? "{type: string" : "{type: [string, 'null']", f);
		break;
	case RUN_KIND_INTEGER: fputs("{type: [integer, 'null']", f); break;
	case RUN_KIND_QUANTILES:
		fprintf(f,
			"{type: [array, 'null'], minItems: %d, maxItems: %d, items: {type: number}",
			QUANTILES, QUANTILES);
		break;
	case RUN_KIND_THRESHOLDS:
		fputs("{type: array, items: {$ref: '#/components/schemas/Threshold'}", f);
		break;
	default: print_input(f, row);
	}
}

static const char *const group_schemas[RUN_GROUP_COUNT] =
	{[RUN_METRICS] = "Metrics", [RUN_RESOURCES] = "Resources"};

static bool in_api(const struct run_field *row)
{
	return row->in & (RUN_LIST | RUN_ONE);
}

static enum run_group group_under_test;

static bool group_knows(const char *name, size_t len)
{
	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *row = &run_fields[i];

		if (row->group == group_under_test && in_api(row) && strlen(row->name) == len &&
			!strncmp(row->name, name, len))
			return true;
	}
	for (int g = 1; group_under_test == RUN_TOP && g < RUN_GROUP_COUNT; g++) {
		if (strlen(run_group_names[g]) == len && !strncmp(run_group_names[g], name, len))
			return true;
	}
	return false;
}

/* Every field of the group has its line in the schema, and the schema has no other. */
static void compare(
	const char *name, enum run_group group, void (*print)(FILE *f, const struct run_field *row))
{
	_cleanup_free_ char *schema = read_schema(name);

	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *row = &run_fields[i];
		_cleanup_free_ char *line = NULL;
		size_t size;
		FILE *f;

		if (row->group != group || !in_api(row))
			continue;
		f = open_memstream(&line, &size);
		fprintf(f, "%s: ", row->name);
		print(f, row);
		fclose(f);
		want_property(name, schema, line);
	}
	group_under_test = group;
	only_known(name, schema, group_knows);
}

/* "[id, agent …]": the members that every run in a list has. */
static char *list_members(void)
{
	enum run_group group = RUN_TOP;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("      required: [", f);
	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *row = &run_fields[i];

		if (!(row->in & RUN_LIST) || (row->group && row->group == group))
			continue;
		group = row->group;
		fprintf(f, "%s%s", i ? ", " : "", group ? run_group_names[group] : row->name);
	}
	fputs("]\n", f);
	fclose(f);
	return text;
}

static void want_text(const char *where, const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("%s must have\n%s", where, wanted);
}

static void runs_in_openapi(void **state)
{
	_cleanup_free_ char *out = read_schema("RunOut"), *members = list_members();
	_cleanup_free_ char *threshold = read_schema("Threshold");
	char limit[80];

	(void)state;
	compare("RunIn", RUN_TOP, print_input);
	compare("RunOut", RUN_TOP, print_output);
	want_text("docs/openapi.yaml, schema RunOut,", out, members);
	for (int g = 1; g < RUN_GROUP_COUNT; g++) {
		_cleanup_free_ char *in = read_schema("RunIn");
		_cleanup_free_ char *line = x_asprintf("%s: {$ref: '#/components/schemas/%s'",
			run_group_names[g], group_schemas[g]);

		want_property("RunIn", in, line);
		want_property("RunOut", out, line);
		compare(group_schemas[g], (enum run_group)g, print_input);
	}
	snprintf(limit, sizeof(limit), "metric: {type: string, maxLength: %d}",
		RUN_WORKER_THRESHOLD_BYTES);
	want_text("docs/openapi.yaml, schema Threshold,", threshold, limit);
}

/* --- docs/k6fleetctl.schema.json ---------------------------------------------------------- */

static void want_shape(const char *name, const json_t *shape, const char *wanted)
{
	_cleanup_json_ json_t *want = json_loads(wanted, 0, NULL);
	json_t *v;
	const char *key;

	assert_non_null(want);
	if (!shape)
		fail_msg("docs/k6fleetctl.schema.json, run record: there is no \"%s\"", name);
	json_object_foreach (want, key, v) {
		if (!json_equal(v, json_object_get(shape, key)))
			fail_msg("docs/k6fleetctl.schema.json, run record: \"%s\" must have %s",
				name, wanted);
	}
}

static void want_choices(const json_t *shape, const char *const names[], int count)
{
	const json_t *list = json_object_get(shape, "enum");

	assert_int_equal(json_array_size(list), count);
	for (int i = 0; i < count; i++) {
		const json_t *v = json_array_get(list, (size_t)i);

		/* "" stands for null. */
		if (*names[i] ? !json_is_string(v) || strcmp(json_string_value(v), names[i]) != 0
			      : !json_is_null(v))
			fail_msg(
				"docs/k6fleetctl.schema.json: \"%s\" must be at place %d of its list",
				names[i], i);
	}
}

static void compare_shape(const struct run_field *row, const json_t *shape)
{
	switch (row->kind) {
	case RUN_KIND_ID: want_shape(row->name, shape, "{\"$ref\": \"#/$defs/uuid\"}"); break;
	case RUN_KIND_TEXT:
		/* The supervisor always knows who ran what. */
		want_shape(row->name, shape,
			row->by_worker ? "{\"type\": [\"string\", \"null\"]}"
				       : "{\"type\": \"string\"}");
		break;
	case RUN_KIND_LOG:
		want_shape(row->name, shape, "{\"type\": [\"string\", \"null\"]}");
		break;
	case RUN_KIND_STATUS:
		want_shape(row->name, shape, "{}");
		want_choices(shape, run_status_names, RUN_STATUS_COUNT);
		break;
	case RUN_KIND_REASON:
		want_shape(row->name, shape, "{}");
		want_choices(shape, run_reason_names, RUN_REASON_COUNT);
		break;
	case RUN_KIND_TIME:
		want_shape(row->name, shape, "{\"$ref\": \"#/$defs/maybeTime\"}");
		break;
	case RUN_KIND_TIME_MS: want_shape(row->name, shape, "{\"$ref\": \"#/$defs/count\"}"); break;
	case RUN_KIND_INTEGER:
		want_shape(row->name, shape, "{\"type\": [\"integer\", \"null\"]}");
		break;
	case RUN_KIND_REAL:
		want_shape(row->name, shape, "{\"$ref\": \"#/$defs/maybeNumber\"}");
		break;
	case RUN_KIND_QUANTILES:
		want_shape(row->name, shape,
			"{\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"number\"}}");
		break;
	case RUN_KIND_THRESHOLDS: want_shape(row->name, shape, "{\"type\": \"array\"}"); break;
	default: fail_msg("no form of %s", row->name);
	}
}

static void runs_in_the_schema_of_the_command_line(void **state)
{
	_cleanup_json_ json_t *schema = json_load_file(SCHEMA, 0, NULL);
	json_t *defs = json_object_get(schema, "$defs");
	json_t *top = json_object_get(json_object_get(defs, "run record"), "properties");
	size_t known[RUN_GROUP_COUNT] = {0};

	(void)state;
	assert_non_null(top);
	for (size_t i = 0; i < run_field_count; i++) {
		const struct run_field *row = &run_fields[i];
		const char *group = run_group_names[row->group];
		const json_t *in =
			group ? json_object_get(json_object_get(defs, group), "properties") : top;

		if (!(row->in & RUN_RECORD) && row->kind != RUN_KIND_LOG)
			continue;
		compare_shape(row, json_object_get(in, row->name));
		known[row->group]++;
	}
	for (int g = 1; g < RUN_GROUP_COUNT; g++) {
		_cleanup_free_ char *reference =
			x_asprintf("{\"$ref\": \"#/$defs/%s\"}", run_group_names[g]);

		want_shape(run_group_names[g], json_object_get(top, run_group_names[g]), reference);
		assert_int_equal(json_object_size(json_object_get(
					 json_object_get(defs, run_group_names[g]), "properties")),
			known[g]);
	}
	/* The groups are members, too. */
	assert_int_equal(json_object_size(top), known[RUN_TOP] + RUN_GROUP_COUNT - 1);
}

/* --- statuses and reasons ----------------------------------------------------------------- */

/* "a, b" with each word within the quotes, null for "". */
static char *join(const char *const names[], int count, const char *quote)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 0; i < count; i++) {
		fputs(i ? ", " : "", f);
		if (*names[i])
			fprintf(f, "%s%s%s", quote, names[i], quote);
		else
			fputs("null", f);
	}
	fclose(f);
	return text;
}

/* With runs of white space as one space. */
static char *squeezed(const char *text)
{
	char *out = x_strdup(text), *to = out;

	for (const char *p = text; *p; p++) {
		bool white = strchr(" \t\n", *p);

		if (!white || to == out || to[-1] != ' ')
			*to++ = white ? ' ' : *p;
	}
	*to = '\0';
	return out;
}

static char *read_file(const char *path)
{
	return read_between(path, "", "\nend of file");
}

static void words_are_the_same_everywhere(void **state)
{
	static const char *const languages[] = {"common/en.js", "common/pt.js"};
	_cleanup_free_ char *openapi = read_file(OPENAPI), *flat = squeezed(openapi);
	_cleanup_free_ char *statuses = join(run_status_names, RUN_STATUS_COUNT, "");
	_cleanup_free_ char *reasons = join(run_reason_names, RUN_REASON_COUNT, "");
	_cleanup_free_ char *quoted = join(run_status_names, RUN_STATUS_COUNT, "\"");
	_cleanup_free_ char *filter = read_file(WWW "pages/runs/runs.js");
	_cleanup_free_ char *operations = read_file(OPERATIONS);
	_cleanup_free_ char *status_line = x_asprintf(" RunStatus: {enum: [%s]}", statuses);
	_cleanup_free_ char *reason_line = x_asprintf(" RunReason: enum: [%s]", reasons);

	(void)state;
	want_text("docs/openapi.yaml", flat, status_line);
	want_text("docs/openapi.yaml", flat, reason_line);
	want_text("pages/runs/runs.js", filter, quoted);
	for (size_t l = 0; l < ARRAY_SIZE(languages); l++) {
		_cleanup_free_ char *path = x_asprintf("%s%s", WWW, languages[l]);
		_cleanup_free_ char *words = read_file(path);

		for (int i = 0; i < RUN_STATUS_COUNT; i++) {
			_cleanup_free_ char *key =
				x_asprintf("\"status.%s\":", run_status_names[i]);

			want_text(path, words, key);
		}
		for (int i = 1; i < RUN_REASON_COUNT; i++) {
			_cleanup_free_ char *key =
				x_asprintf("\"reason.%s\":", run_reason_names[i]);

			want_text(path, words, key);
		}
	}
	for (int i = 1; i < RUN_REASON_COUNT; i++) {
		_cleanup_free_ char *first = x_asprintf("\n| `%s`", run_reason_names[i]);
		_cleanup_free_ char *next = x_asprintf(", `%s`", run_reason_names[i]);

		if (!strstr(operations, first) && !strstr(operations, next))
			fail_msg("docs/operations.md does not explain the reason %s",
				run_reason_names[i]);
	}
}

/* Names are quoted in JavaScript, and in YAML where they begin with a dash. */
static void orders_are_the_same_everywhere(void **state)
{
	static const char *const names[] = {
#define X(name, index, by) name,
		DASH_STORE_RUN_ORDERS(X)
#undef X
	};
	_cleanup_free_ char *openapi = read_file(OPENAPI);
	_cleanup_free_ char *page = read_file(WWW "pages/runs/runs.js");
	_cleanup_free_ char *quoted = join(names, ARRAY_SIZE(names), "\"");
	_cleanup_free_ char *line = x_strdup("{name: sort, in: query, schema: {enum: [");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *quote = *names[i] == '-' ? "'" : "";
		char *longer =
			x_asprintf("%s%s%s%s%s", line, i ? ", " : "", quote, names[i], quote);

		free(line);
		line = longer;
	}
	want_text("docs/openapi.yaml", openapi, line);
	want_text("pages/runs/runs.js", page, quoted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_in_openapi),
		cmocka_unit_test(runs_in_the_schema_of_the_command_line),
		cmocka_unit_test(words_are_the_same_everywhere),
		cmocka_unit_test(orders_are_the_same_everywhere),
	};

	return cmocka_run_group_tests_name("run_documents", tests, NULL, NULL);
}
