/* SPDX-License-Identifier: MIT */
/* One run, the progress of several runs, their merged result, and k6's output, as text. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run.h"
#include "ctl/render.h"
#include "ctl/render_table.h"

#define BAR_CELLS 24
/* More bars than a terminal has lines could not be erased. */
#define BARS_MAX 20

static void print_value(const char *name, const json_t *v)
{
	_cleanup_free_ char *other = json_is_string(v) ? NULL : json_compact(v);
	char text[2048];

	snprintf(text, sizeof(text), "%s",
		other ? json_is_null(v) ? "-" : other : json_string_value(v));
	render_clean(text);
	printf("%-22s %s\n", name, text);
}

static void print_real(const char *name, const json_t *v)
{
	if (json_is_number(v))
		printf("%-22s %.6g\n", name, json_number_value(v));
	else
		printf("%-22s -\n", name);
}

static void print_metrics(const json_t *metrics)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)metrics, key, v)
		print_real(key, v);
}

static void print_thresholds(const char *name, const json_t *list)
{
	const json_t *t;
	size_t i;

	json_array_foreach (list, i, t) {
		char text[1024];

		snprintf(text, sizeof(text), "%s %s", json_get_text(t, "metric", ""),
			json_get_text(t, "expression", ""));
		render_clean(text);
		printf("%-22s %s: %s\n", i ? "" : name, text,
			json_is_true(json_object_get(t, "ok")) ? "ok" : "crossed");
	}
}

/* A number with its unit; several of a group share the line of the group's name. */
static void print_with_unit(
	const struct run_field *f, const struct run_field *before, const json_t *v)
{
	static const char *const units[] = {
		[RUN_MS] = "ms", [RUN_BYTES] = "bytes", [RUN_MIB] = "MiB"};
	const char *word = f->show_word ? f->show_word : "";

	if (before && before->group == f->group)
		printf(", ");
	else
		printf("%-22s ", run_group_names[f->group]);
	if (f->show_unit == RUN_MIB)
		printf("%.0f", (double)json_integer_value(v) / 1048576);
	else
		printf("%lld", (long long)json_integer_value(v));
	printf(" %s%s%s", units[f->show_unit], *word ? " " : "", word);
}

static void print_log(const char *text)
{
	if (!text || !*text)
		return;
	puts("\nlog:");
	render_log(text, NULL);
}

/* before, next: the fields in front of this one and behind it, NULL: there is none. */
static void print_field(const json_t *run, const struct run_field *f,
	const struct run_field *before, const struct run_field *next)
{
	const json_t *in = f->group ? json_object_get(run, run_group_names[f->group]) : run;
	const json_t *v = json_object_get(in, f->name);

	/* Of a group that is null there is nothing to say. */
	if (!json_is_object(in))
		return;
	if (f->show_unit) {
		print_with_unit(f, before, v);
		if (!next || next->group != f->group)
			puts("");
		return;
	}
	switch (f->kind) {
	case RUN_KIND_REAL: print_real(f->name, v); break;
	case RUN_KIND_THRESHOLDS: print_thresholds(f->name, v); break;
	case RUN_KIND_LOG: print_log(json_string_value(v)); break;
	default: print_value(f->name, v); break;
	}
}

void render_run(struct screen *screen, const json_t *run)
{
	const struct run_field *fields[RUN_FIELD_MAX];
	size_t n = run_order(offsetof(struct run_field, show), fields);

	(void)screen;
	for (size_t i = 0; i < n; i++)
		print_field(
			run, fields[i], i ? fields[i - 1] : NULL, i + 1 < n ? fields[i + 1] : NULL);
}

void render_log(const char *text, const char *agent)
{
	/* A piece may end within a line, which the next piece continues. */
	static bool within;

	for (const char *p = text; *p; p++) {
		if (!within && agent)
			printf("%s: ", agent);
		within = *p != '\n';
		if (*p == '\n' || *p == '\t' || !render_is_control(p)) {
			putchar(*p);
			continue;
		}
		putchar('?');
		p += (unsigned char)*p == 0xc2; /* a C1 control has two bytes */
	}
	if (within && agent) {
		putchar('\n');
		within = false;
	}
}

