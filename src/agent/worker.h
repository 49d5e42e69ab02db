/* SPDX-License-Identifier: MIT */
/* The worker: a fork of the keeper that runs one k6 at a time and reports over its socket. */
#ifndef K6FLEET_WORKER_H
#define K6FLEET_WORKER_H

#include <stdint.h>

#include "agent/k6bin.h"
#include "agent/sandbox.h"
#include "common/conf.h"

/* A keeper with a thousand workers has a thousand descriptors, all but a few of them from this number
 * on: a worker that shares its table at first takes only what lies below with it. */
#define WORKER_FDS_END 64

struct worker_args {
	_Atomic uint32_t
		*has_own_files; /* NULL, or: shares the keeper's table until it has set this */
	const struct conf *conf;
	const struct sandbox *sandbox;
	unsigned int slot;
	uint64_t generation;
	int chan;     /* to the supervisor, whoever that is at the moment */
	int lifeline; /* read end of a pipe that only the keeper can write to */
	int hb_fd;
	struct k6bin k6;
	int cgroup_fd, cgroup_procs_fd; /* where its k6 belongs; -1: nowhere */
};

/* Takes over the forked process; every descriptor but those of args and stderr is closed. */
_Noreturn void worker_main(const struct worker_args *args);

#endif
