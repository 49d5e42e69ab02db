/* SPDX-License-Identifier: MIT */
/* The dashboard's configuration.  A value comes from the command line, the environment, the
 * file, or the default, in this order. */
#ifndef K6FLEET_DASHBOARD_SETTINGS_H
#define K6FLEET_DASHBOARD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"

struct settings {
	char *user, *listen, *database, *secret_file, *admin_file, *www_dir, *tls_cert, *tls_key;
	bool read_auth;
	int log_level, log_format; /* indices of log_level_names, log_format_names */
	int64_t retention_ms, rollup_retention_ms;
	int64_t login_attempts; /* wrong credentials of one address at once; 0: any number */
	struct {
		int64_t interval_ms, run_timeout_ms, offline_after_ms, delete_after_ms;
		bool keep_runs;
	} reaper;
};

/* Fills c from the file (NULL: none), the environment and the defaults; name is for messages.
 * Returns 0, or -1 with err and nothing to free. */
int settings_load(struct settings *c, FILE *f, const char *name, struct err *err);
/* Sets one option that is not in a section.  Returns 0, or -1 with err and c unchanged. */
int settings_set(struct settings *c, const char *key, const char *value, struct err *err);
/* Writes the effective configuration in the form of the file. */
void settings_print(const struct settings *c, FILE *out);
/* Frees the texts of c. */
void settings_free(struct settings *c);

#endif
