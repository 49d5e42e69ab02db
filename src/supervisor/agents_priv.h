/* SPDX-License-Identifier: MIT */
/* What the files agents*.c share: the supervisor's record of each worker. */
#ifndef K6FLEET_AGENTS_PRIV_H
#define K6FLEET_AGENTS_PRIV_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/chan.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/run.h"
#include "supervisor/agents.h"

struct agent {
	struct agents *all;
	unsigned int slot;
	int fd; /* -1: no worker */
	uint64_t generation;
	uint32_t pid;
	int64_t started_mono_ms;
	ev_io io;
	ev_timer retry;
	struct chan_queue out;
	bool alive, eof, reported, adopted;
	bool committing; /* a write to the store that this agent waits for is under way */
	bool run_sent;
	bool stale;
	bool killed;   /* this supervisor had it killed */
	bool unwanted; /* its run was cancelled before it was sent */
	int wait_status;
	uint32_t layers;     /* bits of enum sandbox_layer */
	struct run *run;     /* the agent's run, also before it is sent; NULL: none */
	struct order *order; /* asked for the run; NULL: the schedule started it */
	char last_result[16];
};

struct agents {
	struct agents_parts with;
	bool handed_over;
	struct agent *slots;
	unsigned int count; /* initialised; grows with max_workers up to LIMIT_WORKERS */
	const uint8_t *pages;
	uint8_t *buf;
	unsigned int told_extent; /* extent of the fleet in the last heartbeat */
	int64_t last_tick_ms, judge_after_ms;
	int64_t wall_offset_ms; /* wall clock minus monotonic clock, for time stamps */
	struct log_limit limit;
	uint64_t restarts[AGENTS_RESTART_COUNT];
	char (*names)[80];
};

const char *agent_name(const struct agent *ag);
/* Tells the schedule whether the agent can take a run. */
void agent_tell_schedule(const struct agent *ag);
/* Tells the fleet, then the schedule. */
void agent_tell_fleet(struct agent *ag, enum fleet_event event);
/* Starts the watcher of the agent's socket for the events that matter now. */
void agent_watch(struct agent *ag);
/* Sends or queues the message and frees it; fd (-1: none) stays the caller's.  An error kills the
 * worker. */
void agent_send(struct agent *ag, struct msg_writer *m, int fd);
/* Asks the worker to end its run and to keep the partial result. */
void agent_send_cancel(struct agent *ag);
/* Logs and reports a record that is final.  Called once for each run. */
void agent_conclude(const struct agent *ag);
/* Takes the run from the agent and frees it. */
void agent_drop_run(struct agent *ag);
/* Has the keeper kill the worker; why goes to the log. */
void agent_kill_worker(struct agent *ag, const char *why);
/* Queues the run's final row for the store.  The agent's socket is not read until the row is on
 * disk. */
void agent_store_terminal(struct agent *ag);
/* Handles the messages in the agent's socket, as far as it may be read. */
void agent_read(struct agent *ag);
/* Forgets a worker that is dead, whose socket is read to its end and whose run is recorded; else
 * does nothing. */
void agent_bury(struct agent *ag);
/* Stops the watchers, closes the socket, drops queued messages: the slot has no worker any more. */
void agent_clear(struct agent *ag);
/* Of struct agent's retry: tries again to store the record. */
void agent_on_retry(struct ev_loop *loop, ev_timer *timer, int revents);
void agents_begin_due(struct agents *a, const struct schedule_due *due);

static inline const char *agent_run_id(const struct agent *ag)
{
	return ag->run ? ag->run->id : "";
}

#endif
