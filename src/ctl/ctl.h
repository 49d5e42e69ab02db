/* SPDX-License-Identifier: MIT */
/* The context of a verb: the connection, the form of the output, and the screen. */
#ifndef K6FLEET_CTL_H
#define K6FLEET_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/client.h"
#include "ctl/screen.h"

struct ctl {
	struct ctl_client client;
	struct screen screen;
	bool json; /* print JSON instead of text */
};

/* Returns {"verb": name}, new reference. */
json_t *ctl_request(const char *verb);
/* ctl_client_call() that prints a failure and exits with its status.  Takes the request over;
 * returns the data, new reference. */
json_t *ctl_call(struct ctl *ctl, json_t *request, ctl_client_progress_fn *progress);
/* The same for --json where the data is only printed: one line on standard output. */
void ctl_print_response(struct ctl *ctl, json_t *request);

#endif
