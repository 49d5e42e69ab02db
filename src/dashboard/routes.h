/* SPDX-License-Identifier: MIT */
/* The table of all calls of the HTTP API, and what precedes each call: credentials, content
 * type, JSON. */
#ifndef K6FLEET_DASHBOARD_ROUTES_H
#define K6FLEET_DASHBOARD_ROUTES_H

struct api_request;
struct api_response;

/* Finds the handler by method and path, checks credentials and body, calls it, counts the
 * response.  Fills the response in every case and frees what it has put into the request. */
void routes_handle(struct api_request *req, struct api_response *res);

#endif
