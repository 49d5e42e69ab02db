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
};

enum store_upsert { STORE_ACCEPTED, STORE_IGNORED };

struct store_reaped {
	int64_t runs_timed_out, agents_offline, agents_deleted;
};

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
int store_get_total(struct store *s, struct store_desired *out, struct err *err);
json_t *store_list_hosts(struct store *s, int64_t now_ms, int64_t online_ms, struct err *err);

/* --- agents ----------------------------------------------------------------------- */
/* id_out has 37 bytes. */
int store_register_agent(struct store *s, const char *host, const struct store_agent *agent,
	int64_t now_ms, char *id_out, struct err *err);
/* 1: done, 0: unknown. */
int store_heartbeat(struct store *s, const char *host, const struct store_agent *agent,
	int64_t now_ms, struct err *err);
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
/* As the host is told of them. */
json_t *store_list_commands(struct store *s, const char *host, int64_t now_ms, struct err *err);
/* The host has carried it out; an id that is not known is fine. */
int store_command_done(struct store *s, const char *host, const char *id, struct err *err);
int store_expire_commands(struct store *s, int64_t now_ms, struct err *err);

/* --- runs ------------------------------------------------------------------------------ */
/* run is a valid run object with its times in ms under the names …Ms. */
int store_upsert_run(struct store *s, const json_t *run, enum store_upsert *out, struct err *err);
json_t *store_list_runs(struct store *s, const struct store_run_filter *filter, struct err *err);
/* NULL without err text when there is none. */
json_t *store_get_run(struct store *s, const char *id, struct err *err);

/* The four rules of the reaper, and retention. */
int store_reap(struct store *s, int64_t now_ms, int64_t run_timeout_ms, int64_t offline_ms,
	int64_t delete_ms, bool keep_runs, struct store_reaped *out, struct err *err);
int store_expire(struct store *s, int64_t before_ms, struct err *err);

#endif
