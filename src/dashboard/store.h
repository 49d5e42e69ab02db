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

#include "common/body.h"
#include "common/err.h"
#include "common/target.h"

struct dash_store;

struct dash_store_desired {
	int64_t agents, revision;
};

struct dash_store_host {
	const char *host, *version, *k6_version, *sandbox;
	bool managed, has_desired;
	int64_t max_agents;
	struct dash_store_desired desired; /* as the host has it */
};

struct dash_store_run_filter {
	const char *target_id, *agent, *host, *status, *sort; /* NULL: any */
	int64_t from_ms, to_ms;                               /* 0: open */
	int64_t page, page_size;
	int64_t before_seq; /* of those that began at to_ms - 1: before this one; 0: all */
};

enum dash_store_upsert { DASH_STORE_ACCEPTED, DASH_STORE_IGNORED };

struct dash_store_upserted {
	enum dash_store_upsert what;
	bool changed;   /* it was not there like this before */
	bool corrected; /* in place of what the reaper had guessed */
	char *text;     /* where it has changed: as lists have it; the caller frees it */
};

/* What a run has measured; NAN: not reported. */
struct dash_store_sample {
	int64_t started_ms;
	const char *target_id, *status;
	double http_reqs, answered, rps, error_rate, p95_ms;
	bool has_quantiles;
	double quantiles[101];
};

struct dash_store_reaped {
	int64_t runs_timed_out, agents_offline, agents_deleted;
};

/* In the order of their start. */
/* A run as it is taken in. */
struct dash_store_run {
	json_t *json;       /* as lists give it: without log and quantiles */
	int64_t started_ms; /* never 0 */
	json_t *log;        /* text or null */
	double *quantiles;  /* 101, NULL: none */
};
typedef void dash_store_sample_fn(void *arg, const struct dash_store_sample *sample);

/* Checks it first when it was not closed last time. */
struct dash_store *dash_store_open(const char *path, struct err *err);
void dash_store_close(struct dash_store *s);
/* An online copy that is complete in itself. */
int dash_store_backup(struct dash_store *s, const char *path, struct err *err);

/* A group of writes; on -1 nothing of it has happened. */
int dash_store_begin(struct dash_store *s, struct err *err);
int dash_store_commit(struct dash_store *s, struct err *err);
void dash_store_rollback(struct dash_store *s);

/* --- hosts and the desired count; within a transaction ----------------------- */
/* Registers the host, settles whose count is newer, gives a new host its share. */
int dash_store_register_host(struct dash_store *s, const struct dash_store_host *host,
	int64_t now_ms, int64_t online_ms, struct dash_store_desired *out, struct err *err);
/* The host has been heard of.  out is {0, 0} for a host nobody registered. */
int dash_store_touch_host(struct dash_store *s, const char *host, int64_t now_ms,
	struct dash_store_desired *out, struct err *err);
/* 1: done, 0: no such host. */
int dash_store_scale_host(struct dash_store *s, const char *host, int64_t agents,
	struct dash_store_desired *out, struct err *err);
/* Sets the total and spreads it over the hosts heard of within online_ms. */
int dash_store_set_total(
	struct dash_store *s, int64_t total, int64_t now_ms, int64_t online_ms, struct err *err);
/* Spreads the total anew, with a new revision. */
int dash_store_reconcile(struct dash_store *s, int64_t now_ms, int64_t online_ms, struct err *err);
int dash_store_get_total(struct dash_store *s, struct dash_store_desired *out, struct err *err);
json_t *dash_store_list_hosts(
	struct dash_store *s, int64_t now_ms, int64_t online_ms, struct err *err);

/* --- agents ----------------------------------------------------------------------- */
/* id_out has 37 bytes. */
int dash_store_register_agent(struct dash_store *s, const char *host,
	const struct body_agent_registration *agent, int64_t now_ms, char *id_out, struct err *err);
/* 1: done, 0: unknown.  news (NULL: nobody asks): it is not as it was at the last one. */
int dash_store_heartbeat(struct dash_store *s, const char *host,
	const struct body_agent_heartbeat *agent, int64_t now_ms, bool *news, struct err *err);
json_t *dash_store_get_agent(
	struct dash_store *s, const char *host, const char *name, struct err *err);
json_t *dash_store_list_agents(struct dash_store *s, struct err *err);

/* --- targets ------------------------------------------------------------------------ */
int dash_store_insert_target(
	struct dash_store *s, struct target *t, int64_t now_ms, struct err *err);
/* Target with createdAt and updatedAt; NULL without err text when there is none.  Filled when
 * t is not NULL. */
json_t *dash_store_get_target(
	struct dash_store *s, const char *id, bool mask, struct target **t, struct err *err);
/* 1: done, 0: no such target. */
int dash_store_update_target(
	struct dash_store *s, const struct target *t, int64_t now_ms, struct err *err);
int dash_store_delete_target(struct dash_store *s, const char *id, struct err *err);
json_t *dash_store_list_targets(struct dash_store *s, bool mask, struct err *err);
/* 1: one has this label (id gets its id, 37 bytes), 2: several, 0: none. */
int dash_store_find_target(struct dash_store *s, const char *label, char *id, struct err *err);
/* Whether there is, or was, such a target: one of the dashboard or one that runs are known of. */
int dash_store_knows_target(struct dash_store *s, const char *id, struct err *err);
/* Those that the host shall run: enabled ones, and those that a command for it names. */
json_t *dash_store_list_targets_for(
	struct dash_store *s, const char *host, int64_t now_ms, struct err *err);

