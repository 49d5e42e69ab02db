/* SPDX-License-Identifier: MIT */
/* The configuration file: accepted values, refused values and their messages, and an effective
 * configuration that can be read back. */
#include "test.h"

#include "common/conf.h"
#include "common/units.h"

static struct conf *load(const char *text, struct err *err)
{
	_cleanup_file_ FILE *f =
		fmemopen((void *)(uintptr_t)text, strlen(text) ? strlen(text) : 1, "r");

	return conf_load(strlen(text) ? f : NULL, "test.conf", NULL, err);
}

static void a_dashboard_beside_us_is_only_a_default(void **state)
{
	static const char *const texts[] = {
		"", "dashboard { url = 'http://other/' }\n", "dashboard { url = '' }\n"};
	static const char *const want[] = {"http://here/", "http://other/", ""};
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_file_ FILE *f = fmemopen(
			(void *)(uintptr_t)texts[i], strlen(texts[i]) ? strlen(texts[i]) : 1, "r");
		struct conf *conf =
			conf_load(*texts[i] ? f : NULL, "test.conf", "http://here/", &err);

		assert_non_null(conf);
		assert_string_equal(conf->dashboard.url, want[i]);
		conf_free(conf);
	}
	assert_null(conf_load(NULL, "test.conf", "nonsense", &err));
	assert_non_null(strstr(err.msg, "dashboard-url"));
}

static void refuse(const char *text, const char *says)
{
	struct err err = {0};
	struct conf *conf = load(text, &err);

	if (conf)
		fail_msg("taken: %s", text);
	if (!strstr(err.msg, says))
		fail_msg("%s -> %s (wanted: %s)", text, err.msg, says);
}

static char *print(const struct conf *conf, bool scripts)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	conf_print(conf, scripts, f);
	fclose(f);
	return text;
}

static void defaults(void **state)
{
	struct err err;
	struct conf *conf = load("", &err);
	char name[64];

	(void)state;
	assert_non_null(conf);
	assert_int_equal(conf->workers, 1);
	assert_int_equal(conf->max_workers, 1000);
	assert_string_equal(conf->agent_name, "k6agent");
	assert_int_equal(conf->run_grace_ms, 30000);
	assert_int_equal(conf->limits.memory_bytes, 256 << 20);
	assert_string_equal(conf->k6.binary, "/usr/bin/k6");
	assert_true(strlen(conf->host_name) > 0);
	assert_string_equal(conf_agent_name(conf, 7, name, sizeof(name)), "k6agent-7");
	conf_free(conf);
	conf = load("max_workers = 1\n", &err);
	assert_string_equal(conf_agent_name(conf, 0, name, sizeof(name)), "k6agent");
	conf_free(conf);
}

static const char full[] =
	"workers = 3\n"
	"max_workers = 20\n"
	"sandbox = try\n"
	"state_dir = '/tmp/it\\'s here'\n"
	"require_layers = {seccomp, landlock}\n"
	"dashboard {\n  url = 'http://127.0.0.1:3000'\n  poll_interval = 250ms\n}\n"
	"k6 { vus = 4 env = {'A=b c', 'X='} args = {'--tag', 'x=y'} }\n"
	"limits { memory = 1G cpu_time = 90s }\n"
	"schedule { phase = aligned memory_budget = 8G }\n"
	"target 'One' {\n"
	"  url = 'http://127.0.0.1/a\"b\\\\c</script>${x}'\n"
	"  headers = {'Accept: text/html', 'X-Time: 12:00'}\n"
	"  thresholds = {'http_req_duration: p(95)<500', 'http_req_duration{status:200}: p(99)<900'}\n"
	"  expected_statuses = {200, 404}\n"
	"  tags = {'team=a=b'}\n"
	"  interval = 5s\n"
	"}\n"
	"target \"Two\" { url = http://127.0.0.1/ vus = 9 duration = 2s max_agents = 1 timeout = 1m enabled = no }\n";

