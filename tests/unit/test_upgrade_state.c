/* SPDX-License-Identifier: MIT */
/* What one image of the keeper leaves to the next: round trips, the form of earlier releases,
 * and states that no keeper has written. */
#include "test.h"

#include <jansson.h>
#include <limits.h>

#include "common/conf.h"
#include "common/json.h"
#include "keeper/upgrade_state.h"

/* As version 0.1.0 wrote it, with jansson's packing by hand. */
static const char *const old_form =
	"{\"format\":1,\"version\":\"0.1.0\","
	"\"options\":{\"config\":\"/etc/k6fleet/k6fleetd.conf\",\"configNamed\":false,\"socket\":null,"
	"\"workers\":\"7\",\"logFormat\":null,\"verbose\":true},"
	"\"paths\":{\"keeper\":\"/usr/sbin/k6fleetd\",\"supervisor\":\"/usr/libexec/k6fleet-supervisor\"},"
	"\"sandbox\":{\"level\":1,\"layers\":7,\"asRoot\":true,\"userNamespaces\":true,\"landlock\":3,"
	"\"uid\":991,\"gid\":990},"
	"\"supervisor\":{\"asRoot\":true,\"uid\":989,\"gid\":988,\"controlGid\":988,"
	"\"readGid\":4294967295,\"restarts\":2},"
	"\"keeper\":{\"k6Version\":\"k6 v2.2.0\",\"memoryBytes\":8589934592,\"startedMs\":123456,"
	"\"clockOffsetMs\":1700000000000,\"epoch\":4,\"cgroupCpu\":true},"
	"\"k6\":[false,2049,131,54321000,1700000001,999999999],"
	"\"fds\":{\"listen\":5,\"heartbeats\":6,\"config\":7,\"state\":8,\"metrics\":-1,\"secret\":9,"
	"\"ca\":-1,\"cert\":-1,\"key\":-1,\"socketDir\":10,\"lifelineRead\":11,\"lifelineWrite\":12,"
	"\"cgroup\":-1,\"k6\":13,\"host\":14,\"notify\":-1,\"journal\":-1},"
	"\"children\":[[0,4711,9,130000,true,0,1,4,64],[3,4712,10,131000,false,256,0,3,65]]}";

static void the_form_of_earlier_releases_is_read_and_written(void **state)
{
	_cleanup_free_ char *again = NULL;
	struct upgrade_state s;
	struct err err;

	(void)state;
	assert_int_equal(upgrade_state_read(old_form, &s, &err), 0);
	assert_string_equal(s.version, "0.1.0");
	assert_string_equal(s.options.config, "/etc/k6fleet/k6fleetd.conf");
	assert_null(s.options.socket);
	assert_string_equal(s.options.workers, "7");
	assert_true(s.options.verbose);
	assert_string_equal(s.paths.supervisor, "/usr/libexec/k6fleet-supervisor");
	assert_int_equal(s.sandbox.landlock, 3);
	assert_int_equal(s.supervisor.read_gid, UINT32_MAX);
	assert_true(s.keeper.clock_offset_ms == INT64_C(1700000000000));
	assert_true(s.keeper.cgroup_cpu);
	assert_int_equal(s.k6.modified_ns, 999999999);
	assert_int_equal(s.fds.state_dir, 8);
	assert_int_equal(s.fds.metrics, -1);
	assert_int_equal(s.children_count, 2);
	assert_int_equal(s.children[0].chan, 64);
	assert_true(s.children[0].alive);
	assert_int_equal(s.children[1].slot, 3);
	assert_int_equal(s.children[1].wait_status, 256);
	/* An earlier release reads what this one writes: they are the same bytes. */
	free(s.version);
	s.version = x_strdup("0.1.0");
	again = upgrade_state_write(&s);
	assert_string_equal(again, old_form);
	upgrade_state_clear(&s);
}

/* --- round trips ------------------------------------------------------------------ */

enum pattern { LOWEST, HIGHEST, PATTERNS };

/* clang-format off */
#define VALUE_flag(p) ((p) == HIGHEST)
#define VALUE_i32(p) ((p) == HIGHEST ? INT32_MAX : INT32_MIN)
#define VALUE_u32(p) ((p) == HIGHEST ? UINT32_MAX : 0)
#define VALUE_i64(p) ((p) == HIGHEST ? INT64_MAX : INT64_MIN)
#define VALUE_u64(p) ((p) == HIGHEST ? UINT64_MAX : 0)
#define VALUE_fd(p) ((p) == HIGHEST ? INT_MAX : -1)
#define VALUE_text(p) ((p) == HIGHEST ? x_strdup("\t\"quoted\" \\ and long \xc3\xa4") : NULL)
#define SAME_flag(a, b) assert_int_equal(a, b);
#define SAME_i32(a, b) assert_int_equal(a, b);
#define SAME_u32(a, b) assert_true((a) == (b));
#define SAME_i64(a, b) assert_true((a) == (b));
#define SAME_u64(a, b) assert_true((a) == (b));
#define SAME_fd(a, b) assert_int_equal(a, b);
#define SAME_text(a, b) \
	if (a) \
		assert_string_equal(a, b); \
	else \
		assert_null(b);

