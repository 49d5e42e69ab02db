/* SPDX-License-Identifier: MIT */
/* Labels have values of fixed lists only, so the number of series is bounded. */
#include "config.h"

#include "supervisor/metrics_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/prom.h"
#include "common/run.h"
#include "common/units.h"

json_t *metrics_text_load(const struct metrics_sources *from)
{
	const struct schedule_limits *limits = schedule_limits(from->schedule);
	struct schedule_load load = schedule_load(from->schedule);

	return json_pack("{s:I, s:I, s:I, s:s?, s:I, s:I}", "active", (json_int_t)load.active,
		"waiting", (json_int_t)load.waiting, "queued", (json_int_t)load.queued, "blockedBy",
		load.block == SCHEDULE_FREE ? NULL : schedule_block_names[load.block],
		"memoryUsedBytes", (json_int_t)load.used_bytes, "memoryBudgetBytes",
		(json_int_t)limits->budget_bytes);
}

static void put_workers(FILE *f, const struct metrics_sources *from)
{
	prom_one(f, "k6fleet_workers_desired", "gauge", "Desired number of agents.",
		desired_count(from->desired));
	prom_head(f, "k6fleet_workers", "gauge", "Agents by state.");
	for (int i = 0; i < FLEET_STATE_COUNT; i++) {
		unsigned int n = fleet_count(from->fleet, (enum fleet_state)i);

		/* Unwanted slots above the extent are not agents. */
		if (i == FLEET_STOPPED)
			n = fleet_extent(from->fleet) - fleet_occupied(from->fleet);
		fprintf(f, "k6fleet_workers{state=\"%s\"} %u\n", fleet_state_names[i], n);
	}
	prom_head(f, "k6fleet_worker_restarts_total", "counter",
		"Workers that were replaced, by reason.");
	for (int i = 0; i < AGENTS_RESTART_COUNT; i++)
		fprintf(f, "k6fleet_worker_restarts_total{reason=\"%s\"} %llu\n",
			agents_restart_names[i],
			(unsigned long long)agents_restart_count(
				from->agents, (enum agents_restart)i));
	prom_one(f, "k6fleet_worker_storms_total", "counter",
		"Times that most workers died within a second.", (double)from->counters->storms);
	prom_one(f, "k6fleet_supervisor_restarts_total", "counter",
		"Supervisors that died or hung and were replaced, since the start of k6fleetd.",
		from->host->supervisor_restarts);
}

static void put_runs(FILE *f, const struct metrics_sources *from)
{
	const struct metrics *m = from->counters;

	prom_head(f, "k6fleet_runs_total", "counter", "Runs that have ended, by status.");
	for (int i = 0; i < RUN_STATUS_COUNT; i++)
		fprintf(f, "k6fleet_runs_total{status=\"%s\"} %llu\n", run_status_names[i],
			(unsigned long long)m->runs[i]);
	prom_one(f, "k6fleet_runs_missed_total", "counter",
		"Instants that passed without their run.",
		(double)schedule_missed_total(from->schedule));
	prom_head(f, "k6fleet_run_lag_seconds", "histogram",
		"Delay of the start of k6 after the instant of its run.");
	for (int i = 0; i < METRICS_LAG_BUCKETS; i++)
		fprintf(f, "k6fleet_run_lag_seconds_bucket{le=\"%g\"} %llu\n",
			(double)metrics_lag_bounds_ms[i] / 1000,
			(unsigned long long)m->lag_buckets[i]);
	fprintf(f,
		"k6fleet_run_lag_seconds_bucket{le=\"+Inf\"} %llu\nk6fleet_run_lag_seconds_sum %.15g\n"
		"k6fleet_run_lag_seconds_count %llu\n",
		(unsigned long long)m->lag_count, (double)m->lag_sum_ms / 1000,
		(unsigned long long)m->lag_count);
	prom_one(f, "k6fleet_paused", "gauge", "1 while an operator's pause lets no run start.",
		desired_is_paused(from->desired));
}

/* Returns how near the limits are; 1: the next run has to wait. */
static double saturation(const struct schedule_limits *limits, const struct schedule_load *load)
{
	double runs = limits->max_runs ? (double)load->active / limits->max_runs : 0;
	double memory =
		limits->budget_bytes ? (double)load->used_bytes / (double)limits->budget_bytes : 0;

	if (load->block != SCHEDULE_FREE)
		return 1;
	return fmin(1, fmax(runs, memory));
}