static void reads_back_to_itself(void **state)
{
	struct err err;
	struct conf *a = load(full, &err), *b;
	_cleanup_free_ char *first = NULL, *second = NULL;

	(void)state;
	if (!a)
		fail_msg("%s", err.msg);
	first = print(a, false);
	b = load(first, &err);
	if (!b)
		fail_msg("%s in:\n%s", err.msg, first);
	second = print(b, false);
	assert_string_equal(first, second);
	assert_string_equal(b->state_dir, "/tmp/it's here");
	assert_int_equal(b->target_count, 2);
	assert_string_equal(b->targets[0]->url, "http://127.0.0.1/a\"b\\c</script>${x}");
	assert_int_equal(b->targets[0]->vus, 4);
	assert_int_equal(b->targets[0]->interval_ms, 5000);
	assert_string_equal(
		json_string_value(json_object_get(b->targets[0]->headers, "X-Time")), "12:00");
	assert_string_equal(
		json_string_value(json_array_get(
			json_object_get(b->targets[0]->thresholds, "http_req_duration{status:200}"),
			0)),
		"p(99)<900");
	assert_string_equal(json_string_value(json_object_get(b->targets[0]->tags, "team")), "a=b");
	assert_int_equal(
		json_integer_value(json_array_get(b->targets[0]->expected_statuses, 1)), 404);
	assert_int_equal(b->targets[1]->vus, 9);
	assert_int_equal(b->targets[1]->timeout_ms, 60000);
	assert_false(b->targets[1]->enabled);
	assert_string_equal(b->targets[1]->id, "file:Two");
	conf_free(a);
	conf_free(b);
}

/* "key = value" with a value that is not the default; NULL: the key is in other tests. */
static char *line_of(const struct target_field *f)
{
	const char *key = f->key;
	char number[UNITS_TEXT_MAX];

	if (!key || f->of_file || f->kind == TARGET_PATH)
		return NULL;
	switch (f->kind) {
	case TARGET_TEXT:
		return x_asprintf("%s = '%s'", key,
			!f->check || !f->check("a 'b", NULL)   ? "a \\'b"
				: !f->check("http://h/", NULL) ? "http://h/"
							       : "PUT");
	case TARGET_NUMBER:
		return x_asprintf("%s = %lld", key, (long long)(f->min + (f->min == f->initial)));
	case TARGET_TIME:
		units_format_duration(f->min * f->unit_ms, number);
		return x_asprintf("%s = %s", key, number);
	case TARGET_FLAG: return x_asprintf("%s = %s", key, f->initial ? "no" : "yes");
	case TARGET_CHOICE: return x_asprintf("%s = %s", key, f->choices[f->initial ? 0 : 1]);
	case TARGET_MAP:
		return x_asprintf("%s = {'A%c b', 'C%cd: e=f'}", key, f->separator, f->separator);
	case TARGET_THRESHOLDS:
		return x_asprintf("%s = {'m{a:b}: p(95)<5', 'm{a:b}: avg<1', 'n: x'}", key);
	case TARGET_STATUSES: return x_asprintf("%s = {100, 599}", key);
	case TARGET_PATH: break;
	}
	return NULL;
}

static void every_key_of_a_target_reads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < TARGET_FIELD_COUNT; i++) {
		const struct target_field *f = &target_fields[i];
		_cleanup_free_ char *line = line_of(f), *text = NULL, *printed = NULL;
		struct target *fresh;
		struct conf *a, *b;
		struct err err;

		if (!line)
			continue;
		text = x_asprintf("target 'x' { %s %s }\n",
			!strcmp(f->key, "url") ? "" : "url = 'http://h/'", line);
		a = load(text, &err);
		if (!a)
			fail_msg("%s: %s", text, err.msg);
		printed = print(a, false);
		b = load(printed, &err);
		if (!b)
			fail_msg("%s in:\n%s", err.msg, printed);
		assert_true(target_equal(a->targets[0], b->targets[0]));
		fresh = target_new();
		free(fresh->label);
		fresh->label = x_strdup("x");
		free(fresh->url);
		fresh->url = x_strdup("http://h/");
		if (strcmp(f->key, "url") != 0 && target_equal(a->targets[0], fresh))
			fail_msg("%s has changed nothing", text);
		target_free(fresh);
		conf_free(a);
		conf_free(b);
	}
}

