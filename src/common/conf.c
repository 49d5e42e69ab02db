/* SPDX-License-Identifier: MIT */
/* The table of k6fleetd.conf, checks of single values and of several together, and the
 * differences that a reload makes. conf_target.c knows the keys of a target. */
#include "common/conf.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/allow.h"
#include "common/conf_target.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sock.h"
#include "common/units.h"

#define OFF(field) offsetof(struct conf, field)
#define GIB (INT64_C(1) << 30)

static const char *const sandbox_names[] = {"require", "try", "off", NULL};
static const char *const phase_names[] = {"spread", "aligned", "random", NULL};
static const char *const layer_names[] = {"seccomp", "landlock", "cgroup", NULL};

static int check_name(const char *value, struct err *err)
{
	size_t len = strlen(value);

	if (!len || len > 48)
		return err_set(err, "\"%s\" must have 1 to 48 characters", value);
	for (const char *p = value; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			return err_set(err,
				"\"%s\" may hold letters, digits, '-', '_' and '.' only", value);
	}
	return 0;
}

static int check_host_name(const char *value, struct err *err)
{
	if (!*value) /* load() takes the hostname */
		return 0;
	if (strlen(value) > 255)
		return err_set(err, "host_name is longer than 255 characters");
	for (const char *p = value; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-_.:", *p))
			return err_set(err,
				"\"%s\" may hold letters, digits, '-', '_', '.' and ':' only",
				value);
	}
	return 0;
}

static int check_dashboard_url(const char *value, struct err *err)
{
	if (!*value)
		return 0;
	if (target_check_url(value, err) < 0)
		return err_set(err,
			"\"%s\" is not a URL: write http://HOST:PORT or https://HOST:PORT", value);
	return 0;
}

static int check_layer(const char *value, struct err *err)
{
	for (size_t i = 0; layer_names[i]; i++) {
		if (!strcmp(layer_names[i], value))
			return 0;
	}
	return err_set(err, "\"%s\" is not one of seccomp, landlock, cgroup", value);
}

static int check_env(const char *value, struct err *err)
{
	const char *eq = strchr(value, '=');

	if (!eq || eq == value)
		return err_set(err, "\"%s\" must be written NAME=value", value);
	for (const char *p = value; p < eq; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_')
			return err_set(
				err, "\"%.*s\" is not a variable's name", (int)(eq - value), value);
	}
	return 0;
}

static int check_metrics_listen(const char *value, struct err *err)
{
	return *value ? sock_check_address(value, err) : 0;
}

static int check_memory_budget(const char *value, struct err *err)
{
	int64_t bytes;

	if (!strcmp(value, "auto") || units_parse_size(value, &bytes, err) == 0)
		return 0;
	return err_set(err, "\"%s\" must be auto, 0 or a size such as 8G", value);
}

/* An agent that is alone has no number in its name. */
static bool names_change(const void *running, const void *now)
{
	const struct conf *a = running, *b = now;

	return (a->max_workers == 1) != (b->max_workers == 1);
}

/* Without a dashboard every record counts as acknowledged: this cannot begin or end midway. */
static bool dashboard_goes(const void *running, const void *now)
{
	const struct conf *a = running, *b = now;

	return a->dashboard.url[0] && !b->dashboard.url[0];
}

