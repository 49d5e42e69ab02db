/* SPDX-License-Identifier: MIT */
/* What the keeper knows, and how it comes to know it. */
#ifndef K6FLEET_KEEPER_H
#define K6FLEET_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/sandbox.h"
#include "common/chan.h"
#include "common/conf.h"
#include "common/err.h"
#include "keeper/children.h"
#include "keeper/handover.h"

enum exit_status { EXIT_OK = 0, EXIT_START = 1, EXIT_USAGE = 2, EXIT_TAKEN = 3 };

struct keeper {
	struct conf *conf;
	struct sandbox sandbox;
	struct children children;
	struct handover handover;
	char k6_version[128];
	struct err no_cgroup; /* why there is none */
	int signal_fd;
	int socket_dir_fd; /* where the control socket lies, to remove it at the end */
	/* The supervisor: pid -1 when there is none at the moment. */
	pid_t sup_pid;
	int sup_chan;
	struct chan_queue sup_out;
	bool ever_seen; /* one has spoken: from then on a death is not a failed start */
	int64_t started_ms;
	int64_t sup_started_ms, sup_heard_ms, sup_restart_at_ms;
	int64_t sup_delay_ms;
	unsigned int sup_restarts;
	/* Stopping. */
	int stop_signals;
	int64_t stop_by_ms;
	bool quit;
	uint8_t *buf;
};

/* Options, configuration, descriptors, sandbox, privileges: everything up to the first fork of a
 * supervisor.  Ends the process with one line where something is wrong.  Afterwards the host's
 * files are out of reach and five capabilities are left. */
void startup(struct keeper *k, int argc, char **argv);

#endif
