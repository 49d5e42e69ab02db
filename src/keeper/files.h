/* SPDX-License-Identifier: MIT */
/* The files of the host that the keeper reads by name, at its start and at each reload: the
 * configuration with the scripts that it names, the dashboard's secret, certificates. */
#ifndef K6FLEET_KEEPER_FILES_H
#define K6FLEET_KEEPER_FILES_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"

/* The command line.  The strings live as long as the process. */
struct files_options {
	char *config;      /* absolute path */
	bool config_named; /* -c was given: the file must exist */
	const char *socket, *workers, *log_format;
	bool test, verbose;
};

/* Sealed memfds with copies of the files; -1 where nothing is configured. */
struct files_kept {
	int secret_fd, ca_fd, cert_fd, key_fd;
};

/* Returns the configuration of file, environment and options, which the caller frees with
 * conf_free(); NULL and err.  *usage is then true if an option is wrong. */
struct conf *files_load_config(const struct files_options *o, bool *usage, struct err *err);
/* Copies secret and certificates into out, which the caller closes with files_close(), and wipes
 * the secret in the environment.  running: the copies in use, or NULL at the start; a secret
 * that came from the environment is taken from there at a reload.  Returns 0, or -1 and err with
 * nothing in out. */
int files_keep(const struct conf *conf, const struct files_kept *running, struct files_kept *out,
	struct err *err);
/* Closes all descriptors and sets them to -1. */
void files_close(struct files_kept *kept);

#endif