/* clang-format off */
/* One row per option: section, key, environment variable, type, offset in struct conf, default, min, max, choices, check. */
static const struct opt options[] = {
	{NULL, "workers", "K6FLEET_WORKERS", OPT_INT, OFF(workers), "1", 0, LIMIT_WORKERS},
	{NULL, "max_workers", NULL, OPT_INT, OFF(max_workers), "1000", 1, LIMIT_WORKERS, .fixed = names_change},
	{NULL, "agent_name", "AGENT_NAME", OPT_CHECKED, OFF(agent_name), "k6agent", .check = check_name, .effect = CONF_EFFECT_RESTART},
	{NULL, "host_name", "K6FLEET_HOST", OPT_CHECKED, OFF(host_name), "", .check = check_host_name, .effect = CONF_EFFECT_RESTART},
	{NULL, "user", NULL, OPT_CHECKED, OFF(user), "k6fleet", .check = check_name, .effect = CONF_EFFECT_RESTART},
	{NULL, "agent_user", NULL, OPT_CHECKED, OFF(agent_user), "k6agent", .check = check_name, .effect = CONF_EFFECT_RESTART},
	{NULL, "control_socket", "K6FLEET_SOCKET", OPT_PATH, OFF(control_socket),
		RUNSTATEDIR "/k6fleet/control.sock", .effect = CONF_EFFECT_RESTART},
	{NULL, "control_group", NULL, OPT_STR, OFF(control_group), "", .effect = CONF_EFFECT_RESTART},
	{NULL, "control_read_group", NULL, OPT_STR, OFF(control_read_group), "", .effect = CONF_EFFECT_RESTART},
	{NULL, "state_dir", "K6FLEET_STATE_DIR", OPT_PATH, OFF(state_dir), LOCALSTATEDIR "/lib/k6fleet", .effect = CONF_EFFECT_RESTART},
	{NULL, "sandbox", "K6FLEET_SANDBOX", OPT_CHOICE, OFF(sandbox), "require",
		.choices = sandbox_names, .effect = CONF_EFFECT_RESTART},
	{NULL, "require_layers", NULL, OPT_LIST, OFF(require_layers), NULL, .check = check_layer, .effect = CONF_EFFECT_RESTART},
	{NULL, "history", NULL, OPT_DURATION, OFF(history_ms), "7d", 60000, 3650 * DAY_MS},
	{NULL, "history_size", NULL, OPT_SIZE, OFF(history_bytes), "1G", 1 << 20, 1024 * GIB},
	{NULL, "metrics_listen", NULL, OPT_CHECKED, OFF(metrics_listen), "127.0.0.1:9656",
		.check = check_metrics_listen, .effect = CONF_EFFECT_RESTART},
	{NULL, "log_level", NULL, OPT_CHOICE, OFF(log_level), "info", .choices = log_level_names},
	{NULL, "log_format", NULL, OPT_CHOICE, OFF(log_format), "text", .choices = log_format_names},
	{NULL, "worker_heartbeat", NULL, OPT_DURATION, OFF(worker_heartbeat_ms), "10s", 100, HOUR_MS, .effect = CONF_EFFECT_WORKERS},
	{NULL, "worker_timeout", NULL, OPT_DURATION, OFF(worker_timeout_ms), "30s", 500, DAY_MS},
	{NULL, "drain_timeout", NULL, OPT_DURATION, OFF(drain_timeout_ms), "60s", 0, WEEK_MS},
	{NULL, "run_grace", NULL, OPT_DURATION, OFF(run_grace_ms), "30s", 0, DAY_MS},
	{NULL, "allowed_hosts", NULL, OPT_LIST, OFF(allowed_hosts), NULL, .check = allow_check},
	{"dashboard", "url", "DASHBOARD_URL", OPT_CHECKED, OFF(dashboard.url), NULL,
		.check = check_dashboard_url, .fixed = dashboard_goes},
	{"dashboard", "secret_file", NULL, OPT_PATH, OFF(dashboard.secret_file), ""},
	{"dashboard", "poll_interval", "POLL_INTERVAL_MS", OPT_DURATION, OFF(dashboard.poll_ms), "5s",
		100, DAY_MS},
	{"dashboard", "heartbeat_interval", "HEARTBEAT_INTERVAL_MS", OPT_DURATION,
		OFF(dashboard.heartbeat_ms), "30s", 100, DAY_MS},
	{"dashboard", "ca_file", NULL, OPT_PATH, OFF(dashboard.ca_file), ""},
	{"dashboard", "client_cert", NULL, OPT_PATH, OFF(dashboard.client_cert), ""},
	{"dashboard", "client_key", NULL, OPT_PATH, OFF(dashboard.client_key), ""},
	{"dashboard", "timeout", NULL, OPT_DURATION, OFF(dashboard.timeout_ms), "10s", 100, 600000},
	{"k6", "binary", "K6_BINARY", OPT_PATH, OFF(k6.binary), CONF_K6_BINARY, .effect = CONF_EFFECT_WORKERS},
	{"k6", "vus", "K6_VUS", OPT_INT, OFF(k6.vus), "1", 1, LIMIT_VUS},
	{"k6", "duration", "K6_DURATION", OPT_DURATION, OFF(k6.duration_ms), "30s", 1000, DAY_MS},
	{"k6", "args", NULL, OPT_LIST, OFF(k6.args), NULL, .effect = CONF_EFFECT_WORKERS, .hidden = true},
	{"k6", "env", NULL, OPT_LIST, OFF(k6.env), NULL, .check = check_env, .effect = CONF_EFFECT_WORKERS, .hidden = true},
	{"limits", "tmp_dir", "TMP_DIR", OPT_PATH, OFF(limits.tmp_dir), "/tmp", .effect = CONF_EFFECT_RESTART},
	{"limits", "tmp_size", NULL, OPT_SIZE, OFF(limits.tmp_bytes), "256M", 64 << 10, 1024 * GIB, .effect = CONF_EFFECT_WORKERS},
	{"limits", "home_size", NULL, OPT_SIZE, OFF(limits.home_bytes), "64M", 4 << 10, 1024 * GIB, .effect = CONF_EFFECT_WORKERS},
	{"limits", "memory", NULL, OPT_SIZE, OFF(limits.memory_bytes), "256M", 16 << 20, 1024 * GIB, .effect = CONF_EFFECT_WORKERS},
	{"limits", "open_files", NULL, OPT_INT, OFF(limits.open_files), "16384", 9, 1048576, .effect = CONF_EFFECT_WORKERS},
	{"limits", "processes", NULL, OPT_INT, OFF(limits.processes), "512", 8, 1000000, .effect = CONF_EFFECT_WORKERS},
	{"limits", "file_size", NULL, OPT_SIZE, OFF(limits.file_bytes), "256M", 64 << 10, 1024 * GIB, .effect = CONF_EFFECT_WORKERS},
	{"limits", "cpu_time", NULL, OPT_DURATION, OFF(limits.cpu_time_ms), "0", 0, WEEK_MS, .effect = CONF_EFFECT_WORKERS},
	{"limits", "cpu_percent", NULL, OPT_INT, OFF(limits.cpu_percent), "0", 0, 1000000, .effect = CONF_EFFECT_WORKERS},
	{"limits", "core", NULL, OPT_SIZE, OFF(limits.core_bytes), "0", 0, 1024 * GIB, .effect = CONF_EFFECT_WORKERS},
	{"restart", "min_delay", NULL, OPT_DURATION, OFF(restart.min_delay_ms), "100ms", 1, HOUR_MS},
	{"restart", "max_delay", NULL, OPT_DURATION, OFF(restart.max_delay_ms), "30s", 1, DAY_MS},
	{"restart", "stable_after", NULL, OPT_DURATION, OFF(restart.stable_after_ms), "10s", 1, DAY_MS},
	{"schedule", "phase", NULL, OPT_CHOICE, OFF(schedule.phase), "spread", .choices = phase_names, .effect = CONF_EFFECT_RESTART},
	{"schedule", "max_concurrent_runs", NULL, OPT_INT, OFF(schedule.max_concurrent_runs), "0", 0,
		LIMIT_AGENTS},
	{"schedule", "max_per_target", NULL, OPT_INT, OFF(schedule.max_per_target), "0", 0, LIMIT_AGENTS},
	{"schedule", "memory_budget", NULL, OPT_CHECKED, OFF(schedule.memory_budget), "auto",
		.check = check_memory_budget},
};
/* clang-format on */

