/* SPDX-License-Identifier: MIT */
/* Forks workers and remembers them.  Decides nothing: the supervisor says which slot. */
#include "keeper/children.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/worker.h"
#include "common/chan.h"
#include "common/mem.h"
#include "common/units.h"

int children_init(struct children *c, const struct conf *conf, const struct sandbox *sandbox,
	int hb_fd, const struct k6bin *k6, const int lifeline[2], struct err *err)
{
	*c = (struct children){.conf = conf,
		.sandbox = sandbox,
		.cgroup = {.base_fd = -1},
		.hb_fd = hb_fd,
		.k6 = *k6};
	c->count = CONF_WORKERS_MAX;
	c->slots = mem_unshared(c->count * sizeof(*c->slots));
	c->own_files = mmap(NULL, c->count * sizeof(*c->own_files), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->own_files == MAP_FAILED)
		return err_sys(err, errno, "cannot map memory");
	c->lifeline[0] = lifeline[0];
	c->lifeline[1] = lifeline[1];
	if (lifeline[0] < 0 && pipe2(c->lifeline, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, errno, "cannot make the lifeline pipe");
	return 0;
}

void children_adopt(struct children *c, unsigned int slot, const struct child *child)
{
	c->slots[slot] = *child;
	c->alive += child->alive;
	if (slot >= c->high)
		c->high = slot + 1;
}

static bool has_settled(const struct children *c, const struct unsettled *u)
{
	return atomic_load(&c->own_files[u->slot]) || !c->slots[u->slot].alive;
}

void children_settle(struct children *c)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < c->unsettled_count; i++) {
		struct unsettled *u = &c->unsettled[i];

		if (!has_settled(c, u)) {
			c->unsettled[kept++] = *u;
			continue;
		}
		for (size_t k = 0; k < ARRAY_SIZE(u->fds); k++)
			close_fd(&u->fds[k]);
	}
	c->unsettled_count = kept;
}

/* Until no more than `most` share our table; false: not within a few milliseconds, as when those that
 * share have died and are not reaped, or were stopped, before they had a table of their own. */
static bool wait_settled(struct children *c, unsigned int most)
{
	const struct timespec moment = {0, 1000000};

	children_settle(c);
	for (int i = 0; i < 5 && c->unsettled_count > most; i++) {
		syscall(SYS_futex, &c->own_files[c->unsettled[0].slot], FUTEX_WAIT, 0, &moment,
			NULL, 0);
		children_settle(c);
	}
	return c->unsettled_count <= most;
}

void children_use_k6(struct children *c, const struct k6bin *k6)
{
	/* Closed in our table it would be closed in theirs; one descriptor too many hurts nobody. */
	if (wait_settled(c, 0))
		close_fd(&c->k6.fd);
	c->k6 = *k6;
}

/* The supervisor's end goes where workers do not take it along. */
static int move_up(int fd, struct err *err)
{
	int up = fcntl(fd, F_DUPFD_CLOEXEC, WORKER_FDS_END);

	if (up < 0)
		err_sys(err, errno, "cannot keep a worker's socket");
	close(fd);
	return up;
}

int children_spawn(struct children *c, unsigned int slot, uint64_t generation, uint32_t restarts,
	struct err *err)
{
	struct cgroup_slot cgroup;
	int pair[2];
	/* So that the numbers below WORKER_FDS_END suffice. */
	bool share = wait_settled(c, CHILDREN_UNSETTLED_MAX - 1);
	pid_t pid;

	if (cgroup_enter_slot(&c->cgroup, c->conf, slot, &cgroup, err) < 0)
		return -1;
	if (chan_pair(pair, err) < 0) {
		cgroup_close_slot(&cgroup);
		return -1;
	}
	pair[0] = move_up(pair[0], err);
	if (pair[0] < 0) {
		close(pair[1]);
		cgroup_close_slot(&cgroup);
		return -1;
	}
	/* Started with many open descriptors we may have none left below: then by copying all. */
	share = share && pair[1] < WORKER_FDS_END && cgroup.dir_fd < WORKER_FDS_END &&
		cgroup.procs_fd < WORKER_FDS_END && c->lifeline[0] < WORKER_FDS_END &&
		c->hb_fd < WORKER_FDS_END && c->k6.fd < WORKER_FDS_END;
	atomic_store(&c->own_files[slot], 0);
	pid = sandbox_clone(c->sandbox, share);
	if (pid == 0) {
		struct worker_args args = {
			.has_own_files = share ? &c->own_files[slot] : NULL,
			.conf = c->conf,
			.sandbox = c->sandbox,
			.slot = slot,
			.generation = generation,
			.chan = pair[1],
			.lifeline = c->lifeline[0],
			.hb_fd = c->hb_fd,
			.k6 = c->k6,
			.cgroup_fd = cgroup.dir_fd,
			.cgroup_procs_fd = cgroup.procs_fd,
		};

		worker_main(&args);
	}
	if (pid < 0) {
		err_sys(err, errno, "cannot fork a worker");
		close(pair[0]);
		close(pair[1]);
		cgroup_close_slot(&cgroup);
		return -1;
	}
	children_adopt(c, slot,
		&(struct child){.used = true,
			.alive = true,
			.pid = pid,
			.generation = generation,
			.started_mono_ms = units_now_mono_ms(),
			.restarts = restarts,
			.epoch = c->epoch,
			.chan = pair[0]});
	if (share) {
		c->unsettled[c->unsettled_count++] =
			(struct unsettled){slot, {pair[1], cgroup.dir_fd, cgroup.procs_fd}};
	} else {
		/* Ours closed, the worker's death shows as end of file at the other end. */
		close(pair[1]);
		cgroup_close_slot(&cgroup);
	}
	return 0;
}

struct child *children_find(struct children *c, uint32_t slot, uint64_t generation)
{
	if (slot >= c->count || !c->slots[slot].used || c->slots[slot].generation != generation)
		return NULL;
	return &c->slots[slot];
}

int children_reaped(struct children *c, pid_t pid, int wait_status)
{
	for (unsigned int i = 0; i < c->high; i++) {
		struct child *child = &c->slots[i];

		if (child->alive && child->pid == pid) {
			child->alive = false;
			child->wait_status = wait_status;
			c->alive--;
			children_settle(c);
			return (int)i;
		}
	}
	return -1;
}

void children_forget(struct children *c, struct child *child)
{
	cgroup_remove_slot(&c->cgroup, (unsigned int)(child - c->slots));
	close_fd(&child->chan);
	*child = (struct child){0};
	while (c->high && !c->slots[c->high - 1].used)
		c->high--;
}

void children_free(struct children *c)
{
	for (unsigned int i = 0; i < c->high; i++) {
		if (c->slots[i].used)
			close_fd(&c->slots[i].chan);
	}
	munmap((void *)(uintptr_t)c->own_files, c->count * sizeof(*c->own_files));
	munmap(c->slots, c->count * sizeof(*c->slots));
	c->slots = NULL;
}

void children_kill_all(const struct children *c)
{
	for (unsigned int i = 0; i < c->high; i++) {
		/* Safe: a child of ours that has not been reaped keeps its pid; nobody else can have it. */
		if (c->slots[i].alive)
			kill(c->slots[i].pid, SIGKILL);
	}
}
