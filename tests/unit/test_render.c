/* SPDX-License-Identifier: MIT */
/* What k6fleetctl prints and merges: tables on narrow terminals, hostile texts, help. */
#include "test.h"

#include <locale.h>
#include <math.h>
#include <unistd.h>

#include "common/json.h"
#include "common/quantiles.h"
#include "ctl/help.h"
#include "ctl/merge.h"
#include "ctl/options.h"
#include "ctl/render.h"
#include "ctl/render_table.h"
#include "ctl/verbs.h"

#define OUTPUT_MAX 65536

static int saved_stdout;
static FILE *output;
static char printed[OUTPUT_MAX];

static void capture(void)
{
	fflush(stdout);
	saved_stdout = dup(STDOUT_FILENO);
	output = tmpfile();
	assert_non_null(output);
	assert_true(dup2(fileno(output), STDOUT_FILENO) >= 0);
}

/* Gives standard output back and returns what was printed since capture(). */
static const char *captured(void)
{
	size_t n;

	fflush(stdout);
	dup2(saved_stdout, STDOUT_FILENO);
	close(saved_stdout);
	rewind(output);
	n = fread(printed, 1, sizeof(printed) - 1, output);
	printed[n] = '\0';
	fclose(output);
	return printed;
}

static json_t *json(const char *text)
{
	json_error_t why;
	json_t *value = json_loads(text, JSON_DECODE_ANY, &why);

	if (!value)
		fail_msg("%s: %s", why.text, text);
	return value;
}

static size_t widest_line(const char *text)
{
	size_t most = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");
		_cleanup_free_ char *line = x_strndup(text, len);
		size_t width = render_width(line);

		most = width > most ? width : most;
		text += len + (text[len] == '\n');
	}
	return most;
}

/* --- small things ------------------------------------------------------------------- */

static void spans_have_two_units(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {{0, "0ms"}, {999, "999ms"}, {1000, "1s"}, {59999, "59s"}, {60000, "1m00s"},
		{310000, "5m10s"}, {3600000, "1h00m"}, {86399999, "23h59m"}, {86400000, "1d0h"},
		{273600000, "3d4h"}};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(render_span(rows[i].ms, buf, sizeof(buf)), rows[i].text);
}

static void numbers_have_their_unit(void **state)
{
	_cleanup_json_ json_t *v = json_real(0.0625), *big = json_integer(104857600);
	char buf[32];

	(void)state;
	assert_string_equal(render_number(v, "ms", buf, sizeof(buf)), "0.1");
	assert_string_equal(render_number(v, "%", buf, sizeof(buf)), "6.2%");
	assert_string_equal(render_number(big, "MiB", buf, sizeof(buf)), "100 MiB");
	assert_string_equal(render_number(NULL, "ms", buf, sizeof(buf)), "-");
	assert_string_equal(render_number(json_null(), "ms", buf, sizeof(buf)), "-");
}

static void characters_have_their_width(void **state)
{
	(void)state;
	assert_int_equal(render_width("abc"), 3);
	assert_int_equal(render_width("\xc3\xa9t\xc3\xa9"), 3);
	assert_int_equal(render_fit("\xc3\xa9t\xc3\xa9", 2), 3);
	assert_int_equal(render_fit("abc", 0), 0);
	assert_int_equal(render_fit("abc", 9), 3);
	assert_int_equal(render_width("\xff\xfe"), 2);
	if (strcmp(setlocale(LC_CTYPE, NULL), "C.UTF-8") == 0) {
		assert_int_equal(render_width("\xe6\xbc\xa2"), 2);
		assert_int_equal(render_fit("\xe6\xbc\xa2", 1), 0);
	}
}

static void what_a_terminal_obeys_is_replaced(void **state)
{
	char text[] = "a\x1b[2Jb\rc\x7f\xc2\x9b!\xc3\xa9\t";

	(void)state;
	render_clean(text);
	assert_string_equal(text,
		"a?[2Jb?c??"
		"?!\xc3\xa9?");
}