static void *begin_target(void *ctx, const char *title)
{
	struct conf *conf = ctx;
	struct target *t = conf_target_new(title);

	/* Values of the block replace these. */
	t->vus = conf->k6.vus;
	t->duration_ms = conf->k6.duration_ms;
	conf->targets = x_realloc(conf->targets, conf->target_count + 1, sizeof(struct target *));
	conf->targets[conf->target_count++] = t;
	return t;
}

static int end_target(void *ctx, void *item, struct err *err)
{
	(void)ctx;
	return conf_target_end(item, err);
}

/* The table of the whole file; loading is done in one thread. */
static const struct opt_table *conf_table(void)
{
	static struct opt_group group = {
		.name = "target", .begin = begin_target, .end = end_target};
	static const struct opt_table table = {options, ARRAY_SIZE(options), &group};

	group.opts = conf_target_options(&group.count);
	return &table;
}

static int cross_check(struct conf *conf, const char *name, struct err *err)
{
	if (conf->workers > conf->max_workers)
		return err_set(err, "%s: workers is %lld, more than max_workers, which is %lld",
			name, (long long)conf->workers, (long long)conf->max_workers);
	if (conf->worker_timeout_ms < 2 * conf->worker_heartbeat_ms)
		return err_set(
			err, "%s: worker_timeout must be at least twice worker_heartbeat", name);
	if (conf->restart.max_delay_ms < conf->restart.min_delay_ms)
		return err_set(err, "%s: restart.max_delay is below restart.min_delay", name);
	if (!conf->control_socket[0] || !conf->state_dir[0] || !conf->limits.tmp_dir[0] ||
		!conf->k6.binary[0])
		return err_set(err,
			"%s: control_socket, state_dir, k6.binary and limits.tmp_dir cannot be empty",
			name);
	return 0;
}

/* Takes `url`, the dashboard of this host, if neither the file nor the environment names one. */
static int default_dashboard(struct conf *conf, const char *url, struct err *err)
{
	if (conf->dashboard.url)
		return 0;
	conf->dashboard.url = x_strdup(url ? url : "");
	return check_dashboard_url(conf->dashboard.url, err) < 0
		? err_prefix(err, "the credential dashboard-url")
		: 0;
}

