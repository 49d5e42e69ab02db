/* SPDX-License-Identifier: MIT */
/* The dashboard's configuration: option, environment, file, default. */
#ifndef K6FLEET_DASHBOARD_SETTINGS_H
#define K6FLEET_DASHBOARD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"

struct settings {
	char *user, *listen, *database, *secret_file, *admin_file, *www_dir, *tls_cert, *tls_key;
	bool read_auth;
	int log_level, log_format;
	int64_t retention_ms, rollup_retention_ms, login_attempts;
	struct {
		int64_t interval_ms, run_timeout_ms, offline_after_ms, delete_after_ms;
		bool keep_runs;
	} reaper;
};

int settings_load(struct settings *c, FILE *f, const char *name, struct err *err);
int settings_set(struct settings *c, const char *key, const char *value, struct err *err);
void settings_print(const struct settings *c, FILE *out);
void settings_free(struct settings *c);

#endif
