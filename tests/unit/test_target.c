/* SPDX-License-Identifier: MIT */
/* Targets: limits, defaults, masking, and that no value can become code in a script. */
#include "test.h"

#include "agent/script.h"
#include "common/json.h"
#include "common/target.h"

static int apply(struct target *t, const char *text, struct target_error *e)
{
	_cleanup_json_ json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	return target_apply_json(t, o, true, e) < 0 ? -1 : target_validate(t, e);
}

static void refuse(const char *text, const char *field, bool out_of_range)
{
	struct target *t = target_new();
	struct target_error e = {0};

	if (apply(t, text, &e) == 0)
		fail_msg("taken: %s", text);
	if (strcmp(e.field, field) != 0 || (e.err.code == ERR_OUT_OF_RANGE) != out_of_range)
		fail_msg("%s: field \"%s\", code %s: %s", text, e.field, err_code_name(e.err.code),
			e.err.msg);
	target_free(t);
}

static void limits(void **state)
{
	(void)state;
	refuse("{}", "url", true);
	refuse("{\"url\":5}", "url", false);
	refuse("{\"url\":\"ftp://x\"}", "url", true);
	refuse("{\"url\":\"http://\"}", "url", true);
	refuse("{\"url\":\"http://h/\",\"vus\":0}", "vus", true);
	refuse("{\"url\":\"http://h/\",\"vus\":10001}", "vus", true);
	refuse("{\"url\":\"http://h/\",\"vus\":1.5}", "vus", false);
	refuse("{\"url\":\"http://h/\",\"durationS\":86401}", "durationS", true);
	refuse("{\"url\":\"http://h/\",\"runIntervalMs\":999}", "runIntervalMs", true);
	refuse("{\"url\":\"http://h/\",\"enabled\":1}", "enabled", false);
	refuse("{\"url\":\"http://h/\",\"method\":\"G T\"}", "method", true);
	refuse("{\"url\":\"http://h/\",\"headers\":[]}", "headers", false);
	refuse("{\"url\":\"http://h/\",\"headers\":{\"A\":1}}", "headers", false);
	refuse("{\"url\":\"http://h/\",\"headers\":{\"A\":\"x\\r\\nB: y\"}}", "headers", true);
	refuse("{\"url\":\"http://h/\",\"headers\":{\"A B\":\"x\"}}", "headers", true);
	refuse("{\"url\":\"http://h/\",\"checks\":\"maybe\"}", "checks", true);
	refuse("{\"url\":\"http://h/\",\"expectedStatuses\":[99]}", "expectedStatuses", true);
	refuse("{\"url\":\"http://h/\",\"thresholds\":{\"a\":\"b\"}}", "thresholds", false);
	refuse("{\"url\":\"http://h/\",\"script\":\"x\"}", "script", true);
	refuse("{\"url\":\"http://h/\",\"colour\":1}", "colour", false);
}

static void a_copy_is_equal_and_separate(void **state)
{
	struct target *t = target_new(), *copy;
	struct target_error e = {0};

	(void)state;
	assert_int_equal(
		apply(t,
			"{\"url\":\"http://h/\",\"label\":\"L\",\"vus\":3,\"timeoutS\":7,"
			"\"headers\":{\"A\":\"x\"},\"tags\":{\"t\":\"v\"},\"body\":\"b\","
			"\"checks\":\"ignore\",\"thresholds\":{\"http_reqs\":[\"count>1\"]},"
			"\"expectedStatuses\":[404],\"enabled\":false}",
			&e),
		0);
	copy = target_copy(t);
	assert_true(target_equal(t, copy));
	json_object_set_new(copy->headers, "A", json_string("y"));
	assert_false(target_equal(t, copy));
	assert_string_equal(json_get_text(t->headers, "A", ""), "x");
	target_free(copy);
	copy = target_copy(t);
	/* null unsets a field that may be unset. */
	assert_int_equal(apply(copy,
				 "{\"timeoutS\":null,\"headers\":null,\"tags\":null,\"body\":null,"
				 "\"thresholds\":null,\"expectedStatuses\":null}",
				 &e),
		0);
	assert_int_equal(copy->timeout_ms, 0);
	assert_int_equal(json_object_size(copy->headers), 0);
	assert_int_equal(json_array_size(copy->expected_statuses), 0);
	assert_null(copy->body);
	assert_int_equal(copy->checks, TARGET_CHECKS_IGNORE);
	assert_int_equal(t->timeout_ms, 7000);
	target_free(copy);
	target_free(t);
}