/* --- lines and tables --------------------------------------------------------------- */

static void lines_fold_between_words(void **state)
{
	struct screen narrow = {.width = 20, .rows = 24}, none = {0};

	(void)state;
	capture();
	render_line(&narrow, "%s", "one two three four five six seven eight");
	assert_string_equal(captured(), "one two three four\n  five six seven\n  eight\n");
	capture();
	render_line(&narrow, "%s", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_string_equal(captured(), "aaaaaaaaaaaaaaaaaaaa\n  aaaaaaaaaa\n");
	capture();
	render_line(&none, "%s", "one two three four five six seven eight");
	assert_string_equal(captured(), "one two three four five six seven eight\n");
}

static const struct table_column columns[] = {
	{"NAME", false, 6, 0}, {"NUMBER", true, 0, 2}, {"REST", false, 4, 1}};

static void print_table(struct screen *screen)
{
	struct table t = {.screen = screen, .columns = columns, .count = ARRAY_SIZE(columns)};

	capture();
	render_table_row(&t, (const char *const[]){"a-long-name", "7", "some rest"});
	render_table_row(&t, (const char *const[]){"b", "12345", "x\x1b[31m\ny"});
	render_table(&t);
	captured();
}

static void a_table_fits_every_width(void **state)
{
	struct screen screen = {0};

	(void)state;
	print_table(&screen);
	assert_string_equal(printed,
		"NAME         NUMBER  REST\n"
		"a-long-name       7  some rest\n"
		"b             12345  x?[31m?y\n");
	for (screen.width = 6; screen.width < 60; screen.width++) {
		screen.rows = 24;
		print_table(&screen);
		assert_true(widest_line(printed) <= screen.width);
		assert_non_null(strstr(printed, "NAME"));
		assert_null(strchr(printed, '\x1b'));
		/* Columns go in their order: the highest number first. */
		assert_true(!strstr(printed, "NUMBER") || strstr(printed, "REST"));
	}
	screen.width = 20;
	print_table(&screen);
	assert_string_equal(printed,
		"NAME    NUMBER  REST\n"
		"a-lon~       7  som~\n"
		"b        12345  x?[~\n");
	screen.width = 19;
	print_table(&screen);
	assert_string_equal(printed,
		"NAME      REST\n"
		"a-long-~  some rest\n"
		"b         x?[31m?y\n");
}

static void colours_are_for_words_that_mean_something(void **state)
{
	static const struct table_column status[] = {{"STATUS", false, 0, 0}};
	struct screen screen = {.width = 80, .rows = 24, .color = true};
	struct table t = {.screen = &screen, .columns = status, .count = 1};

	(void)state;
	capture();
	render_table_row(&t, (const char *const[]){"failed"});
	render_table_row(&t, (const char *const[]){"other"});
	render_table(&t);
	assert_string_equal(captured(), "\x1b[1mSTATUS\x1b[0m\n\x1b[33mfailed\x1b[0m\nother\n");
}

static void a_screen_is_never_scrolled(void **state)
{
	struct screen screen = {.width = 40, .rows = 5};
	struct table t = {.screen = &screen, .columns = columns, .count = ARRAY_SIZE(columns)};
	size_t lines = 0;

	(void)state;
	capture();
	screen.drawing = true;
	for (int i = 0; i < 20; i++)
		render_table_row(&t, (const char *const[]){"n", "1", "r"});
	render_table(&t);
	captured();
	for (const char *p = printed; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 4);
	assert_non_null(strstr(printed, "... and 18 more"));
}

/* --- views ---------------------------------------------------------------------------- */

#define HOSTILE "\\u001b]0;x\\u0007\\r\\n\\u009b2J"

static void no_view_lets_a_control_character_through(void **state)
{
	_cleanup_json_ json_t *status =
		json("{\"host\":\"" HOSTILE
		     "\",\"running\":1,\"desired\":1,\"paused\":true,\"k6\":{\"error\":\"" HOSTILE
		     "\"},\"dashboard\":{\"state\":\"" HOSTILE "\",\"url\":\"" HOSTILE
		     "\",\"error\":\"" HOSTILE "\"},\"storage\":{\"state\":\"" HOSTILE
		     "\",\"error\":\"" HOSTILE "\"},\"sandboxLayers\":{\"" HOSTILE
		     "\":true},\"agents\":[{\"name\":\"" HOSTILE "\",\"state\":\"" HOSTILE
		     "\",\"run\":{\"target\":\"" HOSTILE "\"},\"lastResult\":\"" HOSTILE "\"}]}");
	_cleanup_json_ json_t *targets =
		json("[{\"id\":\"" HOSTILE "\",\"label\":\"" HOSTILE "\",\"url\":\"" HOSTILE
		     "\",\"source\":\"" HOSTILE "\"}]");
	_cleanup_json_ json_t *runs =
		json("[{\"id\":\"" HOSTILE "\",\"agent\":\"" HOSTILE "\",\"targetLabel\":\"" HOSTILE
		     "\",\"status\":\"" HOSTILE "\",\"reason\":\"" HOSTILE
		     "\",\"startedAt\":\"" HOSTILE "\",\"errorMessage\":\"" HOSTILE "\"}]");
	struct screen narrow = {.width = 80, .rows = 24}, none = {0};

	(void)state;
	capture();
	render_status(&narrow, status);
	render_status(&none, status);
	render_targets(&narrow, targets);
	render_targets(&none, targets);
	render_runs(&narrow, runs);
	render_runs(&none, runs);
	render_run(&none, json_array_get(runs, 0));
	render_log("\x1b]0;x\x07\r\xc2\x9b"
		   "2J\n",
		"agent");
	captured();
	for (const char *p = printed; *p; p++) {
		if (*p != '\n' && *p != '\t' && render_is_control(p))
			fail_msg("0x%02x behind: %.60s", (unsigned char)*p,
				p - (p > printed + 60 ? 60 : p - printed));
	}
}

static void empty_lists_say_so(void **state)
{
	_cleanup_json_ json_t *list = json_array(), *object = json_object();
	struct screen none = {0};

	(void)state;
	capture();
	render_runs(&none, list);
	assert_string_equal(captured(), "No runs yet.\n");
	capture();
	render_targets(&none, list);
	assert_non_null(strstr(captured(), "No targets."));
	capture();
	render_reload(object);
	assert_string_equal(captured(), "Nothing has changed.\n");
	capture();
	render_status(&none, object);
	assert_non_null(strstr(captured(), "0/0 agents up"));
}

static void pieces_of_a_log_go_on_within_a_line(void **state)
{
	(void)state;
	capture();
	render_log("one\ntwo", NULL);
	render_log(" and a half\n", NULL);
	render_log("a\nb", "k6agent-1");
	render_log("c\n", "k6agent-2");
	assert_string_equal(
		captured(), "one\ntwo and a half\nk6agent-1: a\nk6agent-1: b\nk6agent-2: c\n");
}

/* --- merge ---------------------------------------------------------------------------- */

static double metric(const json_t *merged, const char *name)
{
	const json_t *v = json_object_get(json_object_get(merged, "metrics"), name);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void counts_add_up_and_means_are_weighted(void **state)
{
	_cleanup_json_ json_t *runs = json(
		"[{\"status\":\"success\",\"metrics\":{\"http_reqs\":100,\"http_reqs_answered\":100,"
		"\"avg_ms\":10,\"error_rate\":0,\"rps\":1.5,\"vus\":2,\"iterations\":7}},"
		"{\"status\":\"failed\",\"metrics\":{\"http_reqs\":300,\"http_reqs_answered\":200,"
		"\"avg_ms\":40,\"error_rate\":0.5,\"rps\":2.5,\"vus\":3,\"iterations\":null}},"
		"{\"status\":\"failed\",\"metrics\":null},{\"status\":7}]");
	_cleanup_json_ json_t *merged = ctl_merge_runs(runs);
	const json_t *statuses = json_object_get(merged, "statuses");

	(void)state;
	assert_int_equal(json_get_int(merged, "runs", 0), 4);
	assert_int_equal(json_get_int(statuses, "success", 0), 1);
	assert_int_equal(json_get_int(statuses, "failed", 0), 2);
	assert_int_equal(json_get_int(statuses, "unknown", 0), 1);
	assert_near(metric(merged, "http_reqs"), 400, 0);
	assert_near(metric(merged, "rps"), 4, 0);
	assert_near(metric(merged, "vus"), 5, 0);
	assert_near(metric(merged, "iterations"), 7, 0);
	assert_near(metric(merged, "avg_ms"), 30, 1e-9);
	assert_near(metric(merged, "error_rate"), 0.375, 1e-9);
	assert_true(isnan(metric(merged, "checks_passed")));
	assert_true(isnan(metric(merged, "p95_ms")));
	assert_true(json_is_null(json_object_get(merged, "latencyQuantiles")));
}

static json_t *run_with_quantiles(double from, double step, int count)
{
	json_t *list = json_array();

	for (int i = 0; i < QUANTILES; i++)
		json_array_append_new(list, json_real(from + step * i));
	return json_pack("{s:s, s:o, s:{s:i}}", "status", "success", "latencyQuantiles", list,
		"metrics", "http_reqs_answered", count);
}

static void percentiles_come_from_all_samples(void **state)
{
	_cleanup_json_ json_t *same = json_array(), *apart = json_array(), *none = json_array();
	_cleanup_json_ json_t *a = NULL, *b = NULL, *c = NULL;

	(void)state;
	json_array_append_new(same, run_with_quantiles(0, 1, 1000));
	json_array_append_new(same, run_with_quantiles(0, 1, 1000));
	a = ctl_merge_runs(same);
	assert_near(metric(a, "p50_ms"), 50, 1);
	assert_near(metric(a, "p95_ms"), 95, 1);
	/* 3000 fast requests and 1000 slow ones: the median is fast, the 99th slow. */
	json_array_append_new(apart, run_with_quantiles(10, 0.01, 3000));
	json_array_append_new(apart, run_with_quantiles(500, 0.01, 1000));
	b = ctl_merge_runs(apart);
	assert_near(metric(b, "p50_ms"), 10.67, 0.2);
	assert_near(metric(b, "p99_ms"), 501, 1);
	assert_int_equal(json_array_size(json_object_get(b, "latencyQuantiles")), QUANTILES);
	json_array_append_new(none,
		json_pack("{s:s, s:[f,f]}", "status", "success", "latencyQuantiles", 1.0, 2.0));
	c = ctl_merge_runs(none);
	assert_true(isnan(metric(c, "p50_ms")));
}

/* --- help and options -------------------------------------------------------------------- */

static void a_mistyped_verb_is_guessed(void **state)
{
	static const struct {
		const char *typed, *meant;
	} rows[] = {{"stauts", "status"}, {"scael", "scale"}, {"tar", "targets"},
		{"restrat", "restart"}, {"s", NULL}, {"frobnicate", NULL}, {"", NULL},
		{"aaaaaaaaaaaaaaaaaaaaaaaa", NULL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *meant = ctl_help_guess(ctl_verbs, ctl_verbs_count, rows[i].typed);

		if (rows[i].meant)
			assert_string_equal(meant ? meant : "nothing", rows[i].meant);
		else
			assert_null(meant);
	}
}

static void each_verb_has_help_that_fits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ctl_verbs_count; i++) {
		_cleanup_free_ char *synopsis = ctl_options_synopsis(&ctl_verbs[i]);

		capture();
		ctl_help_verb(&ctl_verbs[i]);
		captured();
		assert_non_null(strstr(printed, synopsis));
		assert_non_null(ctl_verbs[i].fn);
		assert_ptr_equal(ctl_verbs_find(ctl_verbs[i].name), &ctl_verbs[i]);
		assert_int_equal(memcmp(synopsis, ctl_verbs[i].name, strlen(ctl_verbs[i].name)), 0);
	}
	capture();
	ctl_help_verbs(stdout, ctl_verbs, ctl_verbs_count);
	captured();
	assert_true(widest_line(printed) <= 80);
	assert_null(ctl_verbs_find("nothing"));
}

static int read_words(const char *verb, int argc, const char *const words[])
{
	char *argv[8] = {0};

	for (int i = 0; i < argc; i++)
		argv[i] = (char *)(uintptr_t)words[i];
	return (int)ctl_options_read(ctl_verbs_find(verb), argc, argv);
}

static void options_are_read_by_the_table(void **state)
{
	char buf[64];

	(void)state;
	assert_int_equal(read_words("run", 5,
				 (const char *const[]){"run", "--agents", "5", "Home", "--sync"}),
		CTL_OK);
	assert_true(given(OPTION_SYNC) && given(OPTION_AGENTS) && !given(OPTION_FOLLOW));
	assert_string_equal(ctl_arguments.values[OPTION_AGENTS], "5");
	assert_int_equal(ctl_arguments.count, 1);
	assert_string_equal(ctl_arguments.words[0], "Home");
	assert_int_equal(read_words("status", 2, (const char *const[]){"status", "-w"}), CTL_OK);
	assert_true(given(OPTION_WATCH) && !given(OPTION_SYNC));
	assert_int_equal(
		read_words("status", 2, (const char *const[]){"status", "--sync"}), CTL_USAGE);
	assert_int_equal(
		read_words("status", 2, (const char *const[]){"status", "word"}), CTL_USAGE);
	assert_int_equal(read_words("scale", 1, (const char *const[]){"scale"}), CTL_USAGE);
	assert_int_equal(read_words("runs", 2, (const char *const[]){"runs", "-n"}), CTL_USAGE);
	assert_int_equal(read_words("scale", 2, (const char *const[]){"scale", "--help"}), CTL_OK);
	assert_string_equal(ctl_options_spell(OPTION_FOLLOW, buf, sizeof(buf)), "-f, --follow");
	assert_string_equal(ctl_options_spell(OPTION_SCRIPT, buf, sizeof(buf)), "--script FILE");
	assert_string_equal(ctl_options_spell(OPTION_COUNT, buf, sizeof(buf)), "-n N");
}

static int set_locale(void **state)
{
	(void)state;
	setlocale(LC_CTYPE, "C.UTF-8");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_have_two_units),
		cmocka_unit_test(numbers_have_their_unit),
		cmocka_unit_test(characters_have_their_width),
		cmocka_unit_test(what_a_terminal_obeys_is_replaced),
		cmocka_unit_test(lines_fold_between_words),
		cmocka_unit_test(a_table_fits_every_width),
		cmocka_unit_test(colours_are_for_words_that_mean_something),
		cmocka_unit_test(a_screen_is_never_scrolled),
		cmocka_unit_test(no_view_lets_a_control_character_through),
		cmocka_unit_test(empty_lists_say_so),
		cmocka_unit_test(pieces_of_a_log_go_on_within_a_line),
		cmocka_unit_test(counts_add_up_and_means_are_weighted),
		cmocka_unit_test(percentiles_come_from_all_samples),
		cmocka_unit_test(a_mistyped_verb_is_guessed),
		cmocka_unit_test(each_verb_has_help_that_fits),
		cmocka_unit_test(options_are_read_by_the_table),
	};

	return cmocka_run_group_tests(tests, set_locale, NULL);
}
