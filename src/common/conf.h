/* SPDX-License-Identifier: MIT */
/*
 * The configuration of k6fleetd.  The keeper loads it from root's file and hands it to the
 * supervisor in effective form. Nothing changes it once it is loaded.  k6fleetd.conf(5) explains
 * each key.
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

/* Where the packages of k6 install it. */
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

/* Loads defaults, the file (NULL: none) and the environment.  Messages call the file `name`;
 * dashboard is the default of dashboard.url (NULL: "").  The caller frees the result with
 * conf_free().  Returns NULL and err if a value is refused. */
struct conf *conf_load(FILE *f, const char *name, const char *dashboard, struct err *err);
void conf_free(struct conf *conf);
/* Loads what conf_print() wrote, with scripts, without looking at the environment: the
 * supervisor gets exactly the keeper's configuration. */
struct conf *conf_load_effective(FILE *f, struct err *err);
/* Writes the effective configuration in a form that conf_load() reads back to the same.  scripts
 * adds the content of script_file: the keeper does so for the supervisor, which may not open the
 * file. */
void conf_print(const struct conf *conf, bool scripts, FILE *out);
/* When a change of a key takes effect. */
enum conf_effect {
	CONF_EFFECT_NOW,
	/* With the next worker of each agent, which replaces the present one when it is idle. */
	CONF_EFFECT_WORKERS,
	CONF_EFFECT_RESTART, /* only with a new start of k6fleetd */
};

typedef void conf_change(
	void *arg, const char *key, const char *from, const char *to, enum conf_effect effect);

/* For a reload: sets the keys of conf that cannot change in a running k6fleetd back to their
 * running values, and writes their names to `kept`, separated by ", ". */
void conf_inherit(struct conf *conf, const struct conf *running, FILE *kept);
/* Calls change() for each key and each target that differs, with its values as text ("(hidden)"
 * for secrets). */
void conf_diff(const struct conf *from, const struct conf *to, conf_change *change, void *arg);
/* Whether a key with CONF_EFFECT_WORKERS differs, so that workers must be replaced. */
bool conf_workers_differ(const struct conf *from, const struct conf *to);
/* Writes the name of the agent in a slot to buf and returns buf. */
const char *conf_agent_name(const struct conf *conf, unsigned int slot, char *buf, size_t size);
/* Sets a top-level key from the command line, checked like a value of the file.  Returns 0, or
 * -1 and err. */
int conf_set(struct conf *conf, const char *key, const char *value, struct err *err);

#endif