#define GROUP(name, key) static void fill_##name(struct upgrade_state_##name *g, enum pattern p) {
#define FIELD(type, name, key, fallback) g->name = VALUE_##type(p);
#define END(name) }
UPGRADE_STATE_TABLE(GROUP, GROUP, GROUP, FIELD, END)
#undef GROUP
#undef FIELD
#define GROUP(name, key) static void same_##name(const struct upgrade_state_##name *a, const struct upgrade_state_##name *b) {
#define FIELD(type, name, key, fallback) SAME_##type(a->name, b->name)
UPGRADE_STATE_TABLE(GROUP, GROUP, GROUP, FIELD, END)
#undef GROUP
#undef FIELD
#undef END

static void fill(struct upgrade_state *s, enum pattern p, size_t children)
{
	*s = (struct upgrade_state){.version = x_strdup("9.9")};
#define ONE(name, key) fill_##name(&s->name, p);
	UPGRADE_STATE_TABLE(ONE, ONE, UPGRADE_STATE_NO_GROUP, UPGRADE_STATE_NO_FIELD, UPGRADE_STATE_NO_END)
#undef ONE
	s->children = x_calloc(children + 1, sizeof(*s->children));
	for (size_t i = 0; i < children; i++)
		fill_children(&s->children[s->children_count++], p);
}

static void same(const struct upgrade_state *a, const struct upgrade_state *b)
{
#define ONE(name, key) same_##name(&a->name, &b->name);
	UPGRADE_STATE_TABLE(ONE, ONE, UPGRADE_STATE_NO_GROUP, UPGRADE_STATE_NO_FIELD, UPGRADE_STATE_NO_END)
#undef ONE
	assert_int_equal(a->children_count, b->children_count);
	for (size_t i = 0; i < a->children_count; i++)
		same_children(&a->children[i], &b->children[i]);
}
/* clang-format on */

/* The values that cannot be are put right. */
static void make_valid(struct upgrade_state *s)
{
	char **texts[] = {&s->options.config, &s->paths.keeper, &s->paths.supervisor};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!*texts[i])
			*texts[i] = x_strdup("");
	}
	s->sandbox.level = 2;
	for (size_t i = 0; i < s->children_count; i++) {
		s->children[i].slot = (uint32_t)i;
		s->children[i].chan = 64;
	}
}

static void every_value_round_trips(void **state)
{
	(void)state;
	for (enum pattern p = 0; p < PATTERNS; p++) {
		_cleanup_free_ char *text = NULL;
		struct upgrade_state a, b;
		struct err err;

		fill(&a, p, p == HIGHEST ? LIMIT_WORKERS : 0);
		make_valid(&a);
		text = upgrade_state_write(&a);
		assert_int_equal(upgrade_state_read(text, &b, &err), 0);
		assert_string_equal(b.version, "9.9");
		same(&a, &b);
		upgrade_state_clear(&a);
		upgrade_state_clear(&b);
	}
}

static void count_fd(void *arg, int fd)
{
	int *sum = arg;

	*sum += fd;
}

static void every_descriptor_is_visited(void **state)
{
	struct upgrade_state s;
	struct err err;
	int sum = 0;

	(void)state;
	assert_int_equal(upgrade_state_read(old_form, &s, &err), 0);
	upgrade_state_each_fd(&s, count_fd, &sum);
	assert_int_equal(sum, 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 64 + 65);
	upgrade_state_clear(&s);
}

/* --- what no keeper has written --------------------------------------------------- */