static void defaults_and_masking(void **state)
{
	struct target *t = target_new();
	struct target_error e = {0};
	_cleanup_json_ json_t *open = NULL, *masked = NULL;

	(void)state;
	assert_int_equal(
		apply(t,
			"{\"url\":\"http://h/\",\"headers\":{\"Authorization\":\"s3cret\"},\"body\":\"s3cret\"}",
			&e),
		0);
	open = target_to_json(t, TARGET_FOR_ADMIN);
	masked = target_to_json(t, TARGET_FOR_PUBLIC);
	assert_int_equal(json_get_int(open, "vus", 0), 1);
	assert_int_equal(json_get_int(open, "durationS", 0), 30);
	assert_int_equal(json_get_int(open, "runIntervalMs", 0), 60000);
	assert_true(json_is_true(json_object_get(open, "enabled")));
	assert_string_equal(
		json_get_text(json_object_get(open, "headers"), "Authorization", ""), "s3cret");
	_cleanup_free_ char *text = json_compact(masked);
	assert_null(strstr(text, "s3cret"));
	assert_non_null(strstr(text, "Authorization"));
	target_free(t);
}

/* --- every row of the table --------------------------------------------------------- */

/* A value that the field takes and that is not its default. */
static json_t *sample(const struct target_field *f)
{
	static const char *const texts[] = {"text", "http://h/", "PUT"};

	switch (f->kind) {
	case TARGET_TEXT:
		for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
			if (!f->check || f->check(texts[i], NULL) == 0)
				return json_string(texts[i]);
		}
		fail_msg("a sample for %s is missing here", f->name);
		break;
	case TARGET_NUMBER:
	case TARGET_TIME: return json_integer(f->min + (f->min == f->initial));
	case TARGET_FLAG: return json_boolean(!f->initial);
	case TARGET_CHOICE: return json_string(f->choices[f->initial ? 0 : 1]);
	case TARGET_MAP: return json_pack("{s:s}", "Name", "value");
	case TARGET_THRESHOLDS: return json_pack("{s:[s]}", "http_reqs", "count>1");
	case TARGET_STATUSES: return json_pack("[i]", 404);
	case TARGET_PATH: break;
	}
	return json_null();
}

/* Takes v; 0, or the code of the error, which must name the field. */
static int take(struct target *t, const struct target_field *f, json_t *v)
{
	_cleanup_json_ json_t *o = json_pack("{s:o}", f->name, v);
	struct target_error e = {0};

	if (target_apply_json(t, o, true, &e) == 0)
		return 0;
	assert_string_equal(e.field, f->name);
	assert_non_null(strstr(e.err.msg, f->name));
	return (int)e.err.code;
}

static void want_member(const struct target *t, const struct target_field *f,
	enum target_reader reader, const json_t *wanted, bool equal)
{
	_cleanup_json_ json_t *o = target_to_json(t, reader);

	if (json_equal(json_object_get(o, f->name), wanted) != equal)
		fail_msg("%s is not as it should be for reader %d", f->name, (int)reader);
}

static void refuse_values(struct target *t, const struct target_field *f)
{
	json_t *wrong = f->kind == TARGET_TEXT || f->kind == TARGET_CHOICE ? json_integer(5)
									   : json_string("no");

	assert_int_equal(take(t, f, wrong), ERR_MALFORMED);
	if (!f->null)
		assert_int_equal(take(t, f, json_null()), ERR_MALFORMED);
	if (f->kind == TARGET_NUMBER || f->kind == TARGET_TIME) {
		assert_int_equal(take(t, f, json_integer(f->min - 1)), ERR_OUT_OF_RANGE);
		assert_int_equal(take(t, f, json_integer(f->max + 1)), ERR_OUT_OF_RANGE);
		assert_int_equal(take(t, f, json_integer(f->max)), 0);
	}
	if (f->kind == TARGET_TEXT) {
		_cleanup_free_ char *text = x_calloc((size_t)f->max + 2, 1);

		memset(text, 'x', (size_t)f->max + 1);
		assert_int_equal(take(t, f, json_string(text)), ERR_OUT_OF_RANGE);
	}
}

