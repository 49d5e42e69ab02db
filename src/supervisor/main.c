/* SPDX-License-Identifier: MIT */
/*
 * k6fleet-supervisor: decides everything, holds no privilege.  Started by k6fleetd with a fixed
 * set of descriptors (keeper/handover.h); of no use by itself.  May crash at any instant: what
 * must not be lost is in the store, in the workers' sockets or in the keeper.
 */
#include "config.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/args.h"
#include "common/filter.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/title.h"
#include "common/units.h"
#include "keeper/handover.h"
#include "supervisor/agents.h"
#include "supervisor/commands.h"
#include "supervisor/control.h"
#include "supervisor/follow.h"
#include "supervisor/handed.h"
#include "supervisor/keeper_link.h"
#include "supervisor/logs.h"
#include "supervisor/metrics_http.h"
#include "supervisor/reload.h"
#include "supervisor/supervisor.h"
#include "supervisor/sync.h"
#include "supervisor/wishes.h"

#define TICK_S 1.0
#define PRUNE_S 60.0
/* After the last worker has gone, what waits for the dashboard gets this long. */
#define FAREWELL_MS 3000

struct app {
	struct supervisor sup;
	ev_timer wake, tick, prune;
	ev_prepare prepare;
	bool ready_sent, handing_over;
	int64_t farewell_by_ms;
	unsigned int last_running, last_busy, last_desired, last_dashboard, last_extent;
	enum msg_obstacle last_obstacle;
	int64_t last_outbox;
};

static struct app app;

unsigned int supervisor_running(const struct supervisor *sup)
{
	return fleet_running(sup->fleet);
}

unsigned int supervisor_busy(const struct supervisor *sup)
{
	return fleet_count(sup->fleet, FLEET_RUNNING) + fleet_count(sup->fleet, FLEET_DRAINING);
}

/* --- messages from the keeper ------------------------------------------------------ */

static void on_hello(struct msg_reader *in)
{
	struct msg_keeper_hello hello;

	msg_get_keeper_hello(in, &hello);
	if (hello.protocol != MSG_PROTOCOL)
		fatal(1,
			"the keeper speaks protocol %u, not %u; k6fleetd and k6fleet-supervisor must be of "
			"one version",
			hello.protocol, MSG_PROTOCOL);
	app.sup.memory_bytes = hello.memory_bytes;
	supervisor_configure_schedule(&app.sup);
	app.sup.supervisor_restarts = hello.supervisor_restarts;
	app.sup.sandbox_level = (enum sandbox_level)hello.sandbox_level;
	app.sup.sandbox_layers = hello.sandbox_layers;
	app.sup.started_mono_ms = hello.started_mono_ms;
	targets_set_clock(app.sup.targets, hello.clock_offset_ms);
	msg_text_copy(app.sup.k6_version, sizeof(app.sup.k6_version), hello.k6_version);
	supervisor_apply_pause(&app.sup);
	control_set_groups(app.sup.control, hello.control_gid, hello.read_gid);
}

static void on_k6(struct msg_reader *in)
{
	struct msg_keeper_k6 k6;

	msg_get_keeper_k6(in, &k6);
	msg_text_copy(app.sup.k6_version, sizeof(app.sup.k6_version), k6.version);
	supervisor_apply_pause(&app.sup);
	/* The dashboard hears of it with a registration. */
	if (app.sup.sync)
		sync_agents_changed(app.sup.sync);
	agents_renew(app.sup.agents, false);
}

static void on_worker(struct msg_reader *in, int fd)
{
	struct msg_keeper_worker worker;

	msg_get_keeper_worker(in, &worker);
	agents_on_worker(app.sup.agents, &worker, fd);
}

static void on_exited(struct msg_reader *in)
{
	struct msg_keeper_exited exited;

	msg_get_keeper_exited(in, &exited);
	agents_on_exited(app.sup.agents, &exited);
}

static void on_spawn_failed(struct msg_reader *in)
{
	struct msg_keeper_spawn_failed failed;
	_cleanup_free_ char *why = NULL;

	msg_get_keeper_spawn_failed(in, &failed);
	why = msg_text_dup(failed.why);
	agents_on_spawn_failed(app.sup.agents, failed.slot, failed.generation, why);
}

/* Another supervisor goes on.  What this one has accepted is committed; the rest is where the next
 * one will find it. */
static void hand_over(struct supervisor *sup)
{
	log_event(LOG_LEVEL_INFO, "supervisor", "handing over",
		LOG_INT("running", supervisor_running(sup)), LOG_INT("busy", supervisor_busy(sup)));
	reload_handed_over(sup);
	control_flush(sup->control);
	app.handing_over = true;
	ev_break(sup->loop, EVBREAK_ALL);
}

