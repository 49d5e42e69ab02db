/* SPDX-License-Identifier: MIT */
/* Forks workers and keeps their table.  Decides nothing: the supervisor names the slot. */
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
#include "common/limits.h"
#include "common/mem.h"
#include "common/trace.h"
#include "common/units.h"

static const struct children_system real_system = {
	.clone = sandbox_clone,
	.kill = kill,
	.now_mono_ms = units_now_mono_ms,
};

int children_init(struct children *c, const struct children_config *config, struct err *err)
{
	*c = (struct children){
		.conf = config->conf,
		.sandbox = config->sandbox,
		.system = config->system ? config->system : &real_system,
		.cgroup = config->cgroup,
		.hb_fd = config->hb_fd,
		.k6 = config->k6,
		.lifeline = {config->lifeline[0], config->lifeline[1]},
		.count = LIMIT_WORKERS,
	};
	c->slots = mem_unshared(c->count * sizeof(*c->slots));
	c->own_files = mmap(NULL, c->count * sizeof(*c->own_files), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->own_files == MAP_FAILED)
		return err_sys(err, errno, "cannot map memory");
	if (c->lifeline[0] < 0 && pipe2(c->lifeline, O_CLOEXEC | O_NONBLOCK) < 0)
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

/* Waits until at most `most` workers share the keeper's table of descriptors.  Returns false if
 * that takes more than some milliseconds: a worker was stopped, or has died and is not reaped,
 * before it had a table of its own. */
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
	/* While a worker shares the table, closing the descriptor here would close it there.  It
	 * stays open then: one descriptor too many does no harm. */
	if (wait_settled(c, 0))
		close_fd(&c->k6.fd);
	c->k6 = *k6;
}

/* The descriptors of one worker: both ends of its socket, and its cgroup. */
struct outfit {
	int supervisor_end, worker_end;
	struct cgroup_slot cgroup;
};

/* Closes the worker's own descriptors.  With its end closed here, its death shows as end of file
 * at the other. */
static void close_workers_part(struct outfit *o)
{
	close_fd(&o->worker_end);
	cgroup_close_slot(&o->cgroup);
}

static int make_outfit(
	const struct children *c, unsigned int slot, struct outfit *o, struct err *err)
{
	int pair[2];

	if (cgroup_enter_slot(&c->cgroup, c->conf, slot, &o->cgroup, err) < 0)
		return -1;
	if (chan_pair(pair, err) < 0) {
		cgroup_close_slot(&o->cgroup);
		return -1;
	}
	o->worker_end = pair[1];
	/* Workers do not inherit descriptors from WORKER_FDS_END on. */
	o->supervisor_end = fcntl(pair[0], F_DUPFD_CLOEXEC, WORKER_FDS_END);
	if (o->supervisor_end < 0)
		err_sys(err, errno, "cannot keep a worker's socket");
	close(pair[0]);
	if (o->supervisor_end >= 0)
		return 0;
	close_workers_part(o);
	return -1;
}

/* Returns whether the worker can share the keeper's table of descriptors: all descriptors that
 * it needs must be below WORKER_FDS_END. A keeper that was started with many open descriptors
 * may have none left there. */
static bool is_shareable(const struct children *c, const struct outfit *o)
{
	return o->worker_end < WORKER_FDS_END && o->cgroup.dir_fd < WORKER_FDS_END &&
		o->cgroup.procs_fd < WORKER_FDS_END && c->lifeline[0] < WORKER_FDS_END &&
		c->hb_fd < WORKER_FDS_END && c->k6.fd < WORKER_FDS_END;
}

/* In the child. */
_Noreturn static void become_worker(const struct children *c, unsigned int slot,
	uint64_t generation, const struct outfit *o, bool share)
{
	const struct worker_args args = {
		.has_own_files = share ? &c->own_files[slot] : NULL,
		.conf = c->conf,
		.sandbox = c->sandbox,
		.slot = slot,
		.generation = generation,
		.chan = o->worker_end,
		.lifeline = c->lifeline[0],
		.hb_fd = c->hb_fd,
		.k6 = c->k6,
		.cgroup_fd = o->cgroup.dir_fd,
		.cgroup_procs_fd = o->cgroup.procs_fd,
	};

	worker_main(&args);
}

int children_spawn(struct children *c, unsigned int slot, uint64_t generation, uint32_t restarts,
	struct err *err)
{
	struct outfit o;
	/* At most CHILDREN_UNSETTLED_MAX share, so that the numbers below WORKER_FDS_END
	 * suffice. */
	bool share = wait_settled(c, CHILDREN_UNSETTLED_MAX - 1);
	pid_t pid;

	if (make_outfit(c, slot, &o, err) < 0)
		return -1;
	share = share && is_shareable(c, &o);
	atomic_store(&c->own_files[slot], 0);
	pid = c->system->clone(c->sandbox, share);
	if (pid == 0)
		become_worker(c, slot, generation, &o, share);
	if (pid < 0) {
		err_sys(err, errno, "cannot fork a worker");
		close(o.supervisor_end);
		close_workers_part(&o);
		return -1;
	}
	children_adopt(c, slot,
		&(struct child){.used = true,
			.alive = true,
			.pid = pid,
			.generation = generation,
			.started_mono_ms = c->system->now_mono_ms(),
			.restarts = restarts,
			.epoch = c->epoch,
			.chan = o.supervisor_end});
	TRACE_SPAWN(slot, generation, pid);
	if (share)
		c->unsettled[c->unsettled_count++] = (struct unsettled){
			slot, {o.worker_end, o.cgroup.dir_fd, o.cgroup.procs_fd}};
	else
		close_workers_part(&o);
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
			TRACE_EXITED(i, child->generation, pid, wait_status);
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

void children_signal(const struct children *c, const struct child *child, int sig)
{
	/* Safe: a child that has not been reaped keeps its pid, so the pid is nobody else's. */
	if (child->alive)
		c->system->kill(child->pid, sig);
}

void children_kill_all(const struct children *c)
{
	for (unsigned int i = 0; i < c->high; i++)
		children_signal(c, &c->slots[i], SIGKILL);
}