/* --- progress --------------------------------------------------------------------- */

static size_t bars_drawn;

/* Prints one line on the terminal that standard error is.  A folded line would take two rows and
 * could not be erased, so the line is cut. */
static void print_on_terminal(char *line)
{
	struct winsize size = {0};
	size_t columns =
		ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;

	render_clean(line);
	fprintf(stderr, "\r\033[K%.*s\n", (int)render_fit(line, columns - 1), line);
}

static void print_bar(const json_t *run)
{
	int64_t elapsed = json_get_int(run, "elapsedMs", 0);
	int64_t duration = json_get_int(run, "durationMs", 0);
	int cells = duration > 0 ? (int)(BAR_CELLS * elapsed / duration) : 0;
	char e[32], d[32], line[512];

	cells = cells < 0 ? 0 : cells > BAR_CELLS ? BAR_CELLS : cells;
	snprintf(line, sizeof(line), "%-16s [%.*s%*s] %s/%s %lld VUs %lld iterations",
		json_get_text(run, "agent", "?"), cells, "########################",
		BAR_CELLS - cells, "", render_span(elapsed, e, sizeof(e)),
		duration ? render_span(duration, d, sizeof(d)) : "?",
		(long long)json_get_int(run, "vus", 0),
		(long long)json_get_int(run, "iterations", 0));
	print_on_terminal(line);
}

static void print_line(const json_t *run)
{
	char e[32];

	printf("%s: %s, %lld VUs, %lld iterations\n", json_get_text(run, "agent", "?"),
		render_span(json_get_int(run, "elapsedMs", 0), e, sizeof(e)),
		(long long)json_get_int(run, "vus", 0),
		(long long)json_get_int(run, "iterations", 0));
}

static void erase_bars(void)
{
	if (bars_drawn)
		fprintf(stderr, "\033[%zuA\r\033[J", bars_drawn);
	bars_drawn = 0;
}

void render_runs_progress(const json_t *runs, bool on_terminal)
{
	const json_t *run;
	size_t i;

	if (on_terminal)
		erase_bars();
	json_array_foreach (runs, i, run) {
		if (!on_terminal)
			print_line(run);
		else if (i < BARS_MAX)
			print_bar(run);
	}
	if (!on_terminal) {
		fflush(stdout);
		return;
	}
	bars_drawn = json_array_size(runs) < BARS_MAX ? json_array_size(runs) : BARS_MAX;
	if (json_array_size(runs) > BARS_MAX) {
		char line[64];

		snprintf(line, sizeof(line), "... and %zu more", json_array_size(runs) - BARS_MAX);
		print_on_terminal(line);
		bars_drawn++;
	}
}

void render_runs_progress_end(bool on_terminal)
{
	if (on_terminal)
		erase_bars();
}

void render_merged(struct screen *screen, const json_t *runs, const json_t *merged)
{
	const json_t *metrics = json_object_get(merged, run_group_names[RUN_METRICS]), *run;
	const char *status;
	json_t *n;
	size_t i;

	render_runs(screen, runs);
	json_array_foreach (runs, i, run) {
		const char *message = json_get_text(run, RUN_NAME(message), NULL);
		char text[1024];

		if (!message)
			continue;
		snprintf(text, sizeof(text), "%s: %s", json_get_text(run, "agent", "?"), message);
		render_clean(text);
		puts(text);
	}
	printf("\nAll %lld together:", (long long)json_get_int(merged, "runs", 0));
	json_object_foreach (json_object_get(merged, "statuses"), status, n)
		printf(" %lld %s", (long long)json_integer_value(n), status);
	puts("");
	print_metrics(metrics);
}
