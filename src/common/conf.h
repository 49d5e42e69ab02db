/* SPDX-License-Identifier: MIT */
/*
 * The configuration of k6fleetd, read by the keeper (file of root's own) and, from the same
 * descriptor, by the supervisor.  Immutable once loaded.  Meaning of each key: k6fleetd.conf(5).
 */
#ifndef K6FLEET_CONF_H
#define K6FLEET_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"
#include "common/limits.h"
#include "common/optab.h"
#include "common/target.h"

/* What max_workers may be at most, and what tables are made for. */
#define CONF_WORKERS_MAX LIMIT_WORKERS
/* Where k6's own packages put it. */
#define CONF_K6_BINARY "/usr/bin/k6"

enum conf_sandbox { CONF_SANDBOX_REQUIRE, CONF_SANDBOX_TRY, CONF_SANDBOX_OFF };
enum conf_phase { CONF_PHASE_SPREAD, CONF_PHASE_ALIGNED, CONF_PHASE_RANDOM };

struct conf {
	int64_t workers, max_workers;
	char *agent_name, *host_name, *user, *agent_user;
	char *control_socket, *control_group, *control_read_group;
	char *state_dir, *metrics_listen;
	int sandbox;
	struct opt_list require_layers;
	int64_t history_ms, history_bytes;
	int log_level, log_format;
	int64_t worker_heartbeat_ms, worker_timeout_ms, drain_timeout_ms, run_grace_ms;
	struct opt_list allowed_hosts;
	struct {
		char *url, *secret_file, *ca_file, *client_cert, *client_key;
		int64_t poll_ms, heartbeat_ms, timeout_ms;
	} dashboard;
	struct {
		char *binary;
		int64_t vus, duration_ms;
		struct opt_list args, env;
	} k6;
	struct {
		char *tmp_dir;
		int64_t tmp_bytes, home_bytes, memory_bytes, open_files, processes, file_bytes,
			cpu_time_ms, cpu_percent, core_bytes;
	} limits;
	struct {
		int64_t min_delay_ms, max_delay_ms, stable_after_ms;
	} restart;
	struct {
		int phase;
		int64_t max_concurrent_runs, max_per_target;
		char *memory_budget;
	} schedule;
	struct target **targets;
	size_t target_count;
};

/* f may be NULL: defaults and environment only.  name is for messages; dashboard is the URL where none
 * is configured, NULL: none.  Returns NULL and err. */
struct conf *conf_load(FILE *f, const char *name, const char *dashboard, struct err *err);
void conf_free(struct conf *conf);
/* The supervisor's way to the same: what conf_print() wrote is all there is, the environment has been
 * looked at. */
struct conf *conf_load_effective(FILE *f, struct err *err);
/* Effective configuration, in a form that conf_load() reads back to the same.  With scripts
 * what script_file named is spelled out: the form that the keeper hands to the supervisor. */
void conf_print(const struct conf *conf, bool scripts, FILE *out);
/* When a change of a key takes effect. */
enum conf_effect {
	CONF_EFFECT_NOW,
	CONF_EFFECT_WORKERS, /* with the agents' next workers, which come as they fall idle */
	CONF_EFFECT_RESTART, /* only with a new start of k6fleetd */
};

typedef void conf_change(
	void *arg, const char *key, const char *from, const char *to, enum conf_effect effect);

/* For a reload: keys that cannot be changed in a running k6fleetd keep the values that they have
 * there; their names are written to `kept`, separated by ", ". */
void conf_inherit(struct conf *conf, const struct conf *running, FILE *kept);
/* Calls change() for each key, and each target, that differs. */
void conf_diff(const struct conf *from, const struct conf *to, conf_change *change, void *arg);
/* Whether workers of the one are not as workers of the other would be. */
bool conf_workers_differ(const struct conf *from, const struct conf *to);
/* Agent name of a slot into buf. */
const char *conf_agent_name(const struct conf *conf, unsigned int slot, char *buf, size_t size);
/* Command-line overrides, checked like the file's values. */
int conf_set(struct conf *conf, const char *key, const char *value, struct err *err);

#endif