static void scripts_survive_the_hand_over(void **state)
{
	static const char script[] =
		"// it's \\ a \"script\"\nexport default function () {\n\treturn `${1}`;\n}\n";
	char path[] = "/tmp/k6fleet-test-XXXXXX", text[256];
	int fd = mkstemp(path);
	struct err err;
	struct conf *a, *b;
	_cleanup_free_ char *handed = NULL;

	(void)state;
	assert_int_equal(write(fd, script, strlen(script)), strlen(script));
	close(fd);
	snprintf(text, sizeof(text), "target 'S' { script_file = '%s' }\n", path);
	a = load(text, &err);
	unlink(path);
	if (!a)
		fail_msg("%s", err.msg);
	assert_string_equal(a->targets[0]->script, script);
	/* The script's file is gone: the copy that was handed over is used. */
	handed = print(a, true);
	b = load(handed, &err);
	if (!b)
		fail_msg("%s in:\n%s", err.msg, handed);
	assert_string_equal(b->targets[0]->script, script);
	conf_free(a);
	conf_free(b);
	refuse(text, "No such file");
}

static void errors_name_the_place(void **state)
{
	(void)state;
	refuse("workers = 3\nnonsense = 4\n", "test.conf:2: no such option 'nonsense'");
	refuse("\n\nworkers = many\n",
		"test.conf:3: workers: \"many\" is not a whole number (allowed: 0..10000)");
	refuse("workers = 10001\n",
		"test.conf:1: workers: \"10001\" is out of range (allowed: 0..10000)");
	refuse("workers = -1\n", "test.conf:1: workers");
	refuse("max_workers = 5\nworkers = 6\n", "workers is 6, more than max_workers");
	refuse("sandbox = maybe\n", "\"maybe\" is not one of require, try, off");
	refuse("run_grace = 30\n", "\"30\" is not a duration");
	refuse("dashboard {\n poll_interval = 5 parsecs\n}\n", "test.conf:2: ");
	refuse("limits { memory = 64Q }\n", "limits.memory: \"64Q\" is not a size");
	refuse("limits { memory = 1K }\n", "out of range (allowed: 16M..1T)");
	refuse("state_dir = here\n", "is not an absolute path");
	refuse("dashboard { url = 'ftp://x' }\n", "is not a URL");
	refuse("agent_name = 'a b'\n", "may hold letters");
	refuse("require_layers = {seccomp, magic}\n", "\"magic\" is not one of");
	refuse("k6 { env = {'1 2'} }\n", "NAME=value");
	refuse("worker_timeout = 5s\n", "at least twice worker_heartbeat");
	refuse("restart { min_delay = 10s max_delay = 1s }\n", "below restart.min_delay");
	refuse("target 'x' { }\n", "needs url or script_file");
	refuse("target 'x' { url = 'gopher://x' }\n", "test.conf:1: target.url");
	refuse("target 'x' { url = 'http://h/' vus = 0 }\n", "allowed: 1..10000");
	refuse("target 'x' { url = 'http://h/' colour = red }\n", "no such option 'colour'");
	refuse("target 'x' { url = 'http://h/' }\ntarget 'x' { url = 'http://h/' }\n",
		"test.conf:2: ");
	refuse("target 'x' { url = 'http://h/' expected_statuses = {99} }\n", "allowed: 100..599");
	refuse("target 'x' { url = 'http://h/' headers = {'no colon'} }\n", "Name: value");
	refuse("target 'x' { url = 'http://h/' headers = {'a b: c'} }\n",
		"test.conf:1: target.headers: \"a b\" is not allowed there");
	refuse("target 'x' { url = 'http://h/' method = 'a b' }\n", "test.conf:1: target.method");
	refuse("target 'x' { url = 'http://h/' thresholds = {'a:'} }\n", "has no expression");
	refuse("target 'x' { url = 'http://h/' script_file = '/x' }\n", "not both");
	refuse("target '' { url = 'http://h/' }\n", "1 to 256 bytes");
	refuse("workers = {1\n", "test.conf:");
	refuse("k6 {\n", "test.conf:");
}