static void on_signal(struct supervisor *sup, struct msg_reader *in)
{
	struct msg_keeper_signal signal;

	msg_get_keeper_signal(in, &signal);
	if (signal.what == MSG_SIGNAL_DRAIN || signal.what == MSG_SIGNAL_NOW)
		supervisor_stop(sup, signal.what == MSG_SIGNAL_NOW);
	else if (signal.what == MSG_SIGNAL_HAND_OVER)
		hand_over(sup);
}

static void on_keeper_message(void *arg, const void *data, size_t len, int fd)
{
	struct supervisor *sup = arg;
	struct msg_keeper_file file;
	struct msg_reader in;
	struct err err;

	switch (msg_open(&in, data, len, MSG_TO_SUPERVISOR_K, &err)) {
	case MSG_KEEPER_HELLO: on_hello(&in); break;
	case MSG_KEEPER_WORKER: on_worker(&in, fd); return;
	case MSG_KEEPER_HANDED_OVER:
		agents_on_handed_over(sup->agents);
		sup->handed_over = true;
		wishes_restore_held(sup);
		wishes_apply(sup, sup->stopping && sup->stop_now);
		agents_renew(sup->agents, true);
		control_start(sup->control);
		if (sup->sync)
			sync_start(sup->sync);
		break;
	case MSG_KEEPER_EXITED: on_exited(&in); break;
	case MSG_KEEPER_SPAWN_FAILED: on_spawn_failed(&in); break;
	case MSG_KEEPER_SIGNAL: on_signal(sup, &in); break;
	case MSG_KEEPER_FILE:
		msg_get_keeper_file(&in, &file);
		handed_take(&file, fd);
		return;
	case MSG_KEEPER_K6: on_k6(&in); break;
	case MSG_KEEPER_RELOADED: reload_done(sup, &in); break;
	default: fatal(1, "from the keeper: %s", err.msg);
	}
	if (fd >= 0)
		close(fd);
}

/* Without the keeper there are no workers, and nothing is left to supervise. */
static void on_keeper_lost(void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		fatal(1, "cannot talk to the keeper: %s", err->msg);
	exit(0);
}

/* --- the end -------------------------------------------------------------------------- */

/* Everything has stopped: the last records get a moment to reach the dashboard. */
static void check_farewell(int64_t now)
{
	struct supervisor *sup = &app.sup;

	if (!sup->stopping || !fleet_is_empty(sup->fleet))
		return;
	if (!app.farewell_by_ms)
		app.farewell_by_ms = now + FAREWELL_MS;
	if (sync_state(sup->sync) == SYNC_CONNECTED && fleet_store_outbox_count(sup->store) > 0 &&
		now < app.farewell_by_ms)
		return;
	ev_break(sup->loop, EVBREAK_ALL);
}

/* --- once a turn of the loop ------------------------------------------------------------ */

static enum msg_dashboard dashboard_state(enum sync_state state)
{
	switch (state) {
	case SYNC_NONE: return MSG_DASHBOARD_NONE;
	case SYNC_CONNECTED: return MSG_DASHBOARD_OK;
	case SYNC_UNREACHABLE:
	case SYNC_CONNECTING:
	case SYNC_REFUSED: break;
	}
	return MSG_DASHBOARD_UNREACHABLE;
}

static void report_changes(void)
{
	struct supervisor *sup = &app.sup;
	unsigned int running = supervisor_running(sup), busy = supervisor_busy(sup);
	enum msg_dashboard dashboard = dashboard_state(sync_state(sup->sync));
	unsigned int extent = fleet_extent(sup->fleet);
	int64_t outbox = fleet_store_outbox_count(sup->store);
	enum msg_obstacle obstacle = supervisor_obstacle(sup);
	struct msg_writer m = {0};

	if (outbox > app.last_outbox && sup->sync)
		sync_kick_outbox(sup->sync);
	app.last_outbox = outbox;
	if (extent != app.last_extent && sup->sync)
		sync_agents_changed(sup->sync);
	app.last_extent = extent;
	if (!app.ready_sent && sup->handed_over && fleet_is_reached(sup->fleet)) {
		app.ready_sent = true;
		keeper_link_send_simple(app.sup.keeper, MSG_KEEP_READY);
	}
	if (running == app.last_running && busy == app.last_busy &&
		sup->desired == app.last_desired && dashboard == app.last_dashboard &&
		obstacle == app.last_obstacle)
		return;
	app.last_running = running;
	app.last_busy = busy;
	app.last_desired = sup->desired;
	app.last_dashboard = dashboard;
	app.last_obstacle = obstacle;
	msg_put_keep_status(&m,
		&(struct msg_keep_status){.desired = sup->desired,
			.running = running,
			.busy = busy,
			.dashboard = dashboard,
			.obstacle = obstacle});
	keeper_link_send(sup->keeper, &m);
}

