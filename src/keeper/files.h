/* SPDX-License-Identifier: MIT */
/* What the keeper reads from the host by name, at its start and at each reload: the configuration
 * with the scripts that it names, the dashboard's secret, certificates. */
#ifndef K6FLEET_KEEPER_FILES_H
#define K6FLEET_KEEPER_FILES_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"

/* The command line; strings are the process's own. */
struct files_options {
	char *config;      /* absolute */
	bool config_named; /* by -c: it must be there */
	const char *socket, *workers, *log_format;
	bool test, verbose;
};

/* Descriptors of sealed copies, -1 where nothing is configured. */
struct files_kept {
	int secret_fd, ca_fd, cert_fd, key_fd;
};

/* NULL with err.  *usage is set when an option is to blame. */
struct conf *files_load_config(const struct files_options *o, bool *usage, struct err *err);
/* running: what is in use, or NULL at the start.  A secret that came from the environment, which
 * has been wiped since, is taken from there. */
int files_keep(const struct conf *conf, const struct files_kept *running, struct files_kept *out,
	struct err *err);
void files_close(struct files_kept *kept);

#endif
