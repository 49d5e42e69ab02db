/* SPDX-License-Identifier: MIT */
/* The worker: a fork of the keeper that runs one k6 at a time and reports through its socket. */
#ifndef K6FLEET_WORKER_H
#define K6FLEET_WORKER_H

#include <stdint.h>

#include "agent/k6bin.h"
#include "agent/sandbox.h"
#include "common/conf.h"

/* A keeper with a thousand workers has a thousand descriptors, almost all of them from this
 * number on.  A worker that shares the keeper's table at first copies only the descriptors below
 * this number for itself. */
#define WORKER_FDS_END 64

struct worker_args {
	/* Not NULL: the worker shares the keeper's table of descriptors until it sets this to 1. */
	_Atomic uint32_t *has_own_files;
	const struct conf *conf;
	const struct sandbox *sandbox;
	unsigned int slot;
	uint64_t generation;
	int chan;     /* to the supervisor; it survives a new supervisor */
	int lifeline; /* read end of a pipe; end of file: the keeper has ended */
	int hb_fd;
	struct k6bin k6;
	int cgroup_fd, cgroup_procs_fd; /* of its slot, for k6; -1: no cgroup */
};

/* Runs the worker in the forked process, until it ends.  Closes all descriptors but those of
 * args and stderr. */
_Noreturn void worker_main(const struct worker_args *args);

#endif