static void refuse(const char *text)
{
	struct upgrade_state s;
	struct err err = {0};

	memset(&s, 0xa5, sizeof(s));
	if (upgrade_state_read(text, &s, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_true(err.msg[0] != '\0');
	/* Nothing is left to be freed. */
	assert_null(s.version);
	assert_null(s.options.config);
	assert_null(s.children);
	assert_int_equal(s.children_count, 0);
}

static void every_cut_is_refused(void **state)
{
	size_t len = strlen(old_form);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		_cleanup_free_ char *cut = x_strndup(old_form, i);

		refuse(cut);
	}
}

static void other_formats_are_refused(void **state)
{
	(void)state;
	refuse("{}");
	refuse("[]");
	refuse("{\"format\":0}");
	refuse("{\"format\":2}");
	refuse("{\"format\":\"1\"}");
	refuse("{\"format\":1}");
	refuse("{\"format\":1,\"format\":1}");
}

/* The old form with one value replaced. */
static char *with(const char *group, const char *key, size_t row, size_t place, json_t *value)
{
	_cleanup_json_ json_t *all = json_loads(old_form, 0, NULL);
	json_t *g = json_object_get(all, group);

	if (key)
		json_object_set_new(g, key, value);
	else if (json_is_array(json_array_get(g, 0)))
		json_array_set_new(json_array_get(g, row), place, value);
	else
		json_array_set_new(g, place, value);
	return json_compact(all);
}

static void refuse_value(const char *group, const char *key, size_t place, json_t *value)
{
	_cleanup_free_ char *text = with(group, key, 0, place, value);

	refuse(text);
}

static void hostile_values_are_refused(void **state)
{
	(void)state;
	/* A kill of these would be one of everybody, of the own group, or of init. */
	refuse_value("children", NULL, 1, json_integer(-1));
	refuse_value("children", NULL, 1, json_integer(0));
	refuse_value("children", NULL, 1, json_integer(1));
	refuse_value("children", NULL, 1, json_integer(INT64_C(1) << 32));
	/* Slots outside the table, and twice the same. */
	refuse_value("children", NULL, 0, json_integer(LIMIT_WORKERS));
	refuse_value("children", NULL, 0, json_integer(-1));
	refuse_value("children", NULL, 0, json_integer(INT64_MAX));
	refuse_value("children", NULL, 0, json_integer(3));
	/* No descriptor, and numbers that none can have. */
	refuse_value("children", NULL, 8, json_integer(-1));
	refuse_value("children", NULL, 8, json_integer(INT64_C(1) << 31));
	refuse_value("fds", "listen", 0, json_integer(-2));
	/* Types. */
	refuse_value("children", NULL, 4, json_integer(1));
	refuse_value("children", NULL, 2, json_string("9"));
	refuse_value("fds", "listen", 0, json_null());
	refuse_value("options", "config", 0, json_integer(1));
	refuse_value("options", "config", 0, json_null());
	refuse_value("paths", "keeper", 0, json_null());
	refuse_value("sandbox", "level", 0, json_integer(3));
	refuse_value("sandbox", "asRoot", 0, json_string("true"));
	refuse_value("k6", NULL, 0, json_integer(0));
}

static void groups_of_another_kind_are_refused(void **state)
{
	static const char *const groups[] = {
		"options", "paths", "sandbox", "supervisor", "keeper", "k6", "fds", "children"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		_cleanup_json_ json_t *all = json_loads(old_form, 0, NULL);
		_cleanup_free_ char *text = NULL;

		json_object_set_new(all, groups[i], json_string("x"));
		text = json_compact(all);
		refuse(text);
	}
}

/* A newer image may add keys, and leave out such as it has no more use for. */
static void unknown_keys_are_ignored_and_missing_ones_have_fallbacks(void **state)
{
	_cleanup_json_ json_t *all = json_loads(old_form, 0, NULL);
	_cleanup_free_ char *text = NULL;
	struct upgrade_state s;
	struct err err;

	(void)state;
	json_object_set_new(all, "tomorrow", json_integer(1));
	json_object_set_new(json_object_get(all, "fds"), "tomorrow", json_integer(99));
	json_array_append_new(json_array_get(json_object_get(all, "children"), 0), json_integer(1));
	json_object_del(json_object_get(all, "fds"), "listen");
	json_object_del(json_object_get(all, "supervisor"), "controlGid");
	json_object_del(all, "k6");
	text = json_compact(all);
	assert_int_equal(upgrade_state_read(text, &s, &err), 0);
	assert_int_equal(s.fds.listen, -1);
	assert_int_equal(s.supervisor.control_gid, UINT32_MAX);
	assert_false(s.k6.by_fd);
	assert_int_equal(s.children_count, 2);
	upgrade_state_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_form_of_earlier_releases_is_read_and_written),
		cmocka_unit_test(every_value_round_trips),
		cmocka_unit_test(every_descriptor_is_visited),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(other_formats_are_refused),
		cmocka_unit_test(hostile_values_are_refused),
		cmocka_unit_test(groups_of_another_kind_are_refused),
		cmocka_unit_test(unknown_keys_are_ignored_and_missing_ones_have_fallbacks),
	};

	return cmocka_run_group_tests_name("upgrade_state", tests, NULL, NULL);
}
