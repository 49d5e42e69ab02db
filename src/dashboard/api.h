/* SPDX-License-Identifier: MIT */
/*
 * What a handler of the HTTP API sees: a request that has been authenticated, limited and
 * parsed, and a response to fill.  Handlers know neither the HTTP library nor SQL.
 */
#ifndef K6FLEET_DASHBOARD_API_H
#define K6FLEET_DASHBOARD_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "dashboard/settings.h"
#include "dashboard/store.h"

#define API_PARAMS_MAX 2
#define API_BODY_MAX (4 * 1024 * 1024)
#define API_BATCH_MAX 10000

struct api {
	const struct settings *config;
	struct store *store;
	char *secret; /* bearer token of agents */
	char *admin;  /* user:password */
	char *page;   /* the page at / */
};

struct api_request {
	struct api *api;
	const char *method, *path;
	const char *authorization, *content_type, *if_none_match, *origin, *host_header;
	const char *body;
	size_t body_len;
	bool too_large;
	/* Query parameter by name, decoded, or NULL. */
	const char *(*query)(const struct api_request *req, const char *name);
	void *connection;
	/* Set by the router. */
	char params[API_PARAMS_MAX][512]; /* what stood for {…} in the path, decoded */
	json_t *json;                     /* parsed body, NULL where the call has none */
	bool is_admin;                    /* came with admin credentials */
};

struct api_response {
	int status;
	char *body; /* malloc'ed */
	size_t body_len;
	const char *type;
	char allow[64], etag[64], location[600];
	bool www_authenticate_basic, www_authenticate_bearer;
	int retry_after_s;
};

/* Finds the handler, checks credentials and body, calls it. */
void api_handle(struct api_request *req, struct api_response *res);

/* For handlers: json is taken over. */
void api_reply(struct api_response *res, int status, json_t *json);
/* {"error":{"code","message","field"}}; field NULL for none. */
void api_error(struct api_response *res, int status, const char *code, const char *field,
	const char *fmt, ...) _printf_(5, 6);
/* 503 with Retry-After: the database is busy or full. */
void api_store_error(struct api_response *res, const struct err *err);
/* Refuses members that are not in the NULL-ended list; true when all are known. */
bool api_only_members(struct api_response *res, const json_t *object, const char *const known[]);

typedef void api_handler(struct api_request *req, struct api_response *res);

api_handler api_agents_register, api_agents_heartbeat, api_agents_targets, api_agents_runs,
	api_agents_scale;
api_handler api_targets_create, api_targets_get, api_targets_patch, api_targets_delete,
	api_targets_list;
api_handler api_targets_run, api_runs_cancel;
api_handler api_config_get, api_config_put;
api_handler api_read_targets, api_read_agents, api_read_hosts, api_read_runs, api_read_run;

#endif
