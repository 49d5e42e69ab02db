/* SPDX-License-Identifier: MIT */
/* The tables in the sources against the documents for people: a row that is not documented, a
 * document that promises another limit, and a field that no table has are errors.  A message
 * says which line is missing. */
#include "documents.h"

#include <ctype.h>

#include "common/agent_state.h"
#include "common/body.h"
#include "common/json.h"
#include "common/target.h"

#define FORM TOP_SRCDIR "/src/dashboard/www/pages/sites/fields.js"
#define MANUAL TOP_SRCDIR "/man/k6fleetd.conf.5"

/* --- targets ----------------------------------------------------------------------- */

static bool target_knows(const char *name, size_t len)
{
	/* The dashboard or the supervisor sets these, not the owner of a target. */
	static const char *const made[] = {"id", "createdAt", "updatedAt", "recentRuns", "source",
		"nextDueAt", "missed", NULL};

	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const char *field = target_fields[i].name;

		if (field && strlen(field) == len && !strncmp(field, name, len))
			return true;
	}
	return is_one_of(name, len, made);
}

static void print_choices(FILE *f, const char *const *choices)
{
	fputs("{enum: [", f);
	for (size_t i = 0; choices[i]; i++)
		fprintf(f, "%s%s", i ? ", " : "", choices[i]);
	fputc(']', f);
}

/* What a caller may send, without the closing brace. */
static void print_input(FILE *f, const struct target_field *row)
{
	long long min = row->min, max = row->max, initial = row->initial;

	switch (row->kind) {
	case TARGET_TEXT:
		fprintf(f,
			row->null ? "{type: [string, 'null'], maxLength: %lld"
				  : "{type: string, maxLength: %lld",
			max);
		if (!row->null)
			fprintf(f, ", default: %s", row->text ? row->text : "''");
		break;
	case TARGET_NUMBER:
	case TARGET_TIME:
		fprintf(f, "{type: %s, minimum: %lld, maximum: %lld",
			row->null ? "[integer, 'null']" : "integer", min, max);
		if (!row->null)
			fprintf(f, ", default: %lld", initial);
		break;
	case TARGET_FLAG:
		fprintf(f, "{type: boolean, default: %s", initial ? "true" : "false");
		break;
	case TARGET_CHOICE:
		print_choices(f, row->choices);
		fprintf(f, ", default: %s", row->choices[initial]);
		break;
	case TARGET_MAP:
		fprintf(f,
			"{type: [object, 'null'], maxProperties: %lld, additionalProperties: "
			"{type: string, maxLength: %d}",
			max, TARGET_TEXT_MAX);
		break;
	case TARGET_THRESHOLDS:
		fprintf(f,
			"{type: [object, 'null'], maxProperties: %lld, additionalProperties: "
			"{type: array, maxItems: %lld, items: {type: string, minLength: 1, maxLength: %d}}",
			max, max, TARGET_KEY_MAX);
		break;
	case TARGET_STATUSES:
		fprintf(f,
			"{type: [array, 'null'], maxItems: %lld, items: {type: integer, minimum: "
			"100, maximum: 599}",
			max);
		break;
	case TARGET_PATH: break;
	}
}

/* What the API returns, without the closing brace. */
static void print_output(FILE *f, const struct target_field *row)
{
	static const char *const shapes[][2] = {
		[TARGET_TEXT] = {"{type: string", "{type: [string, 'null']"},
		[TARGET_NUMBER] = {"{type: integer", "{type: [integer, 'null']"},
		[TARGET_TIME] = {"{type: integer", "{type: [integer, 'null']"},
		[TARGET_FLAG] = {"{type: boolean", NULL},
		[TARGET_MAP] = {NULL, "{type: object, additionalProperties: {type: string}"},
		[TARGET_THRESHOLDS] = {NULL,
			"{type: object, additionalProperties: {type: array, items: {type: string}}"},
		[TARGET_STATUSES] = {NULL, "{type: array, items: {type: integer}"},
	};

	if (row->kind == TARGET_CHOICE)
		print_choices(f, row->choices);
	else
		fputs(shapes[row->kind][row->null], f);
}

