/* SPDX-License-Identifier: MIT */
/*
 * What a handler of the HTTP API works with: a request that has been authenticated, limited and
 * parsed, and a response to fill.  Handlers know neither the HTTP library nor SQL.
 */
#ifndef K6FLEET_DASHBOARD_API_H
#define K6FLEET_DASHBOARD_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/found.h"
#include "common/limits.h"
#include "dashboard/etag.h"
#include "dashboard/quantile_lists.h"
#include "dashboard/settings.h"
#include "dashboard/store_base.h"
#include "dashboard/store_reaper.h"

struct assets;
struct events;
struct live;
struct page_cache;
struct stream;
struct throttle;

#define API_PARAMS_MAX 2
#define API_PARAM_BYTES 512
#define API_BODY_MAX (4 * 1024 * 1024)
#define API_PAGE_MAX 1000000000 /* the number of a page */

/* What all calls share.  main.c makes it, and it lives until the process ends. */
struct api {
	const struct settings *config;
	struct dash_store *store;
	char *secret; /* the bearer token of hosts */
	char *admin;  /* "user:password" */
	struct assets *assets;
	struct throttle *throttle;
	struct live *live;
	/* Runs from before the start could not be read: until then the last hour lacks them. */
	int64_t hour_lacks_until_ms; /* wall clock; 0: it lacks none */
	struct err hour_err;         /* why */
	struct events *events;
	struct dash_store_reaped reaped; /* since the start */
	struct page_cache *pages;        /* of the list of runs */
	uint64_t responses[6];           /* since the start, by the first digit of the status */
};

/* Everything is borrowed from the HTTP server, for the time of the call; NULL: the client has
 * not sent it. */
struct api_request {
	struct api *api;
	const char *method, *path;
	const char *authorization, *content_type, *if_none_match, *accept_encoding, *origin,
		*host_header, *last_event_id;
	const char *user, *password; /* of an Authorization header with the scheme Basic */
	char address[64];            /* of the client */
	const char *body;
	size_t body_len;
	bool too_large; /* the body was longer than API_BODY_MAX and is not here */
	/* Returns a query parameter by name, decoded; NULL when the client has not sent it. */
	const char *(*query)(const struct api_request *req, const char *name);
	void *connection; /* for query() */
	/* Set by routes_handle(), which frees json and lists after the call. */
	char params[API_PARAMS_MAX][API_PARAM_BYTES]; /* the values of {} in the path, decoded */
	json_t *json;                                 /* the body; NULL when the call has none */
	struct quantile_lists lists; /* lists of numbers that were lifted out of it */
	/* Set by auth_allows(). */
	bool is_admin; /* the client has sent the admin's credentials */
	char admin_name[64];
};

/* One of body, body_kept and stream is set, or none for an empty body. */
struct api_response {
	int status;
	char *body; /* the HTTP server frees it */
	size_t body_len;
	const char *body_kept; /* lives as long as the process */
	struct stream *stream; /* the HTTP server closes it */
	const char *type;
	char allow[64], etag[ETAG_MAX], location[600];
	bool www_authenticate_basic, www_authenticate_bearer;
	int retry_after_s; /* 0: no such header */
	const char *disposition;
	bool packed;    /* the body is in gzip */
	bool immutable; /* the content of this path never changes */
};

/* --- responses ------------------------------------------------------------------------------ */

/* Replies with a status and JSON; takes the reference over. */
void api_reply(struct api_response *res, int status, json_t *json);
/* Replies with {"error":{"code","message","field"}}; field is NULL when no single field is
 * wrong. */
void api_error(struct api_response *res, int status, const char *code, const char *field,
	const char *fmt, ...) _printf_(5, 6);
/* Replies 503 with Retry-After and the store's error. */
void api_store_error(struct api_response *res, const struct err *err);
/* Replies 404 "there is no WHAT "ID"". */
void api_not_found(struct api_response *res, const char *what, const char *id);
/* Replies 200 with the object for FOUND, as api_not_found() for NOT_FOUND, as api_store_error()
 * for FOUND_ERROR.  Takes the reference over. */
void api_reply_found(struct api_response *res, enum found found, json_t *json, const char *what,
	const char *id, const struct err *err);

/* --- checks of a request -------------------------------------------------------------------- */

/* Each returns true when the check has passed; returns false after it has filled the response. */

/* All members of the object are in the list, which ends with NULL. */
bool api_only_members(struct api_response *res, const json_t *object, const char *const known[]);
/* The body is an object. */
bool api_is_object(struct api_request *req, struct api_response *res);
/* An integer in min..max; fallback when the client has not sent it. */
struct api_int {
	const char *name;
	int64_t min, max, fallback;
};
/* Sets *out to an integer member of the body. */
bool api_take_int(struct api_request *req, struct api_response *res, const struct api_int *rule,
	int64_t *out);
/* Sets *out to an integer query parameter. */
bool api_query_int(struct api_request *req, struct api_response *res, const struct api_int *rule,
	int64_t *out);
/* Sets *out to a query parameter that is an RFC 3339 time, in ms; 0 when the client has not sent
 * it. */
bool api_query_time(
	struct api_request *req, struct api_response *res, const char *name, int64_t *out);

/* --- a change by the admin ------------------------------------------------------------------ */

/* Begins its transaction.  Returns 0; returns -1 after it has filled the response. */
int api_begin(struct api_request *req, struct api_response *res);
/* Ends the transaction without a change, and fills the response with the store's error. */
void api_abort(struct api_request *req, struct api_response *res, const struct err *err);
/* Adds an entry to the audit trail and commits.  Returns 0; returns -1 after it has filled the
 * response and ended the transaction without a change.  detail may be NULL. */
int api_commit(struct api_request *req, struct api_response *res, const char *action,
	const char *object, const json_t *detail);
/* Publish the event "config", or "target" for this id, with the state that was committed.
 * Without an event when the store fails. */
void api_config_changed(struct api_request *req);
void api_target_changed(struct api_request *req, const char *id);

#endif