static void limits_of_a_target_are_those_of_the_api(void **state)
{
	char name[300], text[4096];
	struct err err;
	struct conf *conf;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	snprintf(text, sizeof(text), "target '%s' { url = 'http://h/' }\n", name);
	conf = load(text, &err);
	assert_non_null(conf);
	conf_free(conf);
	snprintf(text, sizeof(text), "target '%sn' { url = 'http://h/' }\n", name);
	refuse(text, "1 to 256 bytes");
	strcpy(text, "target 'x' { url = 'http://h/' tags = {");
	for (int i = 0; i < 65; i++)
		sprintf(text + strlen(text), "'t%d=v',", i);
	strcpy(text + strlen(text) - 1, "} }\n");
	refuse(text, "tags may have 64 members at most");
}

static void environment(void **state)
{
	struct err err;
	struct conf *conf;

	(void)state;
	setenv("K6FLEET_WORKERS", "7", 1);
	setenv("POLL_INTERVAL_MS", "1500", 1);
	setenv("K6_DURATION", "10s", 1);
	setenv("DASHBOARD_URL", "http://example.test:1", 1);
	conf = load("workers = 3\n", &err);
	assert_non_null(conf);
	assert_int_equal(conf->workers, 7);
	assert_int_equal(conf->dashboard.poll_ms, 1500);
	assert_int_equal(conf->k6.duration_ms, 10000);
	assert_string_equal(conf->dashboard.url, "http://example.test:1");
	/* An option has precedence over both. */
	assert_int_equal(conf_set(conf, "workers", "9", &err), 0);
	assert_int_equal(conf->workers, 9);
	assert_int_equal(conf_set(conf, "workers", "x", &err), -1);
	conf_free(conf);
	setenv("POLL_INTERVAL_MS", "5s", 1);
	refuse("workers = 3\n", "environment variable POLL_INTERVAL_MS");
	setenv("POLL_INTERVAL_MS", "1", 1);
	refuse("workers = 3\n", "environment variable POLL_INTERVAL_MS");
	unsetenv("K6FLEET_WORKERS");
	unsetenv("POLL_INTERVAL_MS");
	unsetenv("K6_DURATION");
	unsetenv("DASHBOARD_URL");
}

/* Collects each difference that conf_diff() reports as a line "KEY|FROM|TO|EFFECT". */
static void note(
	void *arg, const char *key, const char *from, const char *to, enum conf_effect effect)
{
	fprintf(arg, "%s|%s|%s|%d\n", key, from, to, effect);
}

static char *diff(const struct conf *from, const struct conf *to)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	conf_diff(from, to, note, f);
	fclose(f);
	return text;
}

static void a_reload_names_what_changed(void **state)
{
	struct err err;
	struct conf *a =
		load("drain_timeout = 7s\nlimits { open_files = 100 }\nk6 { env = {'A=secret'} }\n"
		     "target 'gone' { url = 'http://a/' }\ntarget 'kept' { url = 'http://b/' }\n"
		     "target 'other' { url = 'http://c/' }\n",
			&err);
	struct conf *b =
		load("drain_timeout = 8s\nlimits { open_files = 200 }\nk6 { env = {'A=hidden'} }\n"
		     "target 'kept' { url = 'http://b/' }\ntarget 'other' { url = 'http://d/' }\n"
		     "target 'new' { url = 'http://e/' }\n",
			&err);
	_cleanup_free_ char *changed = diff(a, b), *nothing = diff(a, a);

	(void)state;
	assert_string_equal(nothing, "");
	assert_string_equal(changed,
		"drain_timeout|7s|8s|0\n"
		"k6.env|(hidden)|(hidden)|1\n"
		"limits.open_files|100|200|1\n"
		"target 'other'|as it was|changed|0\n"
		"target 'new'|none|new|0\n"
		"target 'gone'|as it was|gone|0\n");
	assert_true(conf_workers_differ(a, b));
	assert_false(conf_workers_differ(a, a));
	conf_free(a);
	conf_free(b);
}

