/* SPDX-License-Identifier: MIT */
/* Tables for people.  Everything printed may come from a target's label or k6's output, so
 * control characters are shown as '?': a terminal obeys them. */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "ctl/ctl.h"

#define CELL_MAX 256
#define COLUMNS_MAX 12

void render_clean(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	}
}

/* Columns that a terminal needs for a UTF-8 string: its code points, which is right for all but
 * combining and wide characters. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

struct table {
	const struct ctl *ctl;
	size_t columns, rows;
	char (*cells)[CELL_MAX];
};

static void table_row(struct table *t, const char *const cells[])
{
	t->cells = x_realloc(t->cells, (t->rows + 1) * t->columns, sizeof(*t->cells));
	for (size_t i = 0; i < t->columns; i++) {
		char *cell = t->cells[t->rows * t->columns + i];

		snprintf(cell, CELL_MAX, "%s", cells[i]);
		render_clean(cell);
	}
	t->rows++;
}

static const char *colour_of(const char *cell)
{
	static const char *const table[][2] = {{"success", "32"}, {"running", "36"},
		{"failed", "33"}, {"error", "31"}, {"backoff", "31"}, {"draining", "33"}};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!strcmp(cell, table[i][0]))
			return table[i][1];
	}
	return NULL;
}

#define HEADLINE_ROWS 5

static size_t rows_left(const struct ctl *ctl)
{
	return ctl->screen_rows > HEADLINE_ROWS + 2 ? (size_t)ctl->screen_rows - HEADLINE_ROWS : 2;
}

static void table_print(struct table *t)
{
	size_t widths[COLUMNS_MAX] = {0};

	for (size_t i = 0; i < t->rows * t->columns; i++) {
		size_t w = width(t->cells[i]);

		if (w > widths[i % t->columns])
			widths[i % t->columns] = w;
	}
	for (size_t r = 0; r < t->rows; r++) {
		/* As much as a screen holds below the headline. */
		if (t->ctl->screen_rows && r + 2 > rows_left(t->ctl) && r + 1 < t->rows) {
			printf("... and %zu more", t->rows - r);
			break;
		}
		for (size_t c = 0; c < t->columns; c++) {
			const char *cell = t->cells[r * t->columns + c];
			const char *colour = t->ctl->color ? r == 0 ? "1" : colour_of(cell) : NULL;
			int pad = c + 1 < t->columns ? (int)(widths[c] - width(cell) + 2) : 0;

			if (colour)
				printf("\033[%sm%s\033[0m%*s", colour, cell, pad, "");
			else
				printf("%s%*s", cell, pad, "");
		}
		putchar('\n');
	}
	free(t->cells);
}

/* "3d4h", "5m10s", "820ms": two units are enough to read. */
const char *render_span(int64_t ms, char *buf, size_t size)
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(buf, size, "%lldms", (long long)ms);
	else if (s < 60)
		snprintf(buf, size, "%llds", (long long)s);
	else if (s < 3600)
		snprintf(buf, size, "%lldm%02llds", (long long)(s / 60), (long long)(s % 60));
	else if (s < 86400)
		snprintf(
			buf, size, "%lldh%02lldm", (long long)(s / 3600), (long long)(s / 60 % 60));
	else
		snprintf(buf, size, "%lldd%lldh", (long long)(s / 86400),
			(long long)(s / 3600 % 24));
	return buf;
}

const char *render_number(const json_t *v, const char *fmt, char *buf, size_t size)
{
	/* The formats are this file's own literals with one double. */
	if (!json_is_number(v))
		return "-";
	if (!strcmp(fmt, "ms"))
		snprintf(buf, size, "%.1f", json_number_value(v));
	else if (!strcmp(fmt, "%"))
		snprintf(buf, size, "%.1f%%", json_number_value(v) * 100);
	else if (!strcmp(fmt, "MiB"))
		snprintf(buf, size, "%.0f MiB", json_number_value(v) / 1048576);
	else
		snprintf(buf, size, "%.1f", json_number_value(v));
	return buf;
}

