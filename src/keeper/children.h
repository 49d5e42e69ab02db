/* SPDX-License-Identifier: MIT */
/*
 * The keeper's table of workers: their pids and generations, and a duplicate of the supervisor's
 * end of each socket, so that a new supervisor can take over.  The entry of a dead worker stays,
 * with its last messages unread in its socket, until the supervisor orders the keeper to forget
 * it.
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
	uint64_t generation; /* the supervisor's number for this worker of the slot */
	int64_t started_mono_ms;
	int wait_status;    /* of waitpid(2); 0 while it lives */
	uint32_t restarts;  /* the supervisor's count, kept for the next supervisor */
	unsigned int epoch; /* of the keeper at the fork: names the worker's limits and binary */
	int chan;           /* the supervisor's end of its socket */
};

/* For a moment after its fork a worker still shares the keeper's table of descriptors.  Until it
 * has a table of its own, or is dead, the keeper must not close the three descriptors that are
 * the worker's. */
#define CHILDREN_UNSETTLED_MAX 8
struct unsettled {
	unsigned int slot;
	int fds[3];
};

/* The calls that a test replaces. */
struct children_system {
	/* As sandbox_clone(); in the child it returns 0, and worker_main() is called. */
	pid_t (*clone)(const struct sandbox *sb, bool share_files);
	int (*kill)(pid_t pid, int sig);
	int64_t (*now_mono_ms)(void);
};

/* Parameters of children_init(), which copies them; conf and sandbox must outlive the children. */
struct children_config {
	const struct conf *conf;
	const struct sandbox *sandbox;
	struct cgroup cgroup; /* its descriptor stays the caller's */
	int hb_fd;            /* stays the caller's */
	struct k6bin k6;
	int lifeline[2];                      /* of an earlier image; {-1, -1}: a new pipe */
	const struct children_system *system; /* NULL: the real one */
};

struct children {
	const struct conf *conf;
	const struct sandbox *sandbox;
	const struct children_system *system;
	struct cgroup cgroup;
	struct child *slots; /* LIMIT_WORKERS of them, so that the ceiling may be raised */
	unsigned int count, alive;
	unsigned int high;  /* no slot from here on is used */
	unsigned int epoch; /* of new workers; raised when limits or the binary change */
	int hb_fd;
	struct k6bin k6;
	_Atomic uint32_t *own_files; /* shared with the workers, one a slot */
	struct unsettled unsettled[CHILDREN_UNSETTLED_MAX];
	unsigned int unsettled_count;
	int lifeline[2]; /* workers poll the read end; closing the write end ends them all */
};

/* Returns 0, or -1 and err.  The caller frees with children_free(). */
int children_init(struct children *c, const struct children_config *config, struct err *err);
/* New workers run this k6, whose descriptor is taken over; living workers keep theirs. */
void children_use_k6(struct children *c, const struct k6bin *k6);
/* Takes over a worker of an earlier image, and its socket.  The slot is free and below
 * LIMIT_WORKERS. */
void children_adopt(struct children *c, unsigned int slot, const struct child *child);
/* Forks the worker of a free slot below LIMIT_WORKERS.  Returns 0, or -1 and err: the slot stays
 * free. May wait some milliseconds for earlier workers to leave the shared table of descriptors. */
int children_spawn(struct children *c, unsigned int slot, uint64_t generation, uint32_t restarts,
	struct err *err);
/* Closes the descriptors that workers no longer share.  While unsettled_count is not 0, the
 * caller comes again in a moment. */
void children_settle(struct children *c);
/* Returns the entry of the slot if this generation uses it, else NULL.  Called for every order,
 * because the worker may have been replaced. */
struct child *children_find(struct children *c, uint32_t slot, uint64_t generation);
/* Marks the living worker with this pid as dead.  Returns its slot, or -1 if it is no worker. */
int children_reaped(struct children *c, pid_t pid, int wait_status);
/* Frees the slot of a dead worker and closes its socket; messages in it that nobody has read are
 * lost. */
void children_forget(struct children *c, struct child *child);
/* Sends sig to a worker; one that was reaped gets nothing. */
void children_signal(const struct children *c, const struct child *child, int sig);
/* Sends KILL to all living workers. */
void children_kill_all(const struct children *c);
/* Closes the sockets and frees the tables.  The workers live on. */
void children_free(struct children *c);

#endif
