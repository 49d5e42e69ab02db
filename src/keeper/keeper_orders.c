/* SPDX-License-Identifier: MIT */
/* Carries out the orders of the supervisor.  Each order is checked; a supervisor that sends
 * nonsense is killed. */
#include "config.h"

#include "keeper/keeper_orders.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "keeper/notify.h"
#include "keeper/reload.h"
#include "keeper/supervisor_link.h"
#include "keeper/upgrade.h"

static void order_spawn(struct keeper *k, struct msg_reader *in)
{
	struct msg_keep_spawn order;
	struct err err;

	msg_get_keep_spawn(in, &order);
	if (order.slot >= k->children.count || k->children.slots[order.slot].used ||
		order.generation == 0) {
		supervisor_link_kill(
			k, "asked for a worker in a slot that does not exist or is taken");
		return;
	}
	if (children_spawn(&k->children, order.slot, order.generation, order.restarts, &err) == 0) {
		supervisor_link_tell_worker(k, order.slot, true);
	} else {
		const struct msg_keeper_spawn_failed failed = {
			.slot = order.slot,
			.generation = order.generation,
			.why = msg_text(err.msg),
		};
		struct msg_writer m = {0};

		msg_put_keeper_spawn_failed(&m, &failed);
		supervisor_link_tell(k, &m, -1);
	}
}

static void order_kill(struct keeper *k, struct msg_reader *in)
{
	struct msg_keep_kill order;
	struct child *c;

	msg_get_keep_kill(in, &order);
	if (order.slot >= k->children.count || (order.sig != SIGTERM && order.sig != SIGKILL)) {
		supervisor_link_kill(k, "asked for a kill that makes no sense");
		return;
	}
	/* A worker that has just ended or been replaced is no error: the order was sent before
	 * the supervisor knew. */
	c = children_find(&k->children, order.slot, order.generation);
	/* Safe: the supervisor names slots, never pids. */
	if (c)
		children_signal(&k->children, c, (int)order.sig);
}

static void order_forget(struct keeper *k, struct msg_reader *in)
{
	struct msg_keep_forget order;
	struct child *c;

	msg_get_keep_forget(in, &order);
	c = children_find(&k->children, order.slot, order.generation);
	if (!c || c->alive) {
		supervisor_link_kill(k, "asked to forget a worker that lives or never was");
		return;
	}
	children_forget(&k->children, c);
}

static void tell_systemd(struct msg_reader *in)
{
	static const char *const dashboards[] = {[MSG_DASHBOARD_NONE] = "no dashboard",
		[MSG_DASHBOARD_OK] = "dashboard ok",
		[MSG_DASHBOARD_UNREACHABLE] = "dashboard unreachable"};
	static const char *const obstacles[] = {[MSG_OBSTACLE_NONE] = "",
		[MSG_OBSTACLE_PAUSED] = ", paused",
		[MSG_OBSTACLE_STORAGE] = ", no place for results: no runs",
		[MSG_OBSTACLE_K6] = ", k6 is missing: no runs"};
	_Static_assert(ARRAY_SIZE(dashboards) == MSG_DASHBOARD_UNREACHABLE + 1, "a text each");
	_Static_assert(ARRAY_SIZE(obstacles) == MSG_OBSTACLE_K6 + 1, "a text each");
	struct msg_keep_status s;

	msg_get_keep_status(in, &s);
	notify_send("STATUS=%u/%u agents, %u running, %s%s", s.running, s.desired, s.busy,
		dashboards[s.dashboard < ARRAY_SIZE(dashboards) ? s.dashboard : MSG_DASHBOARD_NONE],
		obstacles[s.obstacle < ARRAY_SIZE(obstacles) ? s.obstacle : MSG_OBSTACLE_NONE]);
}

/* Logs how the keeper came up, when the first supervisor works. */
static void announce(const struct keeper *k)
{
	const struct sandbox *sb = &k->sandbox;
	char landlock[16] = "no";

	log_event(LOG_LEVEL_INFO, "k6fleetd", "started", LOG_WORD("version", PACKAGE_VERSION),
		LOG_INT("pid", getpid()), LOG_WORD("socket", k->conf->control_socket),
		LOG_WORD("sandbox", sandbox_level_name(sb->level)),
		LOG_QUOTED("k6", k->k6_version[0] ? k->k6_version : "missing"));
	if (sb->layers & SANDBOX_LAYER_LANDLOCK)
		snprintf(landlock, sizeof(landlock), "ABI-%d", sb->landlock);
	log_event(LOG_LEVEL_INFO, "sandbox", "made",
		LOG_WORD("sandbox", sandbox_level_name(sb->level)),
		LOG_YES_NO("seccomp", (sb->layers & SANDBOX_LAYER_SECCOMP) != 0),
		LOG_WORD("landlock", landlock),
		LOG_YES_NO("cgroup", (sb->layers & SANDBOX_LAYER_CGROUP) != 0),
		LOG_ERROR(k->no_cgroup.msg));
	if (k->no_k6.msg[0])
		log_error("k6", "%s; no runs are started until then", k->no_k6.msg);
	if (k->no_metrics.msg[0])
		log_warn("metrics", "metrics_listen: %s; going on without the endpoint",
			k->no_metrics.msg);
}

static void order_reload(struct keeper *k, struct msg_reader *in)
{
	struct msg_keep_reload order;

	msg_get_keep_reload(in, &order);
	if (order.binary)
		upgrade_begin(k, order.asker);
	else
		keeper_reload(k, order.asker);
}

static void handle_order(struct keeper *k, size_t len)
{
	struct msg_reader in;
	struct err err;

	k->sup_heard_ms = units_now_mono_ms();
	switch (msg_open(&in, k->buf, len, MSG_TO_KEEPER, &err)) {
	case MSG_KEEP_SPAWN: order_spawn(k, &in); break;
	case MSG_KEEP_KILL: order_kill(k, &in); break;
	case MSG_KEEP_FORGET: order_forget(k, &in); break;
	case MSG_KEEP_READY: notify_send("READY=1"); break;
	case MSG_KEEP_PING:
		if (!k->ever_seen)
			announce(k);
		k->ever_seen = k->handover.again = true;
		notify_send("WATCHDOG=1");
		break;
	case MSG_KEEP_STATUS: tell_systemd(&in); break;
	case MSG_KEEP_RELOAD: order_reload(k, &in); break;
	case MSG_KEEP_QUIT: k->quit = true; break;
	default: supervisor_link_kill(k, err.msg); break;
	}
}

void keeper_orders_read(struct keeper *k)
{
	struct err err;
	size_t len;
	int fd;

	while (k->sup_chan >= 0 && !k->quit) {
		enum chan_result res = chan_recv(k->sup_chan, k->buf, &len, &fd, false, &err);

		if (res == CHAN_AGAIN)
			return;
		if (res == CHAN_EOF) {
			supervisor_link_drop(k);
			return;
		}
		if (fd >= 0)
			close(fd);
		if (res == CHAN_ERROR) {
			supervisor_link_kill(k, err.msg);
			return;
		}
		handle_order(k, len);
	}
}