static void compare(const char *name, void (*print)(FILE *f, const struct target_field *row))
{
	_cleanup_free_ char *schema = read_schema(name);

	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const struct target_field *row = &target_fields[i];
		_cleanup_free_ char *line = NULL;
		size_t size;
		FILE *f;

		if (!row->name)
			continue;
		f = open_memstream(&line, &size);
		fprintf(f, "%s: ", row->name);
		print(f, row);
		fclose(f);
		want_property(name, schema, line);
	}
	only_known(name, schema, target_knows);
}

static void targets_in_openapi(void **state)
{
	(void)state;
	compare("TargetChange", print_input);
	compare("Target", print_output);
}

static void targets_in_the_schema_of_the_command_line(void **state)
{
	_cleanup_json_ json_t *schema = json_load_file(SCHEMA, 0, NULL);
	const json_t *defs = json_object_get(schema, "$defs");
	json_t *properties = json_object_get(
		json_object_get(json_object_get(defs, "targets"), "items"), "properties");
	json_t *value;
	const char *name;

	(void)state;
	assert_true(json_object_size(properties) > 5);
	json_object_foreach (properties, name, value) {
		if (!target_knows(name, strlen(name)))
			fail_msg("%s: no target has \"%s\"", SCHEMA, name);
	}
}

static void targets_in_the_manual(void **state)
{
	_cleanup_free_ char *text = read_between(MANUAL, "\n.Ss Targets\n", "\n.Sh ");

	(void)state;
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const struct target_field *row = &target_fields[i];
		_cleanup_free_ char *first = x_asprintf(".Ic %s", row->key ? row->key : "");
		_cleanup_free_ char *next = x_asprintf(", %s", row->key ? row->key : "");

		if (row->key && !row->of_file && !strstr(text, first) && !strstr(text, next))
			fail_msg("%s does not name \"%s\" under Targets", MANUAL, row->key);
	}
}

/* The row of a field in fields.js: from its name to that of the next.  The caller frees. */
static char *read_form_row(const char *name)
{
	_cleanup_free_ char *begin = x_asprintf("name: \"%s\",", name);

	return read_between(FORM, begin, "name: \"");
}

static void want_in_form(const char *name, const char *row, const char *wanted)
{
	const char *at = strstr(row, wanted);

	if (!at || isdigit((unsigned char)at[strlen(wanted)]))
		fail_msg("%s: the row of \"%s\" must have %s", FORM, name, wanted);
}

static void want_limits_in_form(const struct target_field *f, const char *row)
{
	char text[64];

	if (f->kind == TARGET_NUMBER || f->kind == TARGET_TIME) {
		snprintf(text, sizeof(text), "min: %lld", (long long)f->min);
		want_in_form(f->name, row, text);
		snprintf(text, sizeof(text), "max: %lld", (long long)f->max);
		want_in_form(f->name, row, text);
		if (!f->null) {
			snprintf(text, sizeof(text), "initial: %lld", (long long)f->initial);
			want_in_form(f->name, row, text);
		}
	}
	if (f->kind == TARGET_FLAG)
		want_in_form(f->name, row, f->initial ? "initial: true" : "initial: false");
	for (size_t i = 0; f->choices && f->choices[i]; i++) {
		snprintf(text, sizeof(text), "[\"%s\"", f->choices[i]);
		want_in_form(f->name, row, text);
	}
	if (f->text || f->choices) {
		snprintf(text, sizeof(text), "initial: \"%s\"",
			f->text ? f->text : f->choices[f->initial]);
		want_in_form(f->name, row, text);
	}
}

static void targets_in_the_form(void **state)
{
	_cleanup_free_ char *all = read_between(FORM, "FIELDS = [", "\n];");

	(void)state;
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const struct target_field *f = &target_fields[i];
		_cleanup_free_ char *row = f->name ? read_form_row(f->name) : NULL;

		if (!row)
			continue;
		want_in_form(f->name, row, "kind: \"");
		want_in_form(f->name, row, "en: \"");
		want_in_form(f->name, row, "pt: \"");
		want_limits_in_form(f, row);
	}
	for (const char *p = all; (p = strstr(p, "name: \"")); p++) {
		const char *name = p + strlen("name: \"");

		if (!target_knows(name, strcspn(name, "\"")))
			fail_msg("%s: no target has \"%.40s\"", FORM, name);
	}
}

