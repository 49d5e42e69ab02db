/* SPDX-License-Identifier: MIT */
/* The option table of k6fleetd.conf and the checks that need more than one option. */
#include "common/conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/allow.h"
#include "common/hostfs.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sock.h"
#include "common/units.h"

#define OFF(field) offsetof(struct conf, field)
#define GIB (INT64_C(1) << 30)

static const char *const sandbox_names[] = {"require", "try", "off", NULL};
static const char *const phase_names[] = {"spread", "aligned", "random", NULL};
static const char *const checks_names[] = {"count", "ignore", NULL};
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
	if (!*value) /* the hostname is filled in later */
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

static int check_target_url(const char *value, struct err *err)
{
	struct err why;

	if (target_check_url(value, &why) < 0)
		return err_set(err, "\"%.300s\": %.400s", value, why.msg);
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

static int check_pair_colon(const char *value, struct err *err)
{
	const char *p = strchr(value, ':');

	return p && p != value ? 0 : err_set(err, "\"%s\" must be written \"Name: value\"", value);
}

static int check_pair_equals(const char *value, struct err *err)
{
	const char *p = strchr(value, '=');

	return p && p != value ? 0 : err_set(err, "\"%s\" must be written \"key=value\"", value);
}

static int check_status(const char *value, struct err *err)
{
	int64_t n;

	if (units_parse_int(value, &n, err) < 0 || n < 100 || n > 599)
		return err_set(err, "\"%s\" is not an HTTP status (allowed: 100..599)", value);
	return 0;
}

/* clang-format off */
/* One row an option: section, key, environment, type, place, default, min, max, choices, check. */
static const struct opt options[] = {
	{NULL, "workers", "K6FLEET_WORKERS", OPT_INT, OFF(workers), "1", 0, LIMIT_WORKERS},
	{NULL, "max_workers", NULL, OPT_INT, OFF(max_workers), "1000", 1, LIMIT_WORKERS},
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
		.check = check_dashboard_url},
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
	{"k6", "args", NULL, OPT_LIST, OFF(k6.args), NULL, .effect = CONF_EFFECT_WORKERS},
	{"k6", "env", NULL, OPT_LIST, OFF(k6.env), NULL, .check = check_env, .effect = CONF_EFFECT_WORKERS},
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

#define TOFF(field) offsetof(struct conf_target, field)

static const struct opt target_options[] = {
	{NULL, "url", NULL, OPT_CHECKED, TOFF(url), NULL, .check = check_target_url},
	{NULL, "script_file", NULL, OPT_PATH, TOFF(script_file), NULL},
	/* What the keeper read from script_file, for the supervisor, which may not open it. */
	{NULL, "script", NULL, OPT_STR, TOFF(script), NULL},
	{NULL, "vus", NULL, OPT_INT, TOFF(vus), NULL, 1, LIMIT_VUS},
	{NULL, "duration", NULL, OPT_DURATION, TOFF(duration_ms), NULL, 1000, DAY_MS},
	{NULL, "interval", NULL, OPT_DURATION, TOFF(interval_ms), NULL, 1000, WEEK_MS},
	{NULL, "enabled", NULL, OPT_BOOL, TOFF(enabled), NULL},
	{NULL, "method", NULL, OPT_CHECKED, TOFF(method), NULL, .check = check_name},
	{NULL, "headers", NULL, OPT_LIST, TOFF(headers), NULL, .check = check_pair_colon},
	{NULL, "body", NULL, OPT_STR, TOFF(body), NULL},
	{NULL, "thresholds", NULL, OPT_LIST, TOFF(thresholds), NULL, .check = check_pair_colon},
	{NULL, "checks", NULL, OPT_CHOICE, TOFF(checks), NULL, .choices = checks_names},
	{NULL, "expected_statuses", NULL, OPT_LIST, TOFF(expected_statuses), NULL,
		.check = check_status},
	{NULL, "max_agents", NULL, OPT_INT, TOFF(max_agents), NULL, 1, LIMIT_AGENTS},
	{NULL, "timeout", NULL, OPT_DURATION, TOFF(timeout_ms), NULL, 1000, WEEK_MS},
	{NULL, "tags", NULL, OPT_LIST, TOFF(tags), NULL, .check = check_pair_equals},
};

static void *begin_target(void *ctx, const char *title)
{
	struct conf *conf = ctx;
	struct conf_target *ct = x_calloc(1, sizeof(*ct));

	ct->target = target_new();
	free(ct->target->label);
	ct->target->label = x_strdup(title);
	free(ct->target->id);
	ct->target->id = x_asprintf("file:%s", title);
	ct->enabled = true;
	ct->interval_ms = ct->target->interval_ms;
	conf->targets =
		x_realloc(conf->targets, conf->target_count + 1, sizeof(struct conf_target *));
	conf->targets[conf->target_count++] = ct;
	return ct;
}

/* Splits "name<sep> value"; *value points behind the separator and blanks.  Caller frees. */
static char *split_pair(const char *item, char sep, const char **value)
{
	const char *p = strchr(item, sep);

	*value = p + 1 + strspn(p + 1, " \t");
	return x_strndup(item, (size_t)(p - item));
}

static int read_script(const struct conf_target *ct, struct target *t, struct err *err)
{
	_cleanup_file_ FILE *f = NULL;
	_cleanup_free_ char *buf = NULL;
	size_t n;
	int fd;

	fd = hostfs_open(ct->script_file, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		return err_sys(err, errno, "script_file %s", ct->script_file);
	buf = x_calloc(TARGET_SCRIPT_MAX + 2, 1);
	n = fread(buf, 1, TARGET_SCRIPT_MAX + 1, f);
	if (ferror(f))
		return err_sys(err, errno, "script_file %s", ct->script_file);
	if (n > TARGET_SCRIPT_MAX || !n || memchr(buf, 0, n))
		return err_set(err, "script_file %s: a script is text of 1 byte to 1 MiB",
			ct->script_file);
	t->script = steal_ptr(buf);
	return 0;
}

static int end_target(void *ctx, void *item, struct err *err)
{
	struct conf_target *ct = item;
	struct target *t = ct->target;
	const struct conf *conf = ctx;
	struct target_error terr;
	const char *value;

	if (!t->label[0] || strlen(t->label) > 100)
		return err_set(err, "a target's name has 1 to 100 characters");
	if (!ct->url == !(ct->script_file || ct->script))
		return err_set(err, "a target needs url or script_file, not both");
	t->url = ct->url ? x_strdup(ct->url) : NULL;
	t->body = ct->body ? x_strdup(ct->body) : NULL;
	if (ct->method) {
		free(t->method);
		t->method = x_strdup(ct->method);
	}
	t->vus = ct->vus ? ct->vus : conf->k6.vus;
	t->duration_ms = ct->duration_ms ? ct->duration_ms : conf->k6.duration_ms;
	t->interval_ms = ct->interval_ms;
	t->max_agents = ct->max_agents;
	t->timeout_ms = ct->timeout_ms;
	t->enabled = ct->enabled;
	t->checks_count = ct->checks == 0;
	for (size_t i = 0; i < ct->headers.count; i++) {
		_cleanup_free_ char *name = split_pair(ct->headers.items[i], ':', &value);

		json_object_set_new(t->headers, name, json_text(value));
	}
	for (size_t i = 0; i < ct->tags.count; i++) {
		_cleanup_free_ char *name = split_pair(ct->tags.items[i], '=', &value);

		json_object_set_new(t->tags, name, json_text(value));
	}
	for (size_t i = 0; i < ct->thresholds.count; i++) {
		/* "http_req_duration{status:200}: p(95)<500": the metric may hold colons in braces. */
		const char *brace = strchr(ct->thresholds.items[i], '}');
		const char *colon = strchr(brace ? brace : ct->thresholds.items[i], ':');
		_cleanup_free_ char *metric = NULL;
		json_t *list;

		if (!colon)
			return err_set(err,
				"threshold \"%s\" must be written \"metric: expression\"",
				ct->thresholds.items[i]);
		metric = x_strndup(
			ct->thresholds.items[i], (size_t)(colon - ct->thresholds.items[i]));
		list = json_object_get(t->thresholds, metric);
		if (!list) {
			list = json_array();
			json_object_set_new(t->thresholds, metric, list);
		}
		json_array_append_new(list, json_text(colon + 1 + strspn(colon + 1, " \t")));
	}
	for (size_t i = 0; i < ct->expected_statuses.count; i++)
		json_array_append_new(
			t->expected_statuses, json_integer(atoi(ct->expected_statuses.items[i])));
	/* The same rules as for a target of the dashboard. */
	_cleanup_json_ json_t *as_json = target_to_json(t, false);
	json_object_del(as_json, "url");
	json_object_del(as_json, "script");
	if (ct->script)
		t->script = x_strdup(ct->script);
	else if (ct->script_file && read_script(ct, t, err) < 0)
		return -1;
	if (target_apply_json(t, as_json, true, &terr) < 0)
		return err_set(err, "%s", terr.err.msg);
	return 0;
}

static const struct opt_group target_group = {
	"target", target_options, ARRAY_SIZE(target_options), begin_target, end_target};
static const struct opt_table conf_table = {options, ARRAY_SIZE(options), &target_group};

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

/* What neither file nor environment name: the one beside us, if there is one. */
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

	if (optab_load(&conf_table, conf, f, name, with_environment, err) < 0 ||
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

static void free_target(struct conf_target *ct)
{
	optab_free(target_options, ARRAY_SIZE(target_options), ct);
	target_free(ct->target);
	free(ct);
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->target_count; i++)
		free_target(conf->targets[i]);
	free(conf->targets);
	optab_free(options, ARRAY_SIZE(options), conf);
	free(conf);
}

void conf_print(const struct conf *conf, bool scripts, FILE *out)
{
	optab_print(options, ARRAY_SIZE(options), conf, "", out);
	for (size_t i = 0; i < conf->target_count; i++) {
		struct conf_target shown = *conf->targets[i];

		/* Defaults that other options gave are spelled out: only one may be zero here. */
		shown.vus = shown.target->vus;
		shown.duration_ms = shown.target->duration_ms;
		shown.script = scripts ? shown.target->script : NULL;
		fputs("target ", out);
		optab_print_quoted(shown.target->label, out);
		fputs(" {\n", out);
		for (size_t k = 0; k < ARRAY_SIZE(target_options); k++) {
			const struct opt *opt = &target_options[k];
			bool unset = (opt->offset == TOFF(max_agents) && !shown.max_agents) ||
				(opt->offset == TOFF(timeout_ms) && !shown.timeout_ms) ||
				((opt->type == OPT_STR || opt->type == OPT_PATH ||
					 opt->type == OPT_CHECKED) &&
					!*(char *const *)((const char *)&shown + opt->offset));

			if (!unset)
				optab_print(opt, 1, &shown, "\t", out);
		}
		fputs("}\n", out);
	}
}

/* --- what a reload changes ---------------------------------------------------- */

static char *key_text(const struct opt *opt)
{
	return opt->section ? x_asprintf("%s.%s", opt->section, opt->key) : x_strdup(opt->key);
}

/* An agent that is alone has no number in its name. */
static bool names_change(const struct conf *a, const struct conf *b)
{
	return (a->max_workers == 1) != (b->max_workers == 1);
}

/* Without a dashboard every record counts as acknowledged: not to be taken up or given up midway. */
static bool dashboard_goes(const struct conf *from, const struct conf *to)
{
	return from->dashboard.url[0] && !to->dashboard.url[0];
}

void conf_inherit(struct conf *conf, const struct conf *running, FILE *kept)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct opt *opt = &options[i];
		_cleanup_free_ char *old = optab_text(opt, running), *now = optab_text(opt, conf);
		_cleanup_free_ char *key = key_text(opt);
		bool fixed = opt->effect == CONF_EFFECT_RESTART ||
			(opt->offset == OFF(max_workers) && names_change(running, conf)) ||
			(opt->offset == OFF(dashboard.url) && dashboard_goes(running, conf));

		if (!fixed || !strcmp(old, now))
			continue;
		fprintf(kept, "%s%s", ftell(kept) > 0 ? ", " : "", key);
		optab_copy(opt, conf, running);
	}
	fflush(kept);
	if (conf->workers > conf->max_workers)
		conf->workers = conf->max_workers;
}