/* Without a place for their records no runs are started: what comes due counts as missed. */
static void follow_storage(struct supervisor *sup)
{
	enum fleet_store_state now = fleet_store_state(sup->store);

	if (now == sup->storage)
		return;
	sup->storage = now;
	supervisor_apply_pause(sup);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct supervisor *sup = &app.sup;
	int64_t now = units_now_mono_ms(), next, fleet_next;

	(void)w;
	(void)revents;
	if (!sup->handed_over)
		return;
	follow_storage(sup);
	agents_pump(sup->agents, now);
	report_changes();
	control_fleet_changed(sup->control);
	follow_settle(sup->follow);
	check_farewell(now);
	next = schedule_deadline(sup->schedule);
	fleet_next = fleet_deadline(sup->fleet);
	if (fleet_next < next)
		next = fleet_next;
	ev_timer_stop(loop, &app.wake);
	if (next != INT64_MAX) {
		ev_now_update(loop);
		/* One ms more than asked: the loop may round down and would then turn idly. */
		ev_timer_set(&app.wake, next > now ? (double)(next - now) / 1000 + 0.0005 : 0., 0.);
		ev_timer_start(loop, &app.wake);
	}
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
	/* Nothing: waking the loop runs on_prepare. */
	(void)loop;
	(void)w;
	(void)revents;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	keeper_link_send_simple(app.sup.keeper, MSG_KEEP_PING);
	agents_check_heartbeats(app.sup.agents, units_now_mono_ms());
	follow_tick(app.sup.follow);
	logs_tick(app.sup.logs);
	if (fleet_store_state(app.sup.store) != FLEET_STORE_OK)
		fleet_store_probe(app.sup.store);
}

static void on_prune(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	fleet_store_prune(app.sup.store, units_now_wall_ms() - app.sup.conf->history_ms,
		app.sup.conf->history_bytes);
}

/* --- start -------------------------------------------------------------------------------- */

/* Safe: the filter only takes system calls away: from here on no exec and no child process, for this
 * thread and all threads that it starts later, so it is loaded before the first of them.  Without seccomp in the kernel
 * the keeper has logged a warning or refused to start. */
static void confine_self(void)
{
	struct err err;

	if (filter_confine_self(FILTER_SUPERVISOR, &err) < 0 && err.code != ERR_UNSUPPORTED)
		fatal(1, "%s", err.msg);
}

static void open_store(struct supervisor *sup)
{
	char dir[64];
	struct err err;

	snprintf(dir, sizeof(dir), "/proc/self/fd/%d", HANDOVER_FD_STATE_DIR);
	sup->store = fleet_store_open(sup->loop, dir, !sup->conf->dashboard.url[0], &err);
	if (!sup->store)
		fatal(1, "state_dir %s: %s (it must belong to user \"%s\" and have space left)",
			sup->conf->state_dir, err.msg, sup->conf->user);
}

static void make_parts(struct supervisor *sup, bool workers_option, bool again, char *secret)
{
	struct fleet_config fleet = {.max_slots = CONF_WORKERS_MAX};
	struct run_list running = {0};
	json_t *origins;
	struct err err;

	if (getrandom(&fleet.seed, sizeof(fleet.seed), 0) < 0)
		fleet.seed = (uint64_t)units_now_mono_ms();
	srandom((unsigned int)fleet.seed);
	open_store(sup);
	wishes_restore_desired(sup, workers_option, again);
	origins = fleet_store_running(sup->store, &running, &err) < 0
		? NULL
		: fleet_store_origins(sup->store, &err);
	if (!origins)
		fatal(1, "state_dir %s: %s", sup->conf->state_dir, err.msg);
	sup->fleet = fleet_new(&fleet);
	supervisor_configure_fleet(sup);
	sup->schedule =
		schedule_new(CONF_WORKERS_MAX, (enum schedule_phase)sup->conf->schedule.phase);
	wishes_restore_paused(sup);
	sup->held = wishes_load_held(sup->store);
	sup->commands = commands_new(sup);
	/* All synchronous reads come before the thread: a connection has one user at a time. */
	sup->targets = targets_new(sup->conf, sup->schedule, sup->store, origins);
	if (fleet_store_start(sup->store, &err) < 0)
		fatal(1, "%s", err.msg);
	wishes_remember(sup, workers_option);
	sup->follow = follow_new(sup);
	sup->logs = logs_new(sup);
	sup->agents = agents_new(sup, HANDOVER_FD_HEARTBEATS, &running, &err);
	run_list_clear(&running);
	if (!sup->agents)
		fatal(1, "%s", err.msg);
	if (sup->conf->dashboard.url[0]) {
		sup->sync = sync_new(sup, secret ? secret : "", &err);
		if (!sup->sync)
			fatal(1, "%s", err.msg);
	}
	if (secret) {
		mem_wipe(secret, strlen(secret));
		free(secret);
	}
	sup->control = control_new(sup, HANDOVER_FD_LISTEN);
	if (handed_has(HANDOVER_FD_METRICS))
		metrics_http_start(sup, HANDOVER_FD_METRICS);
}

