/* SPDX-License-Identifier: MIT */
/* The data of k6fleetd as text: the columns of each table, and the order in which a narrow
 * terminal loses them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/run.h"
#include "common/units.h"
#include "common/uuid.h"
#include "ctl/render.h"
#include "ctl/render_table.h"

/* Columns that a whole id and the rest of its row need. */
#define WIDE_ENOUGH_FOR_IDS 130

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
	else if (s < DAY_S)
		snprintf(
			buf, size, "%lldh%02lldm", (long long)(s / 3600), (long long)(s / 60 % 60));
	else
		snprintf(buf, size, "%lldd%lldh", (long long)(s / DAY_S),
			(long long)(s / 3600 % 24));
	return buf;
}

const char *render_number(const json_t *v, const char *fmt, char *buf, size_t size)
{
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

/* Returns a time of the API unchanged, or on a terminal as local time. */
static const char *when(const struct screen *screen, const char *text, char *buf, size_t size)
{
	time_t now = time(NULL), at;
	struct tm tm = {0}, today;

	if (!screen->width || !text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return text ? text : "-";
	at = timegm(&tm);
	localtime_r(&at, &tm);
	localtime_r(&now, &today);
	strftime(buf, size,
		tm.tm_year == today.tm_year && tm.tm_yday == today.tm_yday ? "%H:%M:%S"
									   : "%m-%d %H:%M",
		&tm);
	return buf;
}

/* Lists the layers as in "namespaces seccomp landlock, without cgroup"; returns buf. */
static const char *list_layers(const json_t *layers, char *buf, size_t size)
{
	const char *name, *before = "";
	const json_t *on;
	size_t len = 0;

	buf[0] = '\0';
	json_object_foreach ((json_t *)(uintptr_t)layers, name, on) {
		if (json_is_true(on) && len < size) {
			len += (size_t)snprintf(buf + len, size - len, "%s%s", before, name);
			before = " ";
		}
	}
	if (!len)
		len = (size_t)snprintf(buf, size, "none");
	before = ", without ";
	json_object_foreach ((json_t *)(uintptr_t)layers, name, on) {
		if (!json_is_true(on) && len < size) {
			len += (size_t)snprintf(buf + len, size - len, "%s%s", before, name);
			before = " ";
		}
	}
	return buf;
}

/* Prints the fleet's layers, and the layers of each agent that differs from the fleet. */
static void status_layers(struct screen *screen, const json_t *st)
{
	const json_t *all = json_object_get(st, "sandboxLayers"), *agent;
	char text[256];
	size_t i;

	if (!json_is_object(all))
		return;
	render_line(screen, "sandbox layers: %s", list_layers(all, text, sizeof(text)));
	json_array_foreach (json_object_get(st, "agents"), i, agent) {
		const json_t *own = json_object_get(agent, "sandboxLayers");

		if (json_is_object(own) && !json_equal(own, all))
			render_line(screen, "sandbox layers of %s: %s",
				json_get_text(agent, "name", "?"),
				list_layers(own, text, sizeof(text)));
	}
}

/* Prints the obstacles to new runs. */
static void status_obstacles(struct screen *screen, const json_t *st)
{
	const json_t *storage = json_object_get(st, "storage"), *load = json_object_get(st, "load");
	const char *no_k6 = json_get_text(json_object_get(st, "k6"), "error", NULL);

	if (no_k6)
		render_line(screen, "k6 MISSING: %s", no_k6);
	if (strcmp(json_get_text(storage, "state", "ok"), "ok") != 0)
		render_line(screen, "%s: no new runs are started (%s)",
			json_get_text(storage, "state", ""), json_get_text(storage, "error", ""));
	if (json_get_text(load, "blockedBy", NULL))
		render_line(screen, "%lld agents wait for a place: schedule.%s",
			(long long)json_get_int(load, "queued", 0),
			json_get_text(load, "blockedBy", ""));
}

static void status_headline(struct screen *screen, const json_t *st)
{
	const json_t *d = json_object_get(st, "dashboard");
	const char *state = json_get_text(d, "state", "none");
	const char *error = json_get_text(d, "error", NULL),
		   *k6 = json_get_text(st, "k6Version", "");
	char up[32];

	render_line(screen, "%s: %s%lld/%lld agents up, %lld running k6, up %s, sandbox %s, k6 %s",
		json_get_text(st, "host", "?"),
		json_is_true(json_object_get(st, "paused")) ? "PAUSED (k6fleetctl resume), " : "",
		(long long)json_get_int(st, "running", 0),
		(long long)json_get_int(st, "desired", 0), (long long)json_get_int(st, "busy", 0),
		render_span(json_get_int(st, "uptimeMs", 0), up, sizeof(up)),
		json_get_text(st, "sandbox", "?"), *k6 ? k6 : "missing");
	status_obstacles(screen, st);
	if (!strcmp(state, "none"))
		render_line(screen, "dashboard: none configured");
	else
		render_line(screen, "dashboard: %s %s, %lld records waiting%s%s",
			json_get_text(d, "url", ""), state, (long long)json_get_int(d, "outbox", 0),
			error ? "; " : "", error ? error : "");
	status_layers(screen, st);
}

static void add_agent(struct table *t, const json_t *a)
{
	const json_t *run = json_object_get(a, "run");
	char pid[24] = "-", up[32], restarts[24], progress[80] = "-", mem[32], e[32], d[32];
	int64_t duration = json_get_int(run, "durationMs", 0);

	if (json_get_int(a, "pid", 0))
		snprintf(pid, sizeof(pid), "%lld", (long long)json_get_int(a, "pid", 0));
	snprintf(restarts, sizeof(restarts), "%lld", (long long)json_get_int(a, "restarts", 0));
	if (json_is_object(run))
		snprintf(progress, sizeof(progress), "%s%s%s",
			render_span(json_get_int(run, "elapsedMs", 0), e, sizeof(e)),
			duration ? "/" : "", duration ? render_span(duration, d, sizeof(d)) : "");
	render_table_row(t,
		(const char *const[]){json_get_text(a, "name", "?"), json_get_text(a, "state", "?"),
			pid, render_span(json_get_int(a, "uptimeMs", 0), up, sizeof(up)), restarts,
			json_get_text(run, "target", "-"), progress,
			render_number(json_object_get(a, "k6RssBytes"), "MiB", mem, sizeof(mem)),
			json_get_text(a, "lastResult", "-")});
}

void render_status(struct screen *screen, const json_t *st)
{
	/* With usual names all columns fit into 80. */
	static const struct table_column columns[] = {{"AGENT", false, 12, 0},
		{"STATE", false, 0, 0}, {"PID", true, 0, 6}, {"UPTIME", true, 0, 4},
		{"RST", true, 0, 5}, {"RUNNING", false, 8, 0}, {"PROGRESS", true, 0, 1},
		{"MEMORY", true, 0, 3}, {"LAST", false, 0, 2}};
	struct table t = {.screen = screen, .columns = columns, .count = ARRAY_SIZE(columns)};
	const json_t *agents = json_object_get(st, "agents"), *a;
	size_t i;

	status_headline(screen, st);
	if (!json_array_size(agents))
		return;
	render_line(screen, "%s", "");
	json_array_foreach (agents, i, a)
		add_agent(&t, a);
	render_table(&t);
}

void render_targets(struct screen *screen, const json_t *targets)
{
	static const struct table_column columns[] = {{"ID", false, 8, 0}, {"LABEL", false, 10, 0},
		{"WHAT", false, 12, 6}, {"VUS", true, 0, 4}, {"DURATION", true, 0, 5},
		{"INTERVAL", true, 0, 1}, {"SOURCE", false, 0, 3}, {"NEXT", false, 0, 0},
		{"MISSED", true, 0, 2}};
	struct table t = {.screen = screen, .columns = columns, .count = ARRAY_SIZE(columns)};
	const json_t *o;
	size_t i;

	if (!json_array_size(targets)) {
		render_line(screen,
			"No targets. Add one in the dashboard, or as target \"NAME\" { ... } in "
			"k6fleetd.conf.");
		return;
	}
	json_array_foreach (targets, i, o) {
		bool script = json_is_string(json_object_get(o, "script"));
		char vus[24], d[32], iv[32], missed[24], next[64];

		snprintf(vus, sizeof(vus), "%lld", (long long)json_get_int(o, "vus", 0));
		snprintf(missed, sizeof(missed), "%lld", (long long)json_get_int(o, "missed", 0));
		render_table_row(&t,
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
					? when(screen, json_get_text(o, "nextDueAt", NULL), next,
						  sizeof(next))
					: "disabled",
				missed});
	}
	render_table(&t);
}

/* Returns the whole id, or on a narrow terminal its end, which every verb accepts. */
static const char *short_id(const struct screen *screen, const char *id)
{
	size_t len = strlen(id);

	return screen->width && screen->width < WIDE_ENOUGH_FOR_IDS && len > UUID_END
		? id + len - UUID_END
		: id;
}

void render_runs(struct screen *screen, const json_t *runs)
{
	static const struct table_column columns[] = {{"RUN", false, 0, 0},
		{"STARTED", false, 0, 2}, {"AGENT", false, 8, 1}, {"TARGET", false, 10, 0},
		{"STATUS", false, 0, 0}, {"REASON", false, 8, 4}, {"P95 MS", true, 0, 3},
		{"ERRORS", true, 0, 5}, {"RPS", true, 0, 6}};
	struct table t = {.screen = screen, .columns = columns, .count = ARRAY_SIZE(columns)};
	const json_t *o;
	size_t i;

	if (!json_array_size(runs)) {
		render_line(screen, "No runs yet.");
		return;
	}
	json_array_foreach (runs, i, o) {
		const json_t *m = json_object_get(o, run_group_names[RUN_METRICS]);
		char p95[32], rate[32], rps[32], started[64];

		render_table_row(&t,
			(const char *const[]){short_id(screen, json_get_text(o, "id", "?")),
				when(screen, json_get_text(o, RUN_NAME(started_ms), NULL), started,
					sizeof(started)),
				json_get_text(o, "agent", "?"),
				json_get_text(o, RUN_NAME(target_label), ""),
				json_get_text(o, "status", "?"), json_get_text(o, "reason", "-"),
				render_number(json_object_get(m, RUN_NAME(p95_ms)), "ms", p95,
					sizeof(p95)),
				render_number(json_object_get(m, RUN_NAME(error_rate)), "%", rate,
					sizeof(rate)),
				render_number(json_object_get(m, RUN_NAME(rps)), "rps", rps,
					sizeof(rps))});
	}
	render_table(&t);
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
		printf("%s: changed in the file, kept until k6fleetd is restarted\n",
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