/* "namespaces seccomp landlock, without cgroup" */
static void print_layers(const json_t *layers)
{
	const char *name;
	const json_t *on;
	const char *before = "", *without = ", without ";

	json_object_foreach ((json_t *)(uintptr_t)layers, name, on) {
		if (json_is_true(on)) {
			printf("%s%s", before, name);
			before = " ";
		}
	}
	if (!*before)
		printf("none");
	json_object_foreach ((json_t *)(uintptr_t)layers, name, on) {
		if (!json_is_true(on)) {
			printf("%s%s", without, name);
			without = " ";
		}
	}
	putchar('\n');
}

/* What is in force for all, and each agent for which it is something else. */
static void status_layers(const json_t *st)
{
	const json_t *all = json_object_get(st, "sandboxLayers"), *agent;
	size_t i;

	if (!json_is_object(all))
		return;
	printf("sandbox layers: ");
	print_layers(all);
	json_array_foreach (json_object_get(st, "agents"), i, agent) {
		const json_t *own = json_object_get(agent, "sandboxLayers");

		if (json_is_object(own) && !json_equal(own, all)) {
			printf("sandbox layers of %s: ", json_get_text(agent, "name", "?"));
			print_layers(own);
		}
	}
}

static void status_headline(const json_t *st)
{
	const json_t *storage = json_object_get(st, "storage");
	const json_t *d = json_object_get(st, "dashboard"), *load = json_object_get(st, "load");
	const char *state = json_get_text(d, "state", "none"),
		   *error = json_get_text(d, "error", NULL);
	char up[32];

	printf("%s: %s%lld/%lld agents up, %lld running k6, up %s, sandbox %s, k6 %s\n",
		json_get_text(st, "host", "?"),
		json_is_true(json_object_get(st, "paused")) ? "PAUSED (k6fleetctl resume), " : "",
		(long long)json_get_int(st, "running", 0),
		(long long)json_get_int(st, "desired", 0), (long long)json_get_int(st, "busy", 0),
		render_span(json_get_int(st, "uptimeMs", 0), up, sizeof(up)),
		json_get_text(st, "sandbox", "?"), json_get_text(st, "k6Version", "?"));
	if (strcmp(json_get_text(storage, "state", "ok"), "ok") != 0)
		printf("%s: no new runs are started (%s); free some space in state_dir\n",
			json_get_text(storage, "state", ""), json_get_text(storage, "error", ""));
	if (json_get_text(load, "blockedBy", NULL))
		printf("%lld agents wait for a place: schedule.%s\n",
			(long long)json_get_int(load, "queued", 0),
			json_get_text(load, "blockedBy", ""));
	if (!strcmp(state, "none"))
		printf("dashboard: none configured\n");
	else
		printf("dashboard: %s %s, %lld records waiting%s%s\n", json_get_text(d, "url", ""),
			state, (long long)json_get_int(d, "outbox", 0), error ? "; " : "",
			error ? error : "");
	status_layers(st);
}

void render_status(const struct ctl *ctl, const json_t *st)
{
	static const char *const head[] = {
		"AGENT", "STATE", "PID", "UPTIME", "RESTARTS", "RUNNING", "MEMORY", "LAST"};
	struct table t = {.ctl = ctl, .columns = ARRAY_SIZE(head)};
	const json_t *agents = json_object_get(st, "agents"), *a;
	size_t i;

	status_headline(st);
	if (!json_array_size(agents))
		return;
	putchar('\n');
	table_row(&t, head);
	json_array_foreach (agents, i, a) {
		const json_t *run = json_object_get(a, "run");
		char pid[24] = "-", up[32], restarts[24], what[CELL_MAX] = "-", mem[32], e[32],
		     d[32];
		int64_t duration = json_get_int(run, "durationMs", 0);

		if (json_get_int(a, "pid", 0))
			snprintf(pid, sizeof(pid), "%lld", (long long)json_get_int(a, "pid", 0));
		snprintf(restarts, sizeof(restarts), "%lld",
			(long long)json_get_int(a, "restarts", 0));
		if (json_is_object(run))
			snprintf(what, sizeof(what), "%.60s %s%s%s",
				json_get_text(run, "target", "?"),
				render_span(json_get_int(run, "elapsedMs", 0), e, sizeof(e)),
				duration ? "/" : "",
				duration ? render_span(duration, d, sizeof(d)) : "");
		table_row(&t,
			(const char *const[]){json_get_text(a, "name", "?"),
				json_get_text(a, "state", "?"), pid,
				render_span(json_get_int(a, "uptimeMs", 0), up, sizeof(up)),
				restarts, what,
				render_number(
					json_object_get(a, "k6RssBytes"), "MiB", mem, sizeof(mem)),
				json_get_text(a, "lastResult", "-")});
	}
	table_print(&t);
}