static struct conf *load(
	FILE *f, const char *name, const char *dashboard, bool with_environment, struct err *err)
{
	struct conf *conf = x_calloc(1, sizeof(*conf));
	char host[256] = "localhost";

	if (optab_load(conf_table(), conf, f, name, with_environment, err) < 0 ||
		default_dashboard(conf, dashboard, err) < 0 || cross_check(conf, name, err) < 0) {
		conf_free(conf);
		return NULL;
	}
	if (!conf->host_name[0]) {
		gethostname(host, sizeof(host) - 1);
		free(conf->host_name);
		conf->host_name = x_strdup(host);
	}
	return conf;
}

struct conf *conf_load(FILE *f, const char *name, const char *dashboard, struct err *err)
{
	return load(f, name, dashboard, true, err);
}

struct conf *conf_load_effective(FILE *f, struct err *err)
{
	return load(f, "configuration", NULL, false, err);
}

int conf_set(struct conf *conf, const char *key, const char *value, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!options[i].section && !strcmp(options[i].key, key))
			return optab_set(&options[i], conf, value, err) < 0
				? -1
				: cross_check(conf, "command line", err);
	}
	return err_set(err, "there is no option %s", key);
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->target_count; i++)
		target_free(conf->targets[i]);
	free(conf->targets);
	optab_free(options, ARRAY_SIZE(options), conf);
	free(conf);
}

void conf_print(const struct conf *conf, bool scripts, FILE *out)
{
	optab_print(options, ARRAY_SIZE(options), conf, "", out);
	for (size_t i = 0; i < conf->target_count; i++)
		conf_target_print(conf->targets[i], scripts, out);
}

/* --- what a reload changes ---------------------------------------------------- */

static char *key_text(const struct opt *opt)
{
	return opt->section ? x_asprintf("%s.%s", opt->section, opt->key) : x_strdup(opt->key);
}

void conf_inherit(struct conf *conf, const struct conf *running, FILE *kept)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct opt *opt = &options[i];
		_cleanup_free_ char *old = optab_text(opt, running), *now = optab_text(opt, conf);
		_cleanup_free_ char *key = key_text(opt);
		bool fixed = opt->effect == CONF_EFFECT_RESTART ||
			(opt->fixed && opt->fixed(running, conf));

		if (!fixed || !strcmp(old, now))
			continue;
		fprintf(kept, "%s%s", ftell(kept) > 0 ? ", " : "", key);
		optab_copy(opt, conf, running);
	}
	fflush(kept);
	if (conf->workers > conf->max_workers)
		conf->workers = conf->max_workers;
}

static const struct target *find_target(const struct conf *conf, const char *id)
{
	for (size_t i = 0; i < conf->target_count; i++) {
		if (!strcmp(conf->targets[i]->id, id))
			return conf->targets[i];
	}
	return NULL;
}

static void diff_targets(
	const struct conf *from, const struct conf *to, conf_change *change, void *arg)
{
	for (size_t i = 0; i < to->target_count; i++) {
		const struct target *now = to->targets[i], *old = find_target(from, now->id);
		_cleanup_free_ char *key = x_asprintf("target '%s'", now->label);

		if (!old || !target_equal(old, now))
			change(arg, key, old ? "as it was" : "none", old ? "changed" : "new",
				CONF_EFFECT_NOW);
	}
	for (size_t i = 0; i < from->target_count; i++) {
		_cleanup_free_ char *key = x_asprintf("target '%s'", from->targets[i]->label);

		if (!find_target(to, from->targets[i]->id))
			change(arg, key, "as it was", "gone", CONF_EFFECT_NOW);
	}
}

void conf_diff(const struct conf *from, const struct conf *to, conf_change *change, void *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct opt *opt = &options[i];
		_cleanup_free_ char *a = optab_text(opt, from), *b = optab_text(opt, to);
		_cleanup_free_ char *key = key_text(opt);

		if (strcmp(a, b) != 0)
			change(arg, key, opt->hidden ? "(hidden)" : a, opt->hidden ? "(hidden)" : b,
				(enum conf_effect)opt->effect);
	}
	diff_targets(from, to, change, arg);
}

static void note_workers(
	void *arg, const char *key, const char *from, const char *to, enum conf_effect effect)
{
	bool *found = arg;

	(void)key;
	(void)from;
	(void)to;
	*found = *found || effect == CONF_EFFECT_WORKERS;
}

bool conf_workers_differ(const struct conf *from, const struct conf *to)
{
	bool found = false;

	conf_diff(from, to, note_workers, &found);
	return found;
}

const char *conf_agent_name(const struct conf *conf, unsigned int slot, char *buf, size_t size)
{
	if (conf->max_workers == 1)
		snprintf(buf, size, "%s", conf->agent_name);
	else
		snprintf(buf, size, "%s-%u", conf->agent_name, slot);
	return buf;
}
