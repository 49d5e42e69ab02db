/* SPDX-License-Identifier: MIT */
/* What the parts of the supervisor share.  main.c owns all of it. */
#ifndef K6FLEET_SUPERVISOR_H
#define K6FLEET_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/k6version.h"
#include "common/msg.h"
#include "common/sandbox_layers.h"
#include "supervisor/fleet.h"
#include "supervisor/schedule.h"
#include "supervisor/fleet_store.h"
#include "supervisor/targets.h"

struct ev_loop;
struct keeper_link;
struct agents;
struct sync;
struct control;
struct reload;
struct follow;
struct logs;
struct commands;

#define METRICS_LAG_BUCKETS 9

/* Counted where it happens, by these functions only. */
struct metrics {
	uint64_t runs[4]; /* by enum run_status */
	uint64_t storms;
	uint64_t requests[600]; /* to the dashboard, by status; 0: no answer */
	uint64_t k6_cpu_ms;     /* of finished runs */
	int64_t k6_max_rss_bytes, k6_max_tmp_bytes;
	uint64_t lag_buckets[METRICS_LAG_BUCKETS], lag_count, lag_sum_ms;
};

struct supervisor {
	struct conf *conf;
	struct ev_loop *loop;
	struct keeper_link *keeper;
	struct fleet *fleet;
	struct schedule *schedule;
	struct fleet_store *store;
	struct targets *targets;
	struct agents *agents;
	struct sync *sync; /* NULL: no dashboard configured */
	struct control *control;
	struct reload *reload; /* who waits for one */
	struct follow *follow;
	struct logs *logs;
	struct commands *commands;
	struct metrics metrics;
	int64_t started_mono_ms;
	int keeper_pid;
	int64_t memory_bytes; /* that there is, as the keeper found it */
	enum sandbox_level sandbox_level;
	uint32_t sandbox_layers, supervisor_restarts;
	char k6_version[K6VERSION_MAX]; /* "": there is no k6 */
	/* The desired count and the revision it belongs to; the higher one wins everywhere. */
	unsigned int desired;
	int64_t revision;
	bool handed_over, stopping, stop_now, paused;
	enum fleet_store_state storage; /* as the schedule was told */
	json_t *held;                   /* slots drained before, until they are handed over */
};

/* A new desired count, kept across restarts. */
void supervisor_set_desired(
	struct supervisor *sup, unsigned int count, int64_t revision, bool now, const char *who);
/* No new runs until it is taken back, also across restarts; with now those that go on are
 * cancelled. */
void supervisor_pause(struct supervisor *sup, bool paused, bool now, const char *who);
/* What keeps all runs from being started. */
enum msg_obstacle supervisor_obstacle(const struct supervisor *sup);
/* Starts none while there is such a thing. */
void supervisor_apply_pause(struct supervisor *sup);
/* What is to be done about a k6 that is missing, the caller frees; NULL: there is one. */
char *supervisor_no_k6(const struct supervisor *sup);
/* After a change of the configuration: its ceilings and delays. */
void supervisor_configure_fleet(struct supervisor *sup);
/* ... and limits for what runs at a time. */
void supervisor_configure_schedule(struct supervisor *sup);
/* Drains one agent and leaves it stopped until restart or scale; kept across restarts. */
void supervisor_hold(struct supervisor *sup, unsigned int slot, const char *who);
/* New workers for these slots: at once, or in turns with their runs finished first. */
void supervisor_restart(struct supervisor *sup, const unsigned int *slots, size_t count,
	bool rolling, const char *who);
/* Drain and stop; with now without waiting for runs. */
void supervisor_stop(struct supervisor *sup, bool now);
/* Counts of agents for status: desired, up, with a k6. */
unsigned int supervisor_running(const struct supervisor *sup);
unsigned int supervisor_busy(const struct supervisor *sup);

#endif
