/* SPDX-License-Identifier: MIT */
/*
 * The dashboard's database: agents, hosts, targets, runs, the desired count.  SQLite in WAL
 * mode; every call is one transaction, so an answer that was sent is on disk.
 */
#ifndef K6FLEET_DASHBOARD_STORE_H
#define K6FLEET_DASHBOARD_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/target.h"

struct store;

struct store_desired {
	int64_t agents, revision;
};

struct store_host {
	const char *host, *version, *k6_version, *sandbox;
	bool managed, has_desired;
	int64_t max_agents;
	struct store_desired desired; /* as the host has it */
};

/* One registration or heartbeat of an agent; texts are borrowed, NULL where unknown. */
struct store_agent {
	const char *name, *version, *k6_version, *status, *current_run_id;
	int64_t slot, restarts, rss_bytes; /* -1: unknown */
	const json_t *progress;
};

struct store_run_filter {
	const char *target_id, *agent, *host, *status, *sort; /* NULL: any */
	int64_t from_ms, to_ms;                               /* 0: open */
	int64_t page, page_size;
	int64_t before_seq; /* of those that began at to_ms - 1: before this one; 0: all */
};

enum store_upsert { STORE_ACCEPTED, STORE_IGNORED };

struct store_upserted {
	enum store_upsert what;
	bool changed;   /* it was not there like this before */
	bool corrected; /* in place of what the reaper had guessed */
	char *text;     /* where it has changed: as lists have it; the caller frees it */
};

/* What a run has measured; NAN: not reported. */
struct store_sample {
	int64_t started_ms;
	const char *target_id, *status;
	double http_reqs, answered, rps, error_rate, p95_ms;
	bool has_quantiles;
	double quantiles[101];
};

struct store_reaped {
	int64_t runs_timed_out, agents_offline, agents_deleted;
};

/* In the order of their start. */
/* A run as it is taken in. */
struct store_run {
	json_t *json;       /* as lists give it: without log and quantiles */
	int64_t started_ms; /* never 0 */
	json_t *log;        /* text or null */
	double *quantiles;  /* 101, NULL: none */
};
typedef void store_sample_fn(void *arg, const struct store_sample *sample);

/* Checks it first when it was not closed last time. */
struct store *store_open(const char *path, struct err *err);
void store_close(struct store *s);
/* An online copy that is complete in itself. */
int store_backup(struct store *s, const char *path, struct err *err);

/* A group of writes; on -1 nothing of it has happened. */
int store_begin(struct store *s, struct err *err);
int store_commit(struct store *s, struct err *err);
void store_rollback(struct store *s);

/* --- hosts and the desired count; within a transaction ----------------------- */
/* Registers the host, settles whose count is newer, gives a new host its share. */
int store_register_host(struct store *s, const struct store_host *host, int64_t now_ms,
	int64_t online_ms, struct store_desired *out, struct err *err);
/* The host has been heard of.  out is {0, 0} for a host nobody registered. */
int store_touch_host(struct store *s, const char *host, int64_t now_ms, struct store_desired *out,
	struct err *err);
/* 1: done, 0: no such host. */
int store_scale_host(struct store *s, const char *host, int64_t agents, struct store_desired *out,
	struct err *err);
/* Sets the total and spreads it over the hosts heard of within online_ms. */
int store_set_total(
	struct store *s, int64_t total, int64_t now_ms, int64_t online_ms, struct err *err);
/* Spreads the total anew, with a new revision. */
int store_reconcile(struct store *s, int64_t now_ms, int64_t online_ms, struct err *err);
int store_get_total(struct store *s, struct store_desired *out, struct err *err);
json_t *store_list_hosts(struct store *s, int64_t now_ms, int64_t online_ms, struct err *err);

/* --- agents ----------------------------------------------------------------------- */
/* id_out has 37 bytes. */
int store_register_agent(struct store *s, const char *host, const struct store_agent *agent,
	int64_t now_ms, char *id_out, struct err *err);
/* 1: done, 0: unknown.  news (NULL: nobody asks): it is not as it was at the last one. */
int store_heartbeat(struct store *s, const char *host, const struct store_agent *agent,
	int64_t now_ms, bool *news, struct err *err);
json_t *store_get_agent(struct store *s, const char *host, const char *name, struct err *err);
json_t *store_list_agents(struct store *s, struct err *err);

/* --- targets ------------------------------------------------------------------------ */
int store_insert_target(struct store *s, struct target *t, int64_t now_ms, struct err *err);
/* Target with createdAt and updatedAt; NULL without err text when there is none.  Filled when
 * t is not NULL. */
json_t *store_get_target(
	struct store *s, const char *id, bool mask, struct target **t, struct err *err);