void render_targets(const struct ctl *ctl, const json_t *targets)
{
	static const char *const head[] = {
		"ID", "LABEL", "WHAT", "VUS", "DURATION", "INTERVAL", "SOURCE", "NEXT", "MISSED"};
	struct table t = {.ctl = ctl, .columns = ARRAY_SIZE(head)};
	const json_t *o;
	size_t i;

	if (!json_array_size(targets)) {
		puts("No targets. Add one in the dashboard, or as target \"NAME\" { ... } in k6fleetd.conf.");
		return;
	}
	table_row(&t, head);
	json_array_foreach (targets, i, o) {
		bool script = json_is_string(json_object_get(o, "script"));
		char vus[24], d[32], iv[32], missed[24];

		snprintf(vus, sizeof(vus), "%lld", (long long)json_get_int(o, "vus", 0));
		snprintf(missed, sizeof(missed), "%lld", (long long)json_get_int(o, "missed", 0));
		table_row(&t,
			(const char *const[]){json_get_text(o, "id", "?"),
				json_get_text(o, "label", ""),
				script ? "script" : json_get_text(o, "url", "?"),
				script ? "-" : vus,
				script ? "-"
				       : render_span(json_get_int(o, "durationS", 0) * 1000, d,
						 sizeof(d)),
				render_span(json_get_int(o, "runIntervalMs", 0), iv, sizeof(iv)),
				json_get_text(o, "source", "?"),
				json_is_true(json_object_get(o, "enabled"))
					? json_get_text(o, "nextDueAt", "-")
					: "disabled",
				missed});
	}
	table_print(&t);
}

void render_runs(const struct ctl *ctl, const json_t *runs)
{
	static const char *const head[] = {
		"RUN", "STARTED", "AGENT", "TARGET", "STATUS", "REASON", "P95 MS", "ERRORS", "RPS"};
	struct table t = {.ctl = ctl, .columns = ARRAY_SIZE(head)};
	const json_t *o;
	size_t i;

	if (!json_array_size(runs)) {
		puts("No runs yet.");
		return;
	}
	table_row(&t, head);
	json_array_foreach (runs, i, o) {
		const json_t *m = json_object_get(o, "metrics");
		char p95[32], rate[32], rps[32];

		table_row(&t,
			(const char *const[]){json_get_text(o, "id", "?"),
				json_get_text(o, "startedAt", "-"), json_get_text(o, "agent", "?"),
				json_get_text(o, "targetLabel", ""),
				json_get_text(o, "status", "?"), json_get_text(o, "reason", "-"),
				render_number(json_object_get(m, "p95_ms"), "ms", p95, sizeof(p95)),
				render_number(
					json_object_get(m, "error_rate"), "%", rate, sizeof(rate)),
				render_number(json_object_get(m, "rps"), "rps", rps, sizeof(rps))});
	}
	table_print(&t);
}

void render_reload(const json_t *reload)
{
	const json_t *changed = json_object_get(reload, "changed");
	const json_t *later = json_object_get(reload, "needRestart");
	json_t *item;
	size_t i;

	if (!json_array_size(changed))
		puts("Nothing has changed.");
	json_array_foreach (changed, i, item)
		printf("%s: %s -> %s%s\n", json_get_text(item, "key", "?"),
			json_get_text(item, "from", ""), json_get_text(item, "to", ""),
			strcmp(json_get_text(item, "effect", "now"), "now") != 0
				? " (with new workers, as they fall idle)"
				: "");
	json_array_foreach (later, i, item)
		printf("%s: changed in the file, kept until k6fleetd is started anew\n",
			json_string_value(item));
}

void render_progress(const json_t *p)
{
	long long desired = json_get_int(p, "desired", 0), running = json_get_int(p, "running", 0);
	int cells = desired ? (int)(30 * running / desired) : 30;

	if (cells > 30)
		cells = 30;
	fprintf(stderr, "\r[%.*s%*s] %lld/%lld", cells, "##############################",
		30 - cells, "", running, desired);
}

void render_progress_end(void)
{
	fputs("\r\033[K", stderr);
}
