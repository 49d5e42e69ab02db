/* SPDX-License-Identifier: MIT */
/* Handles the messages of workers.  A worker that sends an invalid message is killed and replaced;
 * a result stays in the socket until its record is on disk. */
#include "supervisor/agents_priv.h"

#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/run.h"
#include "common/run_v4.h"
#include "common/units.h"
#include "supervisor/runs.h"

/* The longest duration that is believed of a script: a year. */
#define PLANNED_MAX_MS (366 * DAY_MS)

static bool is_own_run(const struct agent *ag, struct msg_bytes id)
{
	return ag->run && msg_text_is(id, agent_run_id(ag));
}

/* Tells the schedule of a run that it has not handed out itself. */
static void hold_place(const struct agent *ag)
{
	const struct agents_parts *with = &ag->all->with;
	const char *id = ag->run->target_id;
	const struct target *t = targets_find(with->targets, id);
	_cleanup_free_ char *host = t ? targets_host(t) : x_strdup(id);

	schedule_begin(with->schedule, ag->slot, host, t ? targets_cost(with->targets, t) : 0);
}

static void on_hello(struct agent *ag, struct msg_reader *in)
{
	const struct agents_events *events = &ag->all->with.events;
	struct msg_agent_hello m;

	msg_get_agent_hello(in, &m);
	if (m.slot != ag->slot || m.generation != ag->generation) {
		agent_kill_worker(ag, "it claims to be another worker");
		return;
	}
	ag->layers = m.sandbox_layers;
	/* The state of an inherited worker comes with AGENT_STATE. */
	if (ag->adopted)
		return;
	ag->reported = true;
	agent_tell_fleet(ag, FLEET_EV_HELLO);
	events->worker_came(events->arg, ag->slot);
}

static void on_state(struct agent *ag, struct msg_reader *in)
{
	struct msg_agent_state m;
	bool has_run;

	msg_get_agent_state(in, &m);
	has_run = m.run_id.len > 0;
	if (!ag->adopted)
		return;
	ag->adopted = false;
	ag->reported = true;
	if (has_run)
		agent_tell_fleet(ag, FLEET_EV_HELLO);
	if (!has_run && ag->run) {
		/* The row is committed, but the last supervisor died before it sent the run. */
		runs_abandon(ag->run, RUN_REASON_LOST,
			"the supervisor died before the run was started", units_now_wall_ms());
		agent_conclude(ag);
		fleet_store_put_run(ag->all->with.store, ag->run, NULL, NULL);
		agent_drop_run(ag);
		agent_tell_fleet(ag, FLEET_EV_HELLO);
	} else if (has_run && !is_own_run(ag, m.run_id)) {
		agent_kill_worker(ag, "it runs something that nobody knows of");
	} else if (has_run) {
		ag->run_sent = true;
		hold_place(ag);
		agent_tell_fleet(ag, FLEET_EV_BUSY);
	} else {
		agent_tell_fleet(ag, FLEET_EV_HELLO);
	}
	/* The fleet was scaled down while there was no supervisor. */
	if (!fleet_slot(ag->all->with.fleet, ag->slot)->wanted && ag->all->handed_over)
		agent_tell_fleet(ag, FLEET_EV_UNWANT);
}

static void on_started(struct agent *ag, struct msg_reader *in)
{
	struct msg_agent_started m;

	msg_get_agent_started(in, &m);
	if (is_own_run(ag, m.run_id) && m.started_wall_ms > 0)
		runs_started(ag->run, m.started_wall_ms);
}

static void on_planned(struct agent *ag, struct msg_reader *in)
{
	struct msg_agent_planned m;

	msg_get_agent_planned(in, &m);
	if (!is_own_run(ag, m.run_id) || m.planned_ms < 0 || m.planned_ms > PLANNED_MAX_MS)
		return;
	ag->run->planned_ms = m.planned_ms;
	fleet_store_put_run(ag->all->with.store, ag->run, NULL, NULL);
}

static void on_log(struct agent *ag, struct msg_reader *in)
{
	const struct agents_events *events = &ag->all->with.events;
	_cleanup_free_ char *id = NULL;
	struct msg_agent_log m;

	msg_get_agent_log(in, &m);
	id = msg_text_dup(m.run_id);
	events->worker_log(events->arg, ag->slot, id, m.first, m.output.p, m.output.len);
}

static int64_t or_zero(int64_t n)
{
	return n == RUN_NONE ? 0 : n;
}

static void count_cost(const struct agent *ag)
{
	const struct agents_events *events = &ag->all->with.events;
	int64_t rss = or_zero(ag->run->max_rss_bytes), tmp = or_zero(ag->run->tmp_bytes);

	targets_learn(ag->all->with.targets, ag->run->target_id, rss + tmp);
	events->run_cost(events->arg, or_zero(ag->run->cpu_ms), rss, tmp);
}

/* Returns true if the message must stay in the socket until the record is on disk. */
static bool on_result(struct agent *ag, struct msg_reader *in)
{
	struct run r;
	struct err err;
	bool keep = false;
	int rc = in->type == MSG_AGENT_RESULT_4 ? run_v4_get(in, &r, &err) : run_get(in, &r, &err);

	if (rc < 0) {
		agent_kill_worker(ag, err.msg);
	} else if (ag->run && !strcmp(r.id, agent_run_id(ag))) {
		if (ag->adopted) {
			/* The run finished before this supervisor's WORK_STATE_REQ was read. */
			ag->adopted = false;
			ag->reported = true;
			agent_tell_fleet(ag, FLEET_EV_HELLO);
			agent_tell_fleet(ag, FLEET_EV_BUSY);
		}
		runs_complete(ag->run, &r, units_now_wall_ms());
		count_cost(ag);
		agent_store_terminal(ag);
		keep = true;
	}
	/* Else an earlier supervisor has recorded the run and died before it consumed the
	 * message. */
	run_clear(&r);
	return keep;
}

/* Returns whether the next message may be read. */
static bool handle_message(struct agent *ag, size_t len)
{
	struct msg_reader in;
	struct err err;
	int fd;

	switch (msg_open(&in, ag->all->buf, len, MSG_TO_SUPERVISOR_W, &err)) {
	case MSG_AGENT_HELLO: on_hello(ag, &in); break;
	case MSG_AGENT_STATE: on_state(ag, &in); break;
	case MSG_AGENT_STARTED: on_started(ag, &in); break;
	case MSG_AGENT_PLANNED: on_planned(ag, &in); break;
	case MSG_AGENT_LOG: on_log(ag, &in); break;
	case MSG_AGENT_RESULT_4:
	case MSG_AGENT_RESULT:
		if (on_result(ag, &in))
			return false;
		break;
	default: agent_kill_worker(ag, err.msg); break;
	}
	chan_recv(ag->fd, ag->all->buf, &len, &fd, false, NULL);
	if (fd >= 0)
		close(fd);
	return true;
}

void agent_read(struct agent *ag)
{
	struct err err;
	size_t len;
	int fd;

	while (ag->fd >= 0 && !ag->eof && !ag->committing) {
		switch (chan_recv(ag->fd, ag->all->buf, &len, &fd, true, &err)) {
		case CHAN_OK:
			if (!handle_message(ag, len))
				return;
			break;
		case CHAN_AGAIN: return;
		case CHAN_ERROR: agent_kill_worker(ag, err.msg); /* fall through */
		case CHAN_EOF:
			ag->eof = true;
			agent_watch(ag);
			break;
		}
	}
}
