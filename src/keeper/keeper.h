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
#include "common/filestamp.h"
#include "keeper/children.h"
#include "common/k6version.h"
#include "keeper/handover.h"

/* RESTART (EX_TEMPFAIL of sysexits.h): drained, a service manager shall start the new binary. */
enum exit_status { EXIT_OK = 0, EXIT_START = 1, EXIT_USAGE = 2, EXIT_TAKEN = 3, EXIT_RESTART = 75 };

/* Per worker the keeper and the supervisor hold one descriptor each; the rest is slack. */
#define FILES_SLACK 64

/* A hand-over to the binary on disk, step by step. */
struct upgrade {
	bool under_way, asking_supervisor, timed_out;
	bool goodbye; /* the supervisor was asked to end */
	uint64_t asker;
	int exe_fd, sup_fd, out_fd;
	pid_t check_pid; /* 0: none */
	int64_t deadline_ms;
};

struct keeper {
	struct conf *conf;
	struct files_options options;
	char *exe_path, *sup_path;             /* of the host */
	struct filestamp exe_stamp, sup_stamp; /* of the binaries that run */
	struct upgrade upgrade;
	struct sandbox sandbox;
	struct children children;
	struct handover handover;
	char k6_version[K6VERSION_MAX];
	struct err no_cgroup, no_metrics, no_k6; /* why there is none */
	int signal_fd;
	int socket_dir_fd; /* where the control socket lies, to remove it at the end */
	/* The supervisor: pid -1 when there is none at the moment. */
	pid_t sup_pid;
	int sup_chan;
	struct chan_queue sup_out;
	bool ever_seen; /* one has spoken: from then on a death is not a failed start */
	int64_t started_ms, clock_offset_ms; /* monotonic; wall less monotonic then */
	int64_t memory_bytes;                /* that there is for all of us */
	bool resumed;                        /* by an image after the first */
	int64_t sup_started_ms, sup_heard_ms, sup_restart_at_ms;
	int64_t sup_delay_ms;
	unsigned int sup_restarts;
	/* Stopping. */
	int stop_signals;
	int64_t stop_by_ms;
	bool quit;
	int exit_status;
	uint8_t *buf;
};

/* Options, configuration, descriptors, sandbox, privileges: everything up to the first fork of a
 * supervisor.  Ends the process with one line where something is wrong.  Afterwards the host's
 * files are out of reach and five capabilities are left. */
void keeper_startup(struct keeper *k, int argc, char **argv);

#endif
