/* SPDX-License-Identifier: MIT */
/*
 * The connection to k6fleetd: one JSON object a line each way.  A supervisor that is replaced
 * takes its connections along, so a request that may be sent twice is sent again to the next
 * supervisor.  Prints nothing: a failure has its text and the exit status.
 */
#ifndef K6FLEET_CTL_CLIENT_H
#define K6FLEET_CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit statuses of k6fleetctl, fixed: scripts rely on them. */
enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NO_DAEMON = 3, CTL_DENIED = 4 };

/* Starts with its socket's path, fd -1, and zeroes. */
struct ctl_client {
	const char *socket;
	int fd;          /* -1: not connected */
	char *buf;       /* bytes read beyond the last line */
	size_t len, cap; /* of buf */
	char *request;   /* the line under way, to be sent again */
	bool repeatable; /* sending it twice does no harm */
	int repeated;
};

struct ctl_failure {
	enum ctl_exit status;
	/* One or two lines for the user, without "k6fleetctl: " and without the last newline. */
	char text[2048];
};

/* Receives the progress that precedes a response; borrowed. */
typedef void ctl_client_progress_fn(const json_t *progress);

/* Sends the request (taken over), connecting first where needed, and waits for its response;
 * progress may be NULL.  Returns the response's data, new reference; NULL and the failure. */
json_t *ctl_client_call(struct ctl_client *client, json_t *request,
	ctl_client_progress_fn *progress, struct ctl_failure *failure);
/* The same for a response without progress that is only to be printed: returns the data as JSON
 * in one line, as they came; the caller frees.  NULL and the failure. */
char *ctl_client_call_text(struct ctl_client *client, json_t *request, struct ctl_failure *failure);
/* The next call reconnects. */
void ctl_client_disconnect(struct ctl_client *client);
/* Disconnects and frees the buffers. */
void ctl_client_close(struct ctl_client *client);

#endif
