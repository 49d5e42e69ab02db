/* SPDX-License-Identifier: MIT */
/* The state of the keeper, and the function that fills it at the start. */
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

/* EXIT_RESTART is EX_TEMPFAIL of sysexits.h: the fleet is drained; the service manager should
 * start the new binary. */
enum keeper_exit { EXIT_OK = 0, EXIT_START = 1, EXIT_USAGE = 2, EXIT_TAKEN = 3, EXIT_RESTART = 75 };

/* Keeper and supervisor hold one descriptor for each worker, and up to so many others. */
#define FILES_SLACK 64

/* How far a hand-over to the binaries on disk has got. */
struct upgrade {
	bool under_way;
	bool asking_supervisor; /* the first of the two binaries; the keeper's is the second */
	bool timed_out;         /* the binary that was asked was killed */
	bool goodbye;           /* the supervisor was asked to end */
	uint64_t asker;         /* as in keeper_reload() */
	int exe_fd, sup_fd;     /* the new binaries */
	int out_fd;             /* what the binary that is asked writes */
	pid_t check_pid;        /* that binary; 0: none */
	int64_t deadline_ms;    /* monotonic */
};

/* All times are monotonic; 0 means none, where a time may be missing. */
struct keeper {
	struct conf *conf;
	struct files_options options;
	char *exe_path, *sup_path;             /* of the two binaries, on the host */
	struct filestamp exe_stamp, sup_stamp; /* of the binaries that run */
	struct upgrade upgrade;
	struct sandbox sandbox;
	struct children children;
	struct handover handover;
	char k6_version[K6VERSION_MAX];          /* "": there is no k6 */
	struct err no_cgroup, no_metrics, no_k6; /* why it is missing; empty text: it is there */
	int signal_fd;
	int socket_dir_fd;  /* directory of the control socket, to remove the socket at the end */
	int64_t started_ms; /* of the first image of this process */
	int64_t clock_offset_ms; /* wall clock less monotonic clock at that time */
	int64_t memory_bytes;    /* memory_available() */
	bool resumed;            /* this image took over from another one */
	uint8_t *buf;            /* MSG_MAX_BYTES, for one message */
	/* The supervisor. */
	pid_t sup_pid; /* -1: there is none at the moment */
	int sup_chan;  /* -1: closed */
	struct chan_queue sup_out;
	bool ever_seen; /* a supervisor has worked: its death is no longer a failed start */
	int64_t sup_started_ms, sup_heard_ms, sup_restart_at_ms;
	int64_t sup_delay_ms; /* before the next start, if this one dies too early */
	unsigned int sup_restarts;
	/* Stopping. */
	int stop_signals; /* received: the first drains, the second stops at once */
	int64_t stop_by_ms;
	bool quit;
	int exit_status; /* enum keeper_exit */
};

/* Reads options and configuration, opens descriptors, enters the sandbox and gives up
 * privileges: everything up to the first fork of a supervisor.  Ends the process with one line
 * if something is wrong.  Afterwards the host's files are out of reach and five capabilities are
 * left. */
void keeper_startup(struct keeper *k, int argc, char **argv);

#endif
