/* SPDX-License-Identifier: MIT */
/*
 * k6fleet-supervisor decides everything and holds no privilege.  k6fleetd starts it with a fixed
 * set of descriptors (keeper/handover.h).  It may crash at any instant: what must not be lost is in
 * the store, in the workers' sockets or in the keeper.
 */
#include "config.h"

#include <ev.h>
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
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/title.h"
#include "common/units.h"
#include "keeper/handover.h"
#include "supervisor/handed.h"
#include "supervisor/metrics_http.h"
#include "supervisor/supervisor.h"
#include "supervisor/tuning.h"
#include "supervisor/verbs.h"

/* The time that the last messages have to reach the keeper. */
#define FLUSH_MS 3000

static struct supervisor supervisor;
static bool handing_over;

/* --- messages from the keeper ------------------------------------------------------ */

static void on_hello(struct supervisor *sup, struct msg_reader *in)
{
	struct msg_keeper_hello hello;

	msg_get_keeper_hello(in, &hello);
	if (hello.protocol != MSG_PROTOCOL)
		fatal(1,
			"the keeper speaks protocol %u, not %u; k6fleetd and k6fleet-supervisor must be of "
			"one version",
			hello.protocol, MSG_PROTOCOL);
	sup->host.memory_bytes = hello.memory_bytes;
	sup->host.supervisor_restarts = hello.supervisor_restarts;
	sup->host.sandbox_level = (enum sandbox_level)hello.sandbox_level;
	sup->host.sandbox_layers = hello.sandbox_layers;
	sup->host.started_mono_ms = hello.started_mono_ms;
	msg_text_copy(sup->host.k6_version, sizeof(sup->host.k6_version), hello.k6_version);
	tuning_schedule(sup->schedule, sup->conf, sup->host.memory_bytes);
	targets_set_clock(sup->targets, hello.clock_offset_ms);
	control_set_groups(sup->control, hello.control_gid, hello.read_gid);
}

static void on_k6(struct supervisor *sup, struct msg_reader *in)
{
	struct msg_keeper_k6 k6;

	msg_get_keeper_k6(in, &k6);
	msg_text_copy(sup->host.k6_version, sizeof(sup->host.k6_version), k6.version);
	/* The registration tells the dashboard the version of k6. */
	sync_agents_changed(sup->sync);
	agents_renew(sup->agents, false);
}

static void on_worker(struct supervisor *sup, struct msg_reader *in, int fd)
{
	struct msg_keeper_worker worker;

	msg_get_keeper_worker(in, &worker);
	agents_on_worker(sup->agents, &worker, fd);
}

static void on_exited(struct supervisor *sup, struct msg_reader *in)
{
	struct msg_keeper_exited exited;

	msg_get_keeper_exited(in, &exited);
	agents_on_exited(sup->agents, &exited);
}

static void on_spawn_failed(struct supervisor *sup, struct msg_reader *in)
{
	struct msg_keeper_spawn_failed failed;

	msg_get_keeper_spawn_failed(in, &failed);
	agents_on_spawn_failed(sup->agents, &failed);
}

static void on_file(struct msg_reader *in, int fd)
{
	struct msg_keeper_file file;

	msg_get_keeper_file(in, &file);
	handed_take(&file, fd);
}

static void on_reloaded(struct supervisor *sup, struct msg_reader *in)
{
	struct msg_keeper_reloaded reloaded;

	msg_get_keeper_reloaded(in, &reloaded);
	reload_done(sup->reload, &reloaded);
}

/* All workers are known: the supervisor begins to act. */
static void on_handed_over(struct supervisor *sup)
{
	agents_on_handed_over(sup->agents);
	desired_begin(sup->desired);
	agents_renew(sup->agents, true);
	control_start(sup->control);
	sync_start(sup->sync);
}

/* Ends this process so that another supervisor can go on.  What was accepted is committed at the
 * end; everything else is in sockets, where the next supervisor finds it. */
static void hand_over(struct supervisor *sup)
{
	log_event(LOG_LEVEL_INFO, "supervisor", "handing over",
		LOG_INT("running", fleet_running(sup->fleet)),
		LOG_INT("busy", fleet_busy(sup->fleet)));
	reload_handed_over(sup->reload);
	control_flush(sup->control);
	handing_over = true;
	ev_break(sup->loop, EVBREAK_ALL);
}