/* --- commands for hosts -------------------------------------------------------------- */
#define DASH_STORE_COMMAND_LIFE_MS (5 * 60 * 1000)
/* What is made is appended to `made` as {"id","type","host","agents"}; nothing where no host that was
 * heard of within online_ms has agents.  Within a transaction. */
int dash_store_command_run(struct dash_store *s, const char *target_id, int64_t agents, bool sync,
	int64_t now_ms, int64_t online_ms, json_t *made, struct err *err);
int dash_store_command_cancel(struct dash_store *s, const char *run_id, const char *host,
	int64_t now_ms, json_t *made, struct err *err);
/* The kill switch and its undoing, for all managed hosts and those that come back later.  Orders are appended
 * to `made`. */
int dash_store_command_pause(struct dash_store *s, bool pause, bool at_once, int64_t now_ms,
	json_t *made, struct err *err);
bool dash_store_is_paused(struct dash_store *s);
/* A host that was away when the fleet was paused or resumed is told, too. */
int dash_store_command_catch_up(
	struct dash_store *s, const char *host, int64_t now_ms, struct err *err);
/* As the host is told of them. */
json_t *dash_store_list_commands(
	struct dash_store *s, const char *host, int64_t now_ms, struct err *err);
/* The host has carried it out; an id that is not known is fine. */
int dash_store_command_done(
	struct dash_store *s, const char *host, const char *id, struct err *err);
int dash_store_expire_commands(struct dash_store *s, int64_t now_ms, struct err *err);

/* --- runs ------------------------------------------------------------------------------ */
int dash_store_upsert_run(struct dash_store *s, const struct dash_store_run *run,
	struct dash_store_upserted *out, struct err *err);
/* The next `limit` runs of the filter, newest first, and moves the filter behind them (to_ms, before_seq); array. */
json_t *dash_store_next_runs(
	struct dash_store *s, struct dash_store_run_filter *filter, int limit, struct err *err);
/* As lists have it, without log and quantiles. */
json_t *dash_store_get_run_row(struct dash_store *s, const char *id, struct err *err);
json_t *dash_store_list_runs(
	struct dash_store *s, const struct dash_store_run_filter *filter, struct err *err);
/* The target's last `limit` runs, newest first: id, status, startedAt, p95_ms, error_rate of each. */
json_t *dash_store_recent_runs(
	struct dash_store *s, const char *target_id, int limit, struct err *err);
/* NULL without err text when there is none. */
json_t *dash_store_get_run(struct dash_store *s, const char *id, struct err *err);

/* --- charts ------------------------------------------------------------------------------ */
#define DASH_STORE_POINTS_MAX 5000
/* {"step","points":[…]} of the target's runs that began in from..to.  Steps of whole hours begin at whole hours
 * and are put together from the hourly rollups. */
json_t *dash_store_series(struct dash_store *s, const char *target_id, int64_t from_ms,
	int64_t to_ms, int64_t step_s, struct err *err);
/* Rolls up one hour of one target that has changed and is over.  1: there may be more to do, 0: no. */
int dash_store_rollup_step(struct dash_store *s, int64_t now_ms, struct err *err);
/* Rollups of hours before that go. */
int dash_store_expire_rollups(struct dash_store *s, int64_t before_ms, struct err *err);
/* Differs whenever something may have been written since, by whomever. */
int64_t dash_store_version(struct dash_store *s);
/* What of a run goes into sums; its texts are borrowed. */
void dash_store_sample_of(const struct dash_store_run *run, struct dash_store_sample *out);
/* Calls each() with every run that has ended and began at or after since_ms, oldest first. */
int dash_store_each_sample(struct dash_store *s, int64_t since_ms, dash_store_sample_fn *each,
	void *arg, struct err *err);

/* --- audit --------------------------------------------------------------------------------- */
struct dash_store_audit {
	const char *who, *address, *action, *object;
	const json_t *detail; /* NULL: none */
};
/* Within the transaction of the change. */
int dash_store_add_audit(struct dash_store *s, const struct dash_store_audit *entry, int64_t now_ms,
	struct err *err);
/* {"items","page","pageSize","total"}, newest first. */
json_t *dash_store_list_audit(
	struct dash_store *s, int64_t page, int64_t page_size, struct err *err);

/* --- overview ------------------------------------------------------------------------------ */
/* {"agents":{status: count},"hosts","targets"} */
json_t *dash_store_counts(struct dash_store *s, struct err *err);

/* The four rules of the reaper, and retention.  What has changed is appended to `changed`: ["run", id, ""],
 * ["agent", host, name]. */
int dash_store_reap(struct dash_store *s, int64_t now_ms, int64_t run_timeout_ms,
	int64_t offline_ms, int64_t delete_ms, bool keep_runs, struct dash_store_reaped *out,
	json_t *changed, struct err *err);
/* Those that the next reaping will give up, as it will leave them. */
int dash_store_each_overdue(struct dash_store *s, int64_t now_ms, int64_t run_timeout_ms,
	dash_store_sample_fn *each, void *arg, struct err *err);
/* 1: there may be more to delete, 0: no. */
int dash_store_expire(struct dash_store *s, int64_t before_ms, struct err *err);

#endif
