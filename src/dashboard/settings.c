/* SPDX-License-Identifier: MIT */
/* The option table of dashboard.conf. */
#include "dashboard/settings.h"

#include <stddef.h>
#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/optab.h"
#include "common/sock.h"
#include "common/units.h"

#define OFF(field) offsetof(struct settings, field)

static const struct opt options[] = {
	{NULL, "user", NULL, OPT_STR, OFF(user), "k6fleet-dashboard"},
	{NULL, "listen", "K6FLEET_DASHBOARD_LISTEN", OPT_CHECKED, OFF(listen), "127.0.0.1:3000",
		.check = sock_check_address},
	{NULL, "database", "K6FLEET_DASHBOARD_DB", OPT_PATH, OFF(database),
		LOCALSTATEDIR "/lib/k6fleet-dashboard/dashboard.db"},
	{NULL, "secret_file", NULL, OPT_PATH, OFF(secret_file), ""},
	{NULL, "admin_file", NULL, OPT_PATH, OFF(admin_file), ""},
	{NULL, "tls_cert", NULL, OPT_PATH, OFF(tls_cert), ""},
	{NULL, "tls_key", NULL, OPT_PATH, OFF(tls_key), ""},
	{NULL, "read_auth", NULL, OPT_BOOL, OFF(read_auth), "false"},
	{NULL, "login_attempts", NULL, OPT_INT, OFF(login_attempts), "10", 0, 1000000},
	{NULL, "retention", NULL, OPT_DURATION, OFF(retention_ms), "30d", HOUR_MS, 3650 * DAY_MS},
	{NULL, "rollup_retention", NULL, OPT_DURATION, OFF(rollup_retention_ms), "400d", HOUR_MS,
		3650 * DAY_MS},
	{NULL, "www_dir", "K6FLEET_WWW_DIR", OPT_PATH, OFF(www_dir), PKGDATADIR "/www"},
	{NULL, "log_level", NULL, OPT_CHOICE, OFF(log_level), "info", .choices = log_level_names},
	{NULL, "log_format", NULL, OPT_CHOICE, OFF(log_format), "text",
		.choices = log_format_names},
	{"reaper", "interval", NULL, OPT_DURATION, OFF(reaper.interval_ms), "30s", 100, DAY_MS},
	{"reaper", "run_timeout", NULL, OPT_DURATION, OFF(reaper.run_timeout_ms), "5m", 0,
		30 * DAY_MS},
	{"reaper", "offline_after", NULL, OPT_DURATION, OFF(reaper.offline_after_ms), "5m", 1000,
		30 * DAY_MS},
	{"reaper", "delete_after", NULL, OPT_DURATION, OFF(reaper.delete_after_ms), "1h", 1000,
		365 * DAY_MS},
	{"reaper", "keep_runs", NULL, OPT_BOOL, OFF(reaper.keep_runs), "false"},
};

static const struct opt_table table = {options, ARRAY_SIZE(options), NULL};

int settings_load(struct settings *c, FILE *f, const char *name, struct err *err)
{
	if (optab_load(&table, c, f, name, true, err) < 0)
		return -1;
	if (!c->database[0] || !c->listen[0])
		return err_set(err, "%s: listen and database cannot be empty", name);
	if (!c->tls_cert[0] != !c->tls_key[0])
		return err_set(err, "%s: tls_cert and tls_key go together", name);
	return 0;
}

int settings_set(struct settings *c, const char *key, const char *value, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!options[i].section && !strcmp(options[i].key, key))
			return optab_set(&options[i], c, value, err);
	}
	return err_set(err, "there is no option %s", key);
}

void settings_print(const struct settings *c, FILE *out)
{
	optab_print(options, ARRAY_SIZE(options), c, "", out);
}

void settings_free(struct settings *c)
{
	optab_free(options, ARRAY_SIZE(options), c);
}