static void a_reload_names_a_target_whose_hidden_values_change(void **state)
{
	struct err err;
	struct conf *a = load("target 'T' { url = 'http://a/' headers = {'X: 1'} }\n", &err);
	struct conf *b = load("target 'T' { url = 'http://a/' headers = {'X: 2'} }\n", &err);
	_cleanup_free_ char *changed = diff(a, b);

	(void)state;
	assert_string_equal(changed, "target 'T'|as it was|changed|0\n");
	conf_free(a);
	conf_free(b);
}

static void inherit(const char *running, const char *file, const char *kept, const char *changed)
{
	struct err err;
	struct conf *a = load(running, &err), *b = load(file, &err);
	_cleanup_free_ char *names = NULL, *rest = NULL;
	size_t size;
	FILE *f = open_memstream(&names, &size);

	assert_non_null(a);
	assert_non_null(b);
	conf_inherit(b, a, f);
	fclose(f);
	rest = diff(a, b);
	assert_string_equal(names, kept);
	assert_string_equal(rest, changed);
	conf_free(a);
	conf_free(b);
}

static void a_reload_keeps_what_cannot_change(void **state)
{
	(void)state;
	inherit("user = 'one'\nstate_dir = '/a'\nworkers = 1\n",
		"user = 'two'\nstate_dir = '/b'\nworkers = 2\nrequire_layers = {'seccomp'}\n",
		"user, state_dir, require_layers", "workers|1|2|0\n");
	inherit("max_workers = 10\n", "max_workers = 20\n", "", "max_workers|10|20|0\n");
	/* max_workers from or to 1 changes the agent's name. */
	inherit("max_workers = 1\n", "max_workers = 20\nworkers = 7\n", "max_workers", "");
	inherit("dashboard { url = 'http://a/' }\n", "", "dashboard.url", "");
	inherit("", "dashboard { url = 'http://a/' }\n", "", "dashboard.url|''|'http://a/'|0\n");
	inherit("limits { tmp_dir = '/tmp' tmp_size = 1M }\n",
		"limits { tmp_dir = '/x' tmp_size = 2M }\n", "limits.tmp_dir",
		"limits.tmp_size|1M|2M|1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(reads_back_to_itself),
		cmocka_unit_test(every_key_of_a_target_reads_back),
		cmocka_unit_test(scripts_survive_the_hand_over),
		cmocka_unit_test(errors_name_the_place),
		cmocka_unit_test(limits_of_a_target_are_those_of_the_api),
		cmocka_unit_test(environment),
		cmocka_unit_test(a_dashboard_beside_us_is_only_a_default),
		cmocka_unit_test(a_reload_names_what_changed),
		cmocka_unit_test(a_reload_names_a_target_whose_hidden_values_change),
		cmocka_unit_test(a_reload_keeps_what_cannot_change),
	};

	static const char *const loud[] = {"K6_BINARY", "K6_VUS", "K6_DURATION", "K6FLEET_WORKERS",
		"K6FLEET_SANDBOX", "K6FLEET_SOCKET", "K6FLEET_STATE_DIR", "K6FLEET_HOST",
		"AGENT_NAME", "DASHBOARD_URL", "TMP_DIR", "POLL_INTERVAL_MS",
		"HEARTBEAT_INTERVAL_MS"};

	/* Variables of the environment would override the values under test. */
	for (size_t i = 0; i < ARRAY_SIZE(loud); i++)
		unsetenv(loud[i]);
	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