/* --- agents ------------------------------------------------------------------------- */

static void want_text(const char *path, const char *wanted)
{
	_cleanup_free_ char *text = read_between(path, "", "\nend of file");

	if (!strstr(text, wanted))
		fail_msg("%s must have %s", path, wanted);
}

static void states_of_agents(void **state)
{
#define STATE_NAME(id, text) text,
	static const char *const names[] = {AGENT_STATES(STATE_NAME) AGENT_OFFLINE};
#undef STATE_NAME
	static const char *const texts[] = {TOP_SRCDIR "/src/dashboard/www/common/en.js",
		TOP_SRCDIR "/src/dashboard/www/common/pt.js"};
	_cleanup_free_ char *grid = read_between(
		TOP_SRCDIR "/src/dashboard/www/pages/fleet/agents.js", "const STATES = [", "];");
	_cleanup_free_ char *yaml = x_strdup("AgentStatus: {enum: [");
	_cleanup_free_ char *json = x_strdup("\"state\": {\"enum\": [");
	size_t in_grid = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *quoted = x_asprintf("\"%s\"", names[i]);
		_cleanup_free_ char *label = x_asprintf("\"status.%s\": ", names[i]);
		bool last = i == ARRAY_SIZE(names) - 1;
		char *longer = x_asprintf("%s%s%s", yaml, names[i], last ? "]}" : ", ");

		free(yaml);
		yaml = longer;
		if (!last) {
			longer = x_asprintf(
				"%s%s%s", json, quoted, i == ARRAY_SIZE(names) - 2 ? "]}" : ", ");
			free(json);
			json = longer;
		}
		if (!strstr(grid, quoted))
			fail_msg("pages/fleet/agents.js: STATES lacks %s", quoted);
		for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
			want_text(texts[k], label);
	}
	for (const char *p = grid; *p; p++)
		in_grid += *p == ',';
	assert_int_equal(in_grid, ARRAY_SIZE(names));
	want_text(OPENAPI, yaml);
	/* The supervisor's own: nobody there is offline. */
	want_text(SCHEMA, json);
}

/* --- bodies of hosts ----------------------------------------------------------------- */

#define BODY_NAME(kind, member, name, unknown) name,
static const char *const registration_names[] = {
	BODY_REGISTRATION(BODY_NAME) BODY_AGENT_REGISTRATION(BODY_NAME) NULL};
static const char *const agent_registration_names[] = {BODY_AGENT_REGISTRATION(BODY_NAME) NULL};
static const char *const heartbeat_names[] = {
	BODY_HEARTBEAT(BODY_NAME) BODY_AGENT_HEARTBEAT(BODY_NAME) NULL};
static const char *const agent_heartbeat_names[] = {BODY_AGENT_HEARTBEAT(BODY_NAME) NULL};
static const char *const progress_names[] = {BODY_PROGRESS(BODY_NAME) NULL};
#undef BODY_NAME

static const char *const *body_names;

static bool body_knows(const char *name, size_t len)
{
	return is_one_of(name, len, body_names);
}

static void bodies_of_hosts(void **state)
{
	/* A body of one agent has the members of both. */
	static const struct {
		const char *schema;
		const char *const *names;
	} bodies[] = {{"Registration", registration_names}, {"AgentNew", agent_registration_names},
		{"Heartbeat", heartbeat_names}, {"AgentBeat", agent_heartbeat_names},
		{"Progress", progress_names}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		_cleanup_free_ char *schema = read_schema(bodies[i].schema);

		body_names = bodies[i].names;
		only_known(bodies[i].schema, schema, body_knows);
		for (size_t k = 0; body_names[k]; k++) {
			_cleanup_free_ char *line = x_asprintf("        %s:", body_names[k]);

			if (!strstr(schema, line))
				fail_msg("docs/openapi.yaml, schema %s, lacks \"%s\"",
					bodies[i].schema, body_names[k]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_in_openapi),
		cmocka_unit_test(targets_in_the_schema_of_the_command_line),
		cmocka_unit_test(targets_in_the_manual),
		cmocka_unit_test(targets_in_the_form),
		cmocka_unit_test(states_of_agents),
		cmocka_unit_test(bodies_of_hosts),
	};

	return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