static void every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const struct target_field *f = &target_fields[i];
		_cleanup_json_ json_t *value = f->name ? sample(f) : NULL;
		struct target *t = target_new(), *fresh = target_new(), *copy;

		if (value) {
			assert_int_equal(take(t, f, json_incref(value)), 0);
			want_member(t, f, TARGET_FOR_HOST, value, true);
			want_member(t, f, TARGET_FOR_PUBLIC, value, !f->hidden_from);
			assert_false(target_equal(t, fresh));
			copy = target_copy(t);
			assert_true(target_equal(t, copy));
			target_free(copy);
			refuse_values(t, f);
		}
		if (value && f->null) {
			assert_int_equal(take(t, f, json_null()), 0);
			assert_true(target_equal(t, fresh));
		}
		target_free(t);
		target_free(fresh);
	}
}

/* Returns the JSON literal behind "const target = " in the script. */
static json_t *literal_of(const char *script)
{
	const char *start = strstr(script, "const target = ") + strlen("const target = ");
	const char *end = strstr(start, "\n};\n");
	json_t *value = json_loadb(start, (size_t)(end - start) + 2, 0, NULL);

	if (!value)
		fail_msg("not one JSON literal:\n%s", script);
	return value;
}

static void no_value_becomes_code(void **state)
{
	static const char *const evil[] = {"http://h/\"; throw 1; //", "http://h/\\\"+x+\\\"",
		"http://h/\n};\nthrow 1;\n", "http://h/</script><script>",
		"http://h/${process.exit()}", "http://h/`${1}`", "http://h/'+1+'",
		"http://h/\xe2\x80\xa8throw 1", "http://h/\t\x01"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(evil); i++) {
		struct target *t = target_new();
		_cleanup_free_ char *script = NULL;
		_cleanup_json_ json_t *literal = NULL;
		size_t lines = 0;

		t->url = x_strdup(evil[i]);
		t->body = x_strdup(evil[i]);
		json_object_set_new(t->headers, "X", json_text(evil[i]));
		json_object_set_new(t->tags, evil[i], json_text(evil[i]));
		script = script_make(t);
		literal = literal_of(script);
		assert_string_equal(json_get_text(literal, "url", ""), evil[i]);
		assert_string_equal(json_get_text(literal, "body", ""), evil[i]);
		for (const char *p = script; *p; p++) {
			assert_true((unsigned char)*p < 0x80);
			lines += *p == '\n';
		}
		assert_null(strstr(script, "\nthrow 1"));
		/* The code around the literal is the same for every target. */
		assert_non_null(
			strstr(script, "http.request(target.method, target.url, target.body"));
		assert_true(lines > 10);
		target_free(t);
	}
}

static void options_of_the_script(void **state)
{
	struct target *t = target_new();
	struct target_error e = {0};
	_cleanup_free_ char *script = NULL;
	_cleanup_json_ json_t *literal = NULL;
	const json_t *options, *scenario;

	(void)state;
	assert_int_equal(
		apply(t,
			"{\"url\":\"http://h/\",\"vus\":7,\"durationS\":9,\"thresholds\":{\"http_reqs\":[\"count>1\"]},"
			"\"expectedStatuses\":[404]}",
			&e),
		0);
	script = script_make(t);
	literal = literal_of(script);
	options = json_object_get(literal, "options");
	scenario = json_object_get(json_object_get(options, "scenarios"), "default");
	assert_int_equal(json_get_int(scenario, "vus", 0), 7);
	assert_string_equal(json_get_text(scenario, "duration", ""), "9000ms");
	assert_string_equal(json_get_text(scenario, "gracefulStop", ""), "0s");
	assert_int_equal(json_array_size(json_object_get(
				 json_object_get(options, "thresholds"), "http_reqs")),
		1);
	assert_true(json_is_array(
		json_object_get(json_object_get(options, "thresholds"), SCRIPT_UNANSWERED)));
	assert_int_equal(
		json_integer_value(json_array_get(json_object_get(literal, "expected"), 0)), 404);
	/* The hidden threshold does not change the target itself. */
	assert_int_equal(json_object_size(t->thresholds), 1);
	target_free(t);
}

static void bytes_that_are_no_utf8(void **state)
{
	_cleanup_json_ json_t *v = json_text("a\xff\xc0\x80z\xed\xa0\x80");

	(void)state;
	assert_string_equal(json_string_value(v),
		"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits),
		cmocka_unit_test(defaults_and_masking),
		cmocka_unit_test(a_copy_is_equal_and_separate),
		cmocka_unit_test(every_row),
		cmocka_unit_test(no_value_becomes_code),
		cmocka_unit_test(options_of_the_script),
		cmocka_unit_test(bytes_that_are_no_utf8),
	};

	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
