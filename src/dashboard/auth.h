/* SPDX-License-Identifier: MIT */
/*
 * Who may make a call: hosts by their bearer token, the admin by user and password (Basic).  An
 * address that sends wrong credentials too often is slowed (throttle.h), and its credentials are
 * not looked at.
 */
#ifndef K6FLEET_DASHBOARD_AUTH_H
#define K6FLEET_DASHBOARD_AUTH_H

#include <stdbool.h>

struct api_request;
struct api_response;

enum auth_access {
	AUTH_OPEN,  /* everybody */
	AUTH_READ,  /* everybody, or with read_auth the admin and hosts */
	AUTH_AGENT, /* hosts */
	AUTH_ADMIN, /* the admin */
};

/* Returns whether the request may make a call of this kind; fills the response (401 or 429) if
 * not.  Sets req->is_admin and req->admin_name for all kinds, and counts wrong credentials for
 * all kinds. */
bool auth_allows(struct api_request *req, enum auth_access access, struct api_response *res);

#endif
