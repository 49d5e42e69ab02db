/* SPDX-License-Identifier: MIT */
/* What the verbs of k6fleetctl do. */
#ifndef K6FLEET_VERBS_H
#define K6FLEET_VERBS_H

#include <jansson.h>

#include "supervisor/control.h"

struct supervisor;

/* Carries the request out, or refuses it, through the ticket, at once or later.  request is
 * borrowed. */
void verbs_handle(struct supervisor *sup, struct control_ticket ticket, const json_t *request);

#endif