static void start_watchers(struct supervisor *sup)
{
	ev_prepare_init(&app.prepare, on_prepare);
	ev_prepare_start(sup->loop, &app.prepare);
	ev_init(&app.wake, on_wake);
	ev_timer_init(&app.tick, on_tick, 0., TICK_S);
	ev_timer_start(sup->loop, &app.tick);
	ev_timer_init(&app.prune, on_prune, 5., PRUNE_S);
	ev_timer_start(sup->loop, &app.prune);
}

/* Whether a keeper that speaks this protocol can be served. */
static int check_handover(const char *protocol)
{
	char own[16];

	snprintf(own, sizeof(own), "%d", MSG_PROTOCOL);
	if (!strcmp(protocol, own))
		return 0;
	fprintf(stderr, "k6fleet-supervisor %s speaks protocol %s, not \"%s\"\n", PACKAGE_VERSION,
		own, protocol);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{"workers-option", no_argument, NULL, 'n'},
		{"again", no_argument, NULL, 'A'},
		{"check-handover", required_argument, NULL, 'H'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct supervisor *sup = &app.sup;
	bool workers_option = false, again = false;
	struct err err;
	char *secret;
	int c;

	title_init(argc, argv);
	log_init("k6fleet-supervisor", LOG_LEVEL_INFO, false);
	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		switch (c) {
		case 'n': workers_option = true; break;
		case 'A': again = true; break;
		case 'H': return check_handover(optarg);
		default:
			args_end(c, "k6fleet-supervisor",
				"usage: k6fleet-supervisor is started by k6fleetd, not by hand\n");
		}
	}
	signal(SIGPIPE, SIG_IGN);
	/* Ctrl-C reaches the whole process group; when to stop is the keeper's to say. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	umask(0077);
	handed_reserve_numbers();
	if (handed_has(HANDOVER_FD_JOURNAL))
		log_use_journal(HANDOVER_FD_JOURNAL);
	sup->conf = handed_read_config(&err);
	if (!sup->conf)
		fatal(handed_has(HANDOVER_FD_CONFIG) ? 1 : 2, "%s", err.msg);
	confine_self();
	log_init("k6fleet-supervisor", (enum log_level)sup->conf->log_level,
		sup->conf->log_format == 1);
	title_set("k6fleet-superv", "k6fleetd: supervisor");
	secret = handed_read_secret();
	sup->started_mono_ms = units_now_mono_ms();
	sup->keeper_pid = (int)getppid();
	sup->loop = ev_default_loop(EVFLAG_NOSIGMASK);
	if (!sup->loop)
		fatal(1, "cannot make an event loop");
	sup->keeper = keeper_link_new(sup->loop, HANDOVER_FD_KEEPER,
		&(struct keeper_link_events){sup, on_keeper_message, on_keeper_lost});
	make_parts(sup, workers_option, again, secret);
	start_watchers(sup);
	ev_run(sup->loop, 0);

	/* Asked to stop, and done: first what is written must be on disk, then the keeper may go. */
	control_free(sup->control);
	sync_free(sup->sync);
	agents_free(sup->agents);
	targets_free(sup->targets);
	fleet_store_close(sup->store);
	if (!app.handing_over)
		keeper_link_send_simple(app.sup.keeper, MSG_KEEP_QUIT);
	keeper_link_flush(sup->keeper, FAREWELL_MS);
	keeper_link_free(sup->keeper);
	schedule_free(sup->schedule);
	fleet_free(sup->fleet);
	conf_free(sup->conf);
	return 0;
}
