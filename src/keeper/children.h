/* SPDX-License-Identifier: MIT */
/*
 * The keeper's table of workers: pids, generations, and its duplicate of the supervisor's end
 * of each socket, which is what lets a new supervisor take over.  A dead worker's entry stays,
 * with what it last said unread in its socket, until the supervisor says FORGET.
 */
#ifndef K6FLEET_CHILDREN_H
#define K6FLEET_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/k6bin.h"
#include "agent/sandbox.h"
#include "common/conf.h"
#include "common/err.h"
#include "keeper/cgroup.h"

struct child {
	bool used, alive;
	pid_t pid;
	uint64_t generation;
	int64_t started_mono_ms;
	int wait_status;
	uint32_t restarts;  /* the supervisor's count, kept for the next one */
	unsigned int epoch; /* which binary and limits it was forked with */
	int chan;           /* the supervisor's end */
};

/* What belongs to a worker that still shares the keeper's table of descriptors: closed when it has
 * one of its own, or is dead. */
#define CHILDREN_UNSETTLED_MAX 8
struct unsettled {
	unsigned int slot;
	int fds[3];
};

struct children {
	const struct conf *conf;
	const struct sandbox *sandbox;
	struct cgroup cgroup; /* copied in; its descriptor belongs to the process */
	struct child *slots;  /* CONF_WORKERS_MAX of them, so that the ceiling may be raised */
	unsigned int count, alive;
	unsigned int high;  /* no slot from here on is used */
	unsigned int epoch; /* raised when workers of before are no longer as new ones would be */
	int hb_fd;
	struct k6bin k6;
	_Atomic uint32_t *own_files; /* shared with the workers, one a slot */
	struct unsettled unsettled[CHILDREN_UNSETTLED_MAX];
	unsigned int unsettled_count;
	int lifeline[2]; /* workers poll the read end; closing the write end ends them all */
};

/* lifeline: that of an earlier image, or {-1, -1} for a new one. */
int children_init(struct children *c, const struct conf *conf, const struct sandbox *sandbox,
	int hb_fd, const struct k6bin *k6, const int lifeline[2], struct err *err);
/* New workers run this one, which is taken over; those that there are keep theirs. */
void children_use_k6(struct children *c, const struct k6bin *k6);
/* Takes over a worker of an earlier image. */
void children_adopt(struct children *c, unsigned int slot, const struct child *child);
/* Forks the worker of a free slot. */
int children_spawn(struct children *c, unsigned int slot, uint64_t generation, uint32_t restarts,
	struct err *err);
/* Closes what workers no longer share; while unsettled_count is not 0, come again in a moment. */
void children_settle(struct children *c);
/* The entry of slot if it is of this generation, else NULL: every order is checked anew. */
struct child *children_find(struct children *c, uint32_t slot, uint64_t generation);
/* Marks the worker with this pid as dead; its slot, or -1. */
int children_reaped(struct children *c, pid_t pid, int wait_status);
void children_forget(struct children *c, struct child *child);
void children_free(struct children *c);
/* KILL to all that live. */
void children_kill_all(const struct children *c);

#endif
