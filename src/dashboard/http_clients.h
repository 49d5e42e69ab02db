/* SPDX-License-Identifier: MIT */
/* Clients of the HTTP server, and how long each may take: a client that sends nothing useful
 * makes room for others. */
#ifndef K6FLEET_DASHBOARD_HTTP_CLIENTS_H
#define K6FLEET_DASHBOARD_HTTP_CLIENTS_H

#include <stdbool.h>

#define HTTP_CLIENTS_MAX 2000

struct ev_loop;
struct http_client;
struct http_clients;
struct http_stream;

struct http_clients *http_clients_new(struct ev_loop *loop);
/* Stops the timer; all clients must have been removed. */
void http_clients_free(struct http_clients *all);
/* Adds a client with its socket, -1 if that is not known; returns it. */
struct http_client *http_clients_add(struct http_clients *all, int fd);
/* Removes and frees the client. */
void http_clients_remove(struct http_clients *all, struct http_client *client);
/* The client waits for a response from now on, or has its response: its time begins again.  NULL
 * is allowed. */
void http_clients_set_waiting(struct http_client *client, bool waiting);
/* Returns the place where http_stream_response() keeps the client's stream. */
struct http_stream **http_clients_stream(struct http_client *client);
/* Ends all streams that sleep: MHD_stop_daemon(3) must not find a connection that is suspended. */
void http_clients_end_streams(struct http_clients *all);

#endif