static void on_signal(struct supervisor *sup, struct msg_reader *in)
{
	struct msg_keeper_signal signal;

	msg_get_keeper_signal(in, &signal);
	if (signal.what == MSG_SIGNAL_DRAIN || signal.what == MSG_SIGNAL_NOW)
		desired_stop(sup->desired, signal.what == MSG_SIGNAL_NOW);
	else if (signal.what == MSG_SIGNAL_HAND_OVER)
		hand_over(sup);
}

static void on_keeper_message(void *arg, const void *data, size_t len, int fd)
{
	struct supervisor *sup = arg;
	struct msg_reader in;
	struct err err;

	switch (msg_open(&in, data, len, MSG_TO_SUPERVISOR_K, &err)) {
	case MSG_KEEPER_WORKER: on_worker(sup, &in, fd); return;
	case MSG_KEEPER_FILE: on_file(&in, fd); return;
	case MSG_KEEPER_HELLO: on_hello(sup, &in); break;
	case MSG_KEEPER_HANDED_OVER: on_handed_over(sup); break;
	case MSG_KEEPER_EXITED: on_exited(sup, &in); break;
	case MSG_KEEPER_SPAWN_FAILED: on_spawn_failed(sup, &in); break;
	case MSG_KEEPER_SIGNAL: on_signal(sup, &in); break;
	case MSG_KEEPER_K6: on_k6(sup, &in); break;
	case MSG_KEEPER_RELOADED: on_reloaded(sup, &in); break;
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

/* --- what parts tell each other ------------------------------------------------------- */

static void on_run_ended(void *arg, const struct run *run)
{
	struct supervisor *sup = arg;

	metrics_count_run(&sup->metrics, run->status, run->has[RUN_RESOURCES] ? run->lag_ms : -1);
}

static void on_run_left(void *arg)
{
	struct supervisor *sup = arg;

	follow_changed(sup->follow);
}

static void on_run_cost(void *arg, int64_t cpu_ms, int64_t max_rss_bytes, int64_t tmp_bytes)
{
	struct supervisor *sup = arg;

	metrics_count_cost(&sup->metrics, cpu_ms, max_rss_bytes, tmp_bytes);
}

static void on_worker_came(void *arg, unsigned int slot)
{
	struct supervisor *sup = arg;

	logs_worker_came(sup->logs, slot);
}

static void on_worker_log(
	void *arg, unsigned int slot, const char *run_id, bool first, const char *text, size_t len)
{
	struct supervisor *sup = arg;

	logs_take(sup->logs, slot, run_id, first, text, len);
}

static void on_storm(void *arg)
{
	struct supervisor *sup = arg;

	metrics_count_storm(&sup->metrics);
}

static void on_dashboard_request(void *arg, int status)
{
	struct supervisor *sup = arg;

	metrics_count_request(&sup->metrics, status);
}

static char *on_metrics_wanted(void *arg)
{
	const struct supervisor *sup = arg;

	return metrics_text(&sup->sources);
}

static void on_request(void *arg, struct control_ticket ticket, const json_t *request)
{
	verbs_handle(arg, ticket, request);
}

/* Wipes and frees what handed_read_secret() has returned. */
static void wipe_secret(char *secret)
{
	if (secret)
		mem_wipe(secret, strlen(secret));
	free(secret);
}

/* Each part takes from the new configuration what it needs.  A worker is replaced only if its
 * part of the configuration has changed, and only when it is idle. */
static void on_new_conf(void *arg, const struct conf *old, const struct conf *conf)
{
	struct supervisor *sup = arg;
	char *secret = handed_read_secret();

	sup->conf = conf;
	log_init("k6fleet-supervisor", (enum log_level)conf->log_level, conf->log_format == 1);
	turn_reconfigure(sup->turn, conf);
	tuning_fleet(sup->fleet, conf);
	tuning_schedule(sup->schedule, conf, sup->host.memory_bytes);
	agents_reconfigure(sup->agents, conf);
	targets_reconfigure(sup->targets, conf);
	if (conf->dashboard.url[0])
		fleet_store_use_outbox(sup->store);
	sync_reconfigure(sup->sync, conf, secret);
	if (desired_reconfigure(sup->desired, conf))
		sync_scaled(sup->sync);
	if (conf_workers_differ(old, conf))
		agents_renew(sup->agents, false);
	wipe_secret(secret);
}

/* --- start -------------------------------------------------------------------------------- */

/* Safe: the filter only takes system calls away: from here on no exec and no child process, for
 * this thread and all threads that it starts later, so it is loaded before the first of them.
 * Without seccomp in the kernel the keeper has logged a warning or refused to start. */
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

/* Fleet, schedule, and what the store says of both.  All synchronous reads come before the
 * store's thread: a connection has one user at a time.  running gets the runs that are still
 * running. */
static void restore(
	struct supervisor *sup, struct run_list *running, bool workers_option, bool again)
{
	struct fleet_config fleet = {.max_slots = LIMIT_WORKERS};
	json_t *origins;
	struct err err;

	if (getrandom(&fleet.seed, sizeof(fleet.seed), 0) < 0)
		fleet.seed = (uint64_t)units_now_mono_ms();
	srandom((unsigned int)fleet.seed);
	open_store(sup);
	sup->kept = kept_load(sup->store);
	if (fleet_store_running(sup->store, running, &err) < 0 ||
		fleet_store_origins(sup->store, &origins, &err) < 0)
		fatal(1,
			"state_dir %s: %s; put a backup of supervisor.db in its place, or what `sqlite3 supervisor.db .recover` saves of it",
			sup->conf->state_dir, err.msg);
	sup->fleet = fleet_new(&fleet);
	tuning_fleet(sup->fleet, sup->conf);
	sup->schedule = schedule_new(LIMIT_WORKERS, (enum schedule_phase)sup->conf->schedule.phase);
	sup->desired = desired_new(
		&(struct desired_parts){sup->conf, sup->kept, sup->fleet, sup->schedule},
		workers_option, again);
	sup->targets = targets_new(sup->conf, sup->schedule, sup->store, sup->kept, origins);
	if (fleet_store_start(sup->store, &err) < 0)
		fatal(1, "%s", err.msg);
}

static void make_agents(struct supervisor *sup, struct run_list *running)
{
	const struct agents_parts parts = {
		.loop = sup->loop,
		.conf = sup->conf,
		.host = &sup->host,
		.fleet = sup->fleet,
		.schedule = sup->schedule,
		.store = sup->store,
		.targets = sup->targets,
		.keeper = sup->keeper,
		.events = {.arg = sup,
			.run_ended = on_run_ended,
			.run_left = on_run_left,
			.run_cost = on_run_cost,
			.worker_came = on_worker_came,
			.worker_log = on_worker_log,
			.storm = on_storm},
	};
	struct err err;

	sup->agents = agents_new(&parts, HANDOVER_FD_HEARTBEATS, running, &err);
	if (!sup->agents)
		fatal(1, "%s", err.msg);
	sup->orders = (struct orders_parts){
		sup->agents, sup->targets, sup->schedule, {&sup->host, sup->store, sup->desired}};
}

static void make_sync(struct supervisor *sup, const char *secret)
{
	const struct sync_parts parts = {
		.loop = sup->loop,
		.conf = sup->conf,
		.host = &sup->host,
		.store = sup->store,
		.targets = sup->targets,
		.agents = sup->agents,
		.commands = sup->commands,
		.desired = sup->desired,
		.count_request = on_dashboard_request,
		.arg = sup,
	};
	struct err err;

	sup->sync = sync_new(&parts, secret, &err);
	if (!sup->sync)
		fatal(1, "%s", err.msg);
}

static void make_metrics(struct supervisor *sup)
{
	sup->sources = (struct metrics_sources){
		.counters = &sup->metrics,
		.host = &sup->host,
		.fleet = sup->fleet,
		.schedule = sup->schedule,
		.store = sup->store,
		.desired = sup->desired,
		.agents = sup->agents,
		.sync = sup->sync,
	};
	if (handed_has(HANDOVER_FD_METRICS))
		metrics_http_start(sup->loop, HANDOVER_FD_METRICS, on_metrics_wanted, sup);
}

static void make_turn(struct supervisor *sup)
{
	const struct turn_parts parts = {
		.loop = sup->loop,
		.conf = sup->conf,
		.keeper = sup->keeper,
		.store = sup->store,
		.fleet = sup->fleet,
		.schedule = sup->schedule,
		.desired = sup->desired,
		.agents = sup->agents,
		.sync = sup->sync,
		.waits = sup->waits,
		.follow = sup->follow,
		.logs = sup->logs,
		.obstacle = sup->orders.obstacle,
	};

	sup->turn = turn_new(&parts);
}

/* Makes the lowest parts first, because each part is given those below it. */
static void make_parts(struct supervisor *sup, struct conf *conf, bool workers_option, bool again)
{
	struct run_list running = {0};
	char *secret = handed_read_secret();

	sup->keeper = keeper_link_new(sup->loop, HANDOVER_FD_KEEPER,
		&(struct keeper_link_events){sup, on_keeper_message, on_keeper_lost});
	restore(sup, &running, workers_option, again);
	make_agents(sup, &running);
	run_list_clear(&running);
	sup->follow = follow_new(sup->agents, sup->store);
	sup->logs = logs_new(sup->agents);
	sup->commands = commands_new(&(struct commands_parts){
		sup->kept, sup->targets, sup->agents, sup->desired, sup->orders});
	make_sync(sup, secret);
	wipe_secret(secret);
	sup->control = control_new(sup->loop, HANDOVER_FD_LISTEN, on_request, sup);
	sup->waits = fleet_waits_new(sup->fleet, sup->desired);
	sup->reload = reload_new(sup->keeper, conf, on_new_conf, sup);
	make_turn(sup);
	make_metrics(sup);
}

/* Closes the store, and thereby commits all queued tasks, before it tells the keeper to end. */
static void free_parts(struct supervisor *sup)
{
	turn_free(sup->turn);
	control_free(sup->control);
	fleet_waits_free(sup->waits);
	sync_free(sup->sync);
	commands_free(sup->commands);
	logs_free(sup->logs);
	agents_free(sup->agents);
	targets_free(sup->targets);
	fleet_store_close(sup->store);
	follow_free(sup->follow);
	if (!handing_over)
		keeper_link_send_simple(sup->keeper, MSG_KEEP_QUIT);
	keeper_link_flush(sup->keeper, FLUSH_MS);
	keeper_link_free(sup->keeper);
	desired_free(sup->desired);
	kept_free(sup->kept);
	schedule_free(sup->schedule);
	fleet_free(sup->fleet);
	reload_free(sup->reload);
}

/* --check-handover: returns 0 if this binary speaks the keeper's protocol, else 1. */
static int check_handover(const char *protocol)
{
	char own[16];

	for (int known = MSG_PROTOCOL_OLDEST; known <= MSG_PROTOCOL; known++) {
		snprintf(own, sizeof(own), "%d", known);
		if (!strcmp(protocol, own))
			return 0;
	}
	fprintf(stderr, "k6fleet-supervisor %s speaks protocol %s, not \"%s\"\n", PACKAGE_VERSION,
		own, protocol);
	return 1;
}

struct options {
	bool workers_option, again;
};

/* May end the process. */
static struct options parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{"workers-option", no_argument, NULL, 'n'},
		{"again", no_argument, NULL, 'A'},
		{"check-handover", required_argument, NULL, 'H'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {0};
	int c;

	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		switch (c) {
		case 'n': o.workers_option = true; break;
		case 'A': o.again = true; break;
		case 'H': exit(check_handover(optarg));
		default:
			args_end(c, "k6fleet-supervisor",
				"usage: k6fleet-supervisor is started by k6fleetd, not by hand\n");
		}
	}
	return o;
}

static void ignore_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	/* Ctrl-C reaches the whole process group, but only the keeper tells this process to
	 * stop. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

int main(int argc, char **argv)
{
	struct supervisor *sup = &supervisor;
	struct options o;
	struct conf *conf;
	struct err err;

	title_init(argc, argv);
	log_init("k6fleet-supervisor", LOG_LEVEL_INFO, false);
	o = parse_options(argc, argv);
	ignore_signals();
	umask(0077);
	handed_reserve_numbers();
	if (handed_has(HANDOVER_FD_JOURNAL))
		log_use_journal(HANDOVER_FD_JOURNAL);
	conf = handed_read_config(&err);
	if (!conf)
		fatal(handed_has(HANDOVER_FD_CONFIG) ? 1 : 2, "%s", err.msg);
	sup->conf = conf;
	confine_self();
	log_init("k6fleet-supervisor", (enum log_level)conf->log_level, conf->log_format == 1);
	title_set("k6fleet-superv", "k6fleetd: supervisor");
	sup->host.started_mono_ms = units_now_mono_ms();
	sup->host.keeper_pid = (int)getppid();
	sup->loop = ev_default_loop(EVFLAG_NOSIGMASK);
	if (!sup->loop)
		fatal(1, "cannot make an event loop");
	make_parts(sup, conf, o.workers_option, o.again);
	ev_run(sup->loop, 0);
	free_parts(sup);
	return 0;
}
