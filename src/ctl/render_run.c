/* SPDX-License-Identifier: MIT */
/* One run, several runs as they go on and as they have ended, and k6's output, for people. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/json.h"
#include "common/mem.h"
#include "ctl/render.h"
#include "ctl/render_table.h"

#define BAR_CELLS 24
/* More bars than a screen has lines would only scroll by. */
#define BARS_MAX 20

static void print_field(const json_t *run, const char *name)
{
	const json_t *v = json_object_get(run, name);
	_cleanup_free_ char *other = json_is_string(v) ? NULL : json_compact(v);
	char text[2048];

	snprintf(text, sizeof(text), "%s",
		other ? json_is_null(v) ? "-" : other : json_string_value(v));
	render_clean(text);
	printf("%-22s %s\n", name, text);
}

static void print_metrics(const json_t *metrics)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)metrics, key, v) {
		if (json_is_number(v))
			printf("%-22s %.6g\n", key, json_number_value(v));
		else
			printf("%-22s -\n", key);
	}
}

static void print_thresholds(const json_t *run)
{
	const json_t *t;
	size_t i;

	json_array_foreach (json_object_get(run, "thresholds"), i, t) {
		char text[1024];

		snprintf(text, sizeof(text), "%s %s", json_get_text(t, "metric", ""),
			json_get_text(t, "expression", ""));
		render_clean(text);
		printf("%-22s %s: %s\n", i ? "" : "thresholds", text,
			json_is_true(json_object_get(t, "ok")) ? "ok" : "crossed");
	}
}

void render_run(struct screen *screen, const json_t *run)
{
	static const char *const fields[] = {"id", "agent", "host", "targetLabel", "status",
		"reason", "errorMessage", "scheduledAt", "startedAt", "finishedAt", "lagMs",
		"plannedMs", "exitCode"};
	const json_t *resources = json_object_get(run, "resources");
	const char *log = json_get_text(run, "log", "");

	(void)screen;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		print_field(run, fields[i]);
	print_metrics(json_object_get(run, "metrics"));
	print_thresholds(run);
	if (json_is_object(resources))
		printf("%-22s %lld ms CPU, %.0f MiB, %lld bytes of tmpfs\n", "resources",
			(long long)json_get_int(resources, "cpuMs", 0),
			(double)json_get_int(resources, "maxRssBytes", 0) / 1048576,
			(long long)json_get_int(resources, "tmpBytes", 0));
	if (*log) {
		puts("\nlog:");
		render_log(log, NULL);
	}
}

void render_log(const char *text, const char *agent)
{
	/* A piece may end within a line; the next one goes on with it. */
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
		p += (unsigned char)*p == 0xc2; /* which has a second byte */
	}
	if (within && agent) {
		putchar('\n');
		within = false;
	}
}

/* --- progress --------------------------------------------------------------------- */

static size_t bars_drawn;

/* A line of the terminal that standard error is; never more, or it could not be erased. */
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
	const json_t *metrics = json_object_get(merged, "metrics"), *run;
	const char *status;
	json_t *n;
	size_t i;

	render_runs(screen, runs);
	json_array_foreach (runs, i, run) {
		const char *message = json_get_text(run, "errorMessage", NULL);
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
