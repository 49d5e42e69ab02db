/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "common/units.h"
#include "common/uuid.h"

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0}, {"250ms", 250}, {"30s", 30000}, {"5m", 300000}, {"1h", 3600000},
		{"30d", 2592000000}};
	static const char *const bad[] = {"", "5", "-5s", "5 s", "5S", "1.5s", "s", "5sec",
		"99999999999999999999s", "9223372036854775807d", "+5s", "0x5s", "5s "};
	char buf[UNITS_TEXT_MAX];
	struct err err;
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(units_parse_duration(good[i].text, &ms, &err), 0);
		assert_int_equal(ms, good[i].ms);
		assert_int_equal(
			units_parse_duration(units_format_duration(ms, buf), &ms, &err), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(units_parse_duration(bad[i], &ms, &err), -1);
	assert_string_equal(units_format_duration(90000, buf), "90s");
	assert_string_equal(units_format_duration(60000, buf), "1m");
	assert_string_equal(units_format_duration(1500, buf), "1500ms");
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {{"0", 0}, {"4096", 4096}, {"64K", 65536}, {"256M", 268435456},
		{"1G", 1073741824}, {"1GiB", 1073741824}, {"1GB", 1073741824}, {"5B", 5},
		{"2T", INT64_C(2) << 40}};
	static const char *const bad[] = {
		"", "M", "-1M", "1.5G", "64k", "64X", "64Mi", "9223372036854775807G", " 1M"};
	char buf[UNITS_TEXT_MAX];
	struct err err;
	int64_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(units_parse_size(good[i].text, &n, &err), 0);
		assert_int_equal(n, good[i].bytes);
		assert_int_equal(units_parse_size(units_format_size(n, buf), &n, &err), 0);
		assert_int_equal(n, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(units_parse_size(bad[i], &n, &err), -1);
}

static void times(void **state)
{
	static const char *const bad[] = {"", "2026", "2026-13-01T00:00:00Z", "2026-01-01 00:00",
		"2026-01-01T00:00:00", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00+1:00", "now", "2026-01-01T00:00:00Zjunk",
		"2026-01-01T00:00:00.123456789012345678901234567890Z"};
	char buf[UNITS_TIME_MAX];
	struct err err;
	int64_t ms;

	(void)state;
	assert_string_equal(units_format_time(0, buf), "1970-01-01T00:00:00.000Z");
	assert_string_equal(units_format_time(1795470000123, buf), "2026-11-23T21:40:00.123Z");
	assert_int_equal(units_parse_time("2026-11-23T21:40:00.123Z", &ms, &err), 0);
	assert_int_equal(ms, 1795470000123);
	assert_int_equal(units_parse_time("2026-11-23T22:40:00.123456+01:00", &ms, &err), 0);
	assert_int_equal(ms, 1795470000123);
	assert_int_equal(units_parse_time("2026-11-23t19:40:00-02:00", &ms, &err), 0);
	assert_int_equal(ms, 1795470000000);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(units_parse_time(bad[i], &ms, &err), -1);
}

static void uuids(void **state)
{
	char a[UUID_MAX], b[UUID_MAX];

	(void)state;
	uuid_make_v7(1795470000123, a);
	uuid_make_v7(1795470000124, b);
	assert_true(uuid_is_valid(a));
	assert_int_equal(a[14], '7');
	assert_true(strchr("89ab", a[19]) != NULL);
	assert_true(strcmp(a, b) < 0);
	assert_false(uuid_is_valid(""));
	assert_false(uuid_is_valid("../../../../etc/passwd-0000-00000000"));
	assert_false(uuid_is_valid("0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeeg"));
	assert_true(uuid_matches(a, a));
	assert_true(uuid_matches(a, a + 24));
	assert_false(uuid_matches(a, a + 25));
	assert_false(uuid_matches(a, b + 24));
	assert_false(uuid_is_end("%%%%%%%%%%%%"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(times),
		cmocka_unit_test(uuids),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
