/* SPDX-License-Identifier: MIT */
/*
 * Commands for hosts.  A command is deleted when its host has acknowledged it, or after
 * DASH_STORE_COMMAND_LIFE_MS, so that a host that comes back later does not find yesterday's
 * commands.  Functions that write belong into a transaction; `made` is an array to which each
 * command is appended as {"id","type","host","agents"}.
 */
#ifndef K6FLEET_DASHBOARD_STORE_COMMANDS_H
#define K6FLEET_DASHBOARD_STORE_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "dashboard/store_base.h"

#define DASH_STORE_COMMAND_LIFE_MS (5 * 60 * 1000)

/* Runs that somebody asks for. */
struct dash_store_order {
	const char *target_id; /* borrowed */
	int64_t agents;
	bool sync; /* all agents begin at the same instant */
};

/* Shares the runs out to managed hosts that were heard of within online_ms, first to agents that
 * were idle then. `made` stays empty when no such host has agents.  Returns 0, or -1 with err. */
int dash_store_command_run(struct dash_store *s, const struct dash_store_order *order,
	int64_t now_ms, int64_t online_ms, json_t *made, struct err *err);
/* Tells the host to cancel the run.  Returns 0, or -1 with err. */
int dash_store_command_cancel(struct dash_store *s, const char *run_id, const char *host,
	int64_t now_ms, json_t *made, struct err *err);
/* Pauses or resumes the whole fleet: all managed hosts, and hosts that come back later.  Returns
 * 0, or -1 with err. */
int dash_store_command_pause(struct dash_store *s, bool pause, bool at_once, int64_t now_ms,
	json_t *made, struct err *err);
/* Sets *paused.  Returns 0, or -1 with err. */
int dash_store_is_paused(struct dash_store *s, bool *paused, struct err *err);
/* Makes a command for a host that was away when the fleet was paused or resumed.  Returns 0, or
 * -1 with err. */
int dash_store_command_catch_up(
	struct dash_store *s, const char *host, int64_t now_ms, struct err *err);
/* Sets *list to an array of the host's commands as the API has them, oldest first, a new
 * reference.  Returns 0, or -1 with err. */
int dash_store_list_commands(
	struct dash_store *s, const char *host, int64_t now_ms, json_t **list, struct err *err);
/* Deletes a command that the host has carried out; an id that is not known is no error.  Returns
 * 0, or -1 with err. */
int dash_store_command_done(
	struct dash_store *s, const char *host, const char *id, struct err *err);
/* Deletes the commands that have expired.  Returns 0, or -1 with err. */
int dash_store_expire_commands(struct dash_store *s, int64_t now_ms, struct err *err);

#endif
