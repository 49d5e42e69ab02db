/* SPDX-License-Identifier: MIT */
/* Starts a supervisor and hands it the descriptors that must outlive it. */
#ifndef K6FLEET_HANDOVER_H
#define K6FLEET_HANDOVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/conf.h"
#include "common/creds.h"
#include "common/err.h"
#include "keeper/files.h"

/* The numbers at which the supervisor finds its descriptors after exec. */
enum handover_fd {
	HANDOVER_FD_KEEPER = 3,
	HANDOVER_FD_LISTEN,
	HANDOVER_FD_HEARTBEATS,
	HANDOVER_FD_CONFIG,
	HANDOVER_FD_STATE_DIR,
	/* These are closed where nothing is configured. */
	HANDOVER_FD_METRICS,
	HANDOVER_FD_SECRET,
	HANDOVER_FD_CA_FILE,
	HANDOVER_FD_CLIENT_CERT,
	HANDOVER_FD_CLIENT_KEY,
	HANDOVER_FD_JOURNAL,
	HANDOVER_FD_END,
};

struct handover {
	const struct conf *conf;
	bool as_root; /* the keeper runs as root: the supervisor changes to `user` */
	struct creds user;
	gid_t control_gid, read_gid; /* -1: none */
	int exe_fd;                  /* the supervisor's binary */
	int listen_fd, hb_fd, config_fd, state_fd, metrics_fd;
	struct files_kept kept;
	bool workers_option; /* -n was given: `workers` in the configuration is not from the file */
	bool again;          /* not the first supervisor of this keeper */
};

/* Returns a memfd with the effective configuration, which the caller closes; -1 and err. */
int handover_make_config(const struct conf *conf, struct err *err);
/* Forks and executes the supervisor with chan as its socket, which stays the caller's.  Returns
 * the pid, or -1 and err; what fails in the child ends the child with a line in the log. */
pid_t handover_start(const struct handover *h, int chan, struct err *err);

#endif