static void put_schedule(FILE *f, const struct metrics_sources *from)
{
	const struct schedule_limits *limits = schedule_limits(from->schedule);
	struct schedule_load load = schedule_load(from->schedule);

	prom_one(f, "k6fleet_runs_active", "gauge", "Running runs.", load.active);
	prom_one(f, "k6fleet_runs_waiting", "gauge",
		"Due runs that wait for their agent or for a limit.", load.waiting);
	prom_one(f, "k6fleet_runs_queued", "gauge",
		"Idle agents that wait for a limit only: schedule.max_concurrent_runs, "
		"schedule.max_per_target or schedule.memory_budget.",
		load.queued);
	prom_head(f, "k6fleet_queue_blocked", "gauge",
		"1 for the limit that the next run waits for.");
	for (int i = SCHEDULE_BY_RUNS; i <= SCHEDULE_BY_MEMORY; i++)
		fprintf(f, "k6fleet_queue_blocked{limit=\"%s\"} %d\n", schedule_block_names[i],
			(int)load.block == i);
	prom_one(f, "k6fleet_saturation_ratio", "gauge",
		"Used share of the limits; 1: the next run waits.", saturation(limits, &load));
	prom_one(f, "k6fleet_memory_used_bytes", "gauge",
		"Memory that running k6 use or are expected to use.", (double)load.used_bytes);
	prom_one(f, "k6fleet_memory_budget_bytes", "gauge",
		"Memory that all running k6 may use together; 0: no limit.",
		(double)limits->budget_bytes);
	prom_one(f, "k6fleet_k6_cpu_seconds_total", "counter", "CPU time of finished runs.",
		(double)from->counters->k6_cpu_ms / 1000);
	prom_one(f, "k6fleet_k6_max_rss_bytes", "gauge",
		"Highest memory use of a k6 since the start of this supervisor.",
		(double)from->counters->k6_max_rss_bytes);
	prom_one(f, "k6fleet_k6_max_tmp_bytes", "gauge",
		"Largest content of a run's tmpfs since the start of this supervisor.",
		(double)from->counters->k6_max_tmp_bytes);
}

static void put_dashboard(FILE *f, const struct metrics_sources *from)
{
	int64_t contact = sync_last_contact_ms(from->sync);

	prom_one(f, "k6fleet_storage_ok", "gauge",
		"0 while the local store fails and no runs are started.",
		fleet_store_state(from->store) == FLEET_STORE_OK);
	prom_one(f, "k6fleet_outbox_runs", "gauge",
		"Runs that the dashboard has not acknowledged yet.",
		(double)fleet_store_outbox_count(from->store));
	prom_one(f, "k6fleet_dashboard_connected", "gauge", "1 while the dashboard responds.",
		sync_state(from->sync) == SYNC_CONNECTED);
	if (contact >= 0)
		prom_one(f, "k6fleet_dashboard_last_contact_seconds", "gauge",
			"Time since the last response of the dashboard.", (double)contact / 1000);
	prom_head(f, "k6fleet_dashboard_requests_total", "counter",
		"Requests to the dashboard, by status; none: no response.");
	for (size_t i = 0; i < ARRAY_SIZE(from->counters->requests); i++) {
		char code[16] = "none";

		if (i)
			snprintf(code, sizeof(code), "%zu", i);
		if (!i || from->counters->requests[i])
			fprintf(f, "k6fleet_dashboard_requests_total{code=\"%s\"} %llu\n", code,
				(unsigned long long)from->counters->requests[i]);
	}
}

/* Version, uptime and CPU of the supervisor itself. */
static void put_process(FILE *f, const struct metrics_sources *from)
{
	struct rusage u;

	prom_head(f, "k6fleet_build_info", "gauge", "Versions, as labels.");
	fprintf(f, "k6fleet_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	prom_one(f, "k6fleet_uptime_seconds", "gauge", "Time since the start of k6fleetd.",
		(double)(units_now_mono_ms() - from->host->started_mono_ms) / 1000);
	if (getrusage(RUSAGE_SELF, &u) == 0)
		prom_one(f, "process_cpu_seconds_total", "counter", "CPU time of the supervisor.",
			(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
				(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

char *metrics_text(const struct metrics_sources *from)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		fatal(1, "out of memory");
	put_workers(f, from);
	put_runs(f, from);
	put_schedule(f, from);
	put_dashboard(f, from);
	put_process(f, from);
	fclose(f);
	return text;
}

json_t *metrics_text_counters(const struct metrics_sources *from)
{
	const struct metrics *m = from->counters;
	json_t *restarts = json_object(), *runs = json_object(), *requests = json_object();

	for (int i = 0; i < AGENTS_RESTART_COUNT; i++)
		json_object_set_new(restarts, agents_restart_names[i],
			json_integer((json_int_t)agents_restart_count(
				from->agents, (enum agents_restart)i)));
	for (int i = 0; i < RUN_STATUS_COUNT; i++)
		json_object_set_new(
			runs, run_status_names[i], json_integer((json_int_t)m->runs[i]));
	for (size_t i = 0; i < ARRAY_SIZE(m->requests); i++) {
		char code[16] = "none";

		if (i)
			snprintf(code, sizeof(code), "%zu", i);
		if (m->requests[i])
			json_object_set_new(
				requests, code, json_integer((json_int_t)m->requests[i]));
	}
	return json_pack("{s:o, s:I, s:o, s:I, s:o}", "restarts", restarts, "storms",
		(json_int_t)m->storms, "runs", runs, "missed",
		(json_int_t)schedule_missed_total(from->schedule), "dashboardRequests", requests);
}