/* 1: done, 0: no such target. */
int store_update_target(struct store *s, const struct target *t, int64_t now_ms, struct err *err);
int store_delete_target(struct store *s, const char *id, struct err *err);
json_t *store_list_targets(struct store *s, bool mask, struct err *err);
/* 1: one has this label (id gets its id, 37 bytes), 2: several, 0: none. */
int store_find_target(struct store *s, const char *label, char *id, struct err *err);
/* Whether there is, or was, such a target: one of the dashboard or one that runs are known of. */
int store_knows_target(struct store *s, const char *id, struct err *err);
/* Those that the host shall run: enabled ones, and those that a command for it names. */
json_t *store_list_targets_for(struct store *s, const char *host, int64_t now_ms, struct err *err);

/* --- commands for hosts -------------------------------------------------------------- */
#define STORE_COMMAND_LIFE_MS (5 * 60 * 1000)
/* What is made is appended to `made` as {"id","type","host","agents"}; nothing where no host that was
 * heard of within online_ms has agents.  Within a transaction. */
int store_command_run(struct store *s, const char *target_id, int64_t agents, bool sync,
	int64_t now_ms, int64_t online_ms, json_t *made, struct err *err);
int store_command_cancel(struct store *s, const char *run_id, const char *host, int64_t now_ms,
	json_t *made, struct err *err);
/* The kill switch and its undoing, for all managed hosts and those that come back later.  Orders are appended
 * to `made`. */
int store_command_pause(
	struct store *s, bool pause, bool at_once, int64_t now_ms, json_t *made, struct err *err);
bool store_is_paused(struct store *s);
/* A host that was away when the fleet was paused or resumed is told, too. */
int store_command_catch_up(struct store *s, const char *host, int64_t now_ms, struct err *err);
/* As the host is told of them. */
json_t *store_list_commands(struct store *s, const char *host, int64_t now_ms, struct err *err);
/* The host has carried it out; an id that is not known is fine. */
int store_command_done(struct store *s, const char *host, const char *id, struct err *err);
int store_expire_commands(struct store *s, int64_t now_ms, struct err *err);

/* --- runs ------------------------------------------------------------------------------ */
int store_upsert_run(
	struct store *s, const struct store_run *run, struct store_upserted *out, struct err *err);
/* The next `limit` runs of the filter, newest first, and moves the filter behind them (to_ms, before_seq); array. */
json_t *store_next_runs(
	struct store *s, struct store_run_filter *filter, int limit, struct err *err);
/* As lists have it, without log and quantiles. */
json_t *store_get_run_row(struct store *s, const char *id, struct err *err);
json_t *store_list_runs(struct store *s, const struct store_run_filter *filter, struct err *err);
/* The target's last `limit` runs, newest first: id, status, startedAt, p95_ms, error_rate of each. */
json_t *store_recent_runs(struct store *s, const char *target_id, int limit, struct err *err);
/* NULL without err text when there is none. */
json_t *store_get_run(struct store *s, const char *id, struct err *err);

/* --- charts ------------------------------------------------------------------------------ */
#define STORE_POINTS_MAX 5000
/* {"step","points":[…]} of the target's runs that began in from..to.  Steps of whole hours begin at whole hours
 * and are put together from the hourly rollups. */
json_t *store_series(struct store *s, const char *target_id, int64_t from_ms, int64_t to_ms,
	int64_t step_s, struct err *err);
/* Rolls up one hour of one target that has changed and is over.  1: there may be more to do, 0: no. */
int store_rollup_step(struct store *s, int64_t now_ms, struct err *err);
/* Rollups of hours before that go. */
int store_expire_rollups(struct store *s, int64_t before_ms, struct err *err);
/* Differs whenever something may have been written since, by whomever. */
int64_t store_version(struct store *s);
/* What of a run goes into sums; its texts are borrowed. */
void store_sample_of(const struct store_run *run, struct store_sample *out);
/* Calls each() with every run that has ended and began at or after since_ms, oldest first. */
int store_each_sample(
	struct store *s, int64_t since_ms, store_sample_fn *each, void *arg, struct err *err);

/* --- audit --------------------------------------------------------------------------------- */
struct store_audit {
	const char *who, *address, *action, *object;
	const json_t *detail; /* NULL: none */
};
/* Within the transaction of the change. */
int store_add_audit(
	struct store *s, const struct store_audit *entry, int64_t now_ms, struct err *err);
/* {"items","page","pageSize","total"}, newest first. */
json_t *store_list_audit(struct store *s, int64_t page, int64_t page_size, struct err *err);

/* --- overview ------------------------------------------------------------------------------ */
/* {"agents":{status: count},"hosts","targets"} */
json_t *store_counts(struct store *s, struct err *err);

/* The four rules of the reaper, and retention.  What has changed is appended to `changed`: ["run", id, ""],
 * ["agent", host, name]. */
int store_reap(struct store *s, int64_t now_ms, int64_t run_timeout_ms, int64_t offline_ms,
	int64_t delete_ms, bool keep_runs, struct store_reaped *out, json_t *changed,
	struct err *err);
/* Those that the next reaping will give up, as it will leave them. */
int store_each_overdue(struct store *s, int64_t now_ms, int64_t run_timeout_ms,
	store_sample_fn *each, void *arg, struct err *err);
/* 1: there may be more to delete, 0: no. */
int store_expire(struct store *s, int64_t before_ms, struct err *err);

#endif
