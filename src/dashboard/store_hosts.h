/* SPDX-License-Identifier: MIT */
/*
 * Hosts, and the desired number of agents of each: one total that is spread over the hosts that
 * were heard of within online_ms, under a revision that only grows.  Functions that write belong
 * into a transaction.
 */
#ifndef K6FLEET_DASHBOARD_STORE_HOSTS_H
#define K6FLEET_DASHBOARD_STORE_HOSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "dashboard/store_base.h"

struct dash_store_desired {
	int64_t agents, revision;
};

/* A host as it registers; texts are borrowed. */
struct dash_store_host {
	const char *host;
	const char *version, *k6_version, *sandbox; /* NULL: unknown */
	bool managed;                               /* the dashboard sets its desired count */
	bool has_desired;
	int64_t max_agents;
	struct dash_store_desired desired; /* the host's own */
};

/* Registers the host.  Of the host's and the dashboard's count, the one with the higher revision
 * applies; a new host gets its share of the total.  Fills out with the host's new desired count.
 * Returns 0, or -1 with err. */
int dash_store_register_host(struct dash_store *s, const struct dash_store_host *host,
	int64_t now_ms, int64_t online_ms, struct dash_store_desired *out, struct err *err);
/* Updates the host's last contact time.  Fills out with its desired count and revision, {0, 0}
 * if the host is not registered. Returns 0, or -1 with err. */
int dash_store_touch_host(struct dash_store *s, const char *host, int64_t now_ms,
	struct dash_store_desired *out, struct err *err);
/* Sets the number of one host and adds the difference to the total; fills out.  Returns FOUND,
 * NOT_FOUND when the host has not registered, or FOUND_ERROR with err. */
enum found dash_store_scale_host(struct dash_store *s, const char *host, int64_t agents,
	struct dash_store_desired *out, struct err *err);
/* Sets the total and spreads it.  Returns 0, or -1 with err. */
int dash_store_set_total(
	struct dash_store *s, int64_t total, int64_t now_ms, int64_t online_ms, struct err *err);
/* Spreads the total again, with a new revision.  Returns 0, or -1 with err. */
int dash_store_reconcile(struct dash_store *s, int64_t now_ms, int64_t online_ms, struct err *err);
/* Fills out with the total (the sum of the hosts while nobody has set one) and its revision.
 * Returns 0, or -1 with err. */
int dash_store_get_total(struct dash_store *s, struct dash_store_desired *out, struct err *err);
/* Sets *object to the host as the API has it, a new reference.  Returns FOUND, NOT_FOUND, or
 * FOUND_ERROR with err. */
enum found dash_store_get_host(struct dash_store *s, const char *host, int64_t now_ms,
	int64_t online_ms, json_t **object, struct err *err);
/* Sets *list to an array of all hosts by name, a new reference.  Returns 0, or -1 with err. */
int dash_store_list_hosts(
	struct dash_store *s, int64_t now_ms, int64_t online_ms, json_t **list, struct err *err);

#endif
