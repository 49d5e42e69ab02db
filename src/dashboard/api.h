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
#include <sys/types.h>

#include "common/err.h"
#include "dashboard/quantile_lists.h"
#include "dashboard/settings.h"
#include "dashboard/store_base.h"
#include "dashboard/store_reaper.h"

struct events;
struct live;

#define API_PARAMS_MAX 2
#define API_BODY_MAX (4 * 1024 * 1024)

struct assets;
struct throttle;

struct api {
	const struct settings *config;
	struct dash_store *store;
	char *secret;          /* bearer token of agents */
	char *admin;           /* user:password */
	struct assets *assets; /* files of the pages */
	struct throttle *throttle;
	struct live *live;
	struct events *events;
	struct dash_store_reaped reaped; /* since the start */
	struct api_cached *cached;       /* pages of runs as they were answered, api_read.c */
	uint64_t answered[6];            /* requests, by the first digit of the status */
};

#define API_STREAM_END (-1)
#define API_STREAM_CUT (-2)

/* A response that is streamed: its length is not known when it starts. */
struct api_stream {
	/* Writes to buf.  Returns the number of bytes; 0, only of a stream that waits, when there are none at the
	 * moment; API_STREAM_END after the last byte; API_STREAM_CUT when the rest cannot be read: the connection is
	 * closed in the middle of the response, so that the client does not take it for whole. */
	ssize_t (*read)(void *state, char *buf, size_t size);
	void (*close)(void *state); /* frees the stream, too */
	void *state;
	bool waits;
	void *holder; /* the HTTP server's */
};
/* There may be something to read now. */
void api_stream_wake(struct api_stream *stream);

struct api_request {
	struct api *api;
	const char *method, *path;
	const char *authorization, *content_type, *if_none_match, *accept_encoding, *origin,
		*host_header, *last_event_id;
	char address[64]; /* of the client */
	const char *body;
	size_t body_len;
	bool too_large;
	/* Query parameter by name, decoded, or NULL. */
	const char *(*query)(const struct api_request *req, const char *name);
	void *connection;
	/* Set by the router. */
	char params[API_PARAMS_MAX][512]; /* what stood for {…} in the path, decoded */
	json_t *json;                     /* parsed body, NULL where the call has none */
	struct quantile_lists lists;      /* that were lifted out of it */
	bool is_admin;                    /* came with admin credentials */
	char admin_name[64];
};

struct api_response {
	int status;
	char *body; /* malloc'ed */
	size_t body_len;
	const char *type;
	char allow[64], etag[64], location[600];
	bool www_authenticate_basic, www_authenticate_bearer;
	int retry_after_s;
	struct api_stream *stream; /* instead of a body */
	const char *disposition;
	bool packed;           /* the body is in gzip */
	bool immutable;        /* never changes under this path */
	const char *body_kept; /* instead of body: one that stays and is not freed */
};

/* Finds the handler, checks credentials and body, calls it. */
void api_handle(struct api_request *req, struct api_response *res);

/* For handlers: json is taken over. */
void api_reply(struct api_response *res, int status, json_t *json);
/* {"error":{"code","message","field"}}; field NULL for none. */
void api_error(struct api_response *res, int status, const char *code, const char *field,
	const char *fmt, ...) _printf_(5, 6);
/* 503 with Retry-After and the store's error. */
void api_store_error(struct api_response *res, const struct err *err);
/* Replies 200 with the object when it was found, 404 "there is no WHAT "ID"" when it was not, 503 after an error of
 * the store.  json is taken over. */
void api_reply_found(struct api_response *res, enum found found, json_t *json, const char *what,
	const char *id, const struct err *err);
void api_not_found(struct api_response *res, const char *what, const char *id);
/* Refuses members that are not in the NULL-ended list; true when all are known. */
bool api_only_members(struct api_response *res, const json_t *object, const char *const known[]);

/* The body is an object; false after an error. */
bool api_is_object(struct api_request *req, struct api_response *res);
/* An integer member in min..max; false after an error. */
bool api_take_int(struct api_request *req, struct api_response *res, const char *name, int64_t min,
	int64_t max, int64_t fallback, int64_t *out);
/* A query parameter as a number in min..max, or as a time (0 where it is missing); false after an error. */
bool api_query_int(struct api_request *req, struct api_response *res, const char *name, int64_t min,
	int64_t max, int64_t fallback, int64_t *out);
bool api_query_time(
	struct api_request *req, struct api_response *res, const char *name, int64_t *out);
/* One change of an admin's: begin, then commit with its line in the audit trail, or abort.  Where they answer
 * -1 (abort always) the response is filled and the transaction over. */
int api_begin(struct api_request *req, struct api_response *res);
void api_abort(struct api_request *req, struct api_response *res, const struct err *err);
int api_commit(struct api_request *req, struct api_response *res, const char *action,
	const char *object, const json_t *detail);
/* Equal bytes, equal tag, in quotes; whether a header If-None-Match names it. */
void api_make_etag(const char *body, char *out, size_t size);
bool api_etag_matches(const char *header, const char *etag);
/* Frees what was kept of earlier answers. */
void api_forget_cached(struct api *api);
/* For readers of events. */
void api_config_changed(struct api_request *req);
void api_target_changed(struct api_request *req, const char *id);

typedef void api_handler(struct api_request *req, struct api_response *res);

api_handler api_agents_register, api_agents_heartbeat, api_agents_targets, api_agents_runs,
	api_agents_scale;
api_handler api_targets_create, api_targets_get, api_targets_patch, api_targets_delete,
	api_targets_list;
api_handler api_targets_run, api_runs_cancel, api_targets_export, api_targets_import;
api_handler api_host_put, api_reconcile, api_pause, api_resume, api_audit_list;
api_handler api_read_fleet_series, api_read_overview, api_read_series, api_read_runs_csv,
	api_events, api_metrics;
api_handler api_config_get, api_config_put;
api_handler api_read_targets, api_read_agents, api_read_hosts, api_read_runs, api_read_run;

#endif