static char *target_text(const struct conf_target *ct)
{
	_cleanup_json_ json_t *json = target_to_json(ct->target, true);

	return json_compact(json);
}

static const struct conf_target *find_target(const struct conf *conf, const char *id)
{
	for (size_t i = 0; i < conf->target_count; i++) {
		if (!strcmp(conf->targets[i]->target->id, id))
			return conf->targets[i];
	}
	return NULL;
}

static void diff_targets(
	const struct conf *from, const struct conf *to, conf_change *change, void *arg)
{
	for (size_t i = 0; i < to->target_count; i++) {
		const struct conf_target *now = to->targets[i];
		const struct conf_target *old = find_target(from, now->target->id);
		_cleanup_free_ char *key = x_asprintf("target '%s'", now->target->label);
		_cleanup_free_ char *a = old ? target_text(old) : NULL, *b = target_text(now);

		if (!a || strcmp(a, b) != 0)
			change(arg, key, old ? "as it was" : "none", old ? "changed" : "new",
				CONF_EFFECT_NOW);
	}
	for (size_t i = 0; i < from->target_count; i++) {
		const struct target *old = from->targets[i]->target;
		_cleanup_free_ char *key = x_asprintf("target '%s'", old->label);

		if (!find_target(to, old->id))
			change(arg, key, "as it was", "gone", CONF_EFFECT_NOW);
	}
}

void conf_diff(const struct conf *from, const struct conf *to, conf_change *change, void *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct opt *opt = &options[i];
		_cleanup_free_ char *a = optab_text(opt, from), *b = optab_text(opt, to);
		_cleanup_free_ char *key = key_text(opt);
		/* Operators keep credentials for their scripts there. */
		bool hide = opt->offset == OFF(k6.env) || opt->offset == OFF(k6.args);

		if (strcmp(a, b) != 0)
			change(arg, key, hide ? "(hidden)" : a, hide ? "(hidden)" : b,
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
