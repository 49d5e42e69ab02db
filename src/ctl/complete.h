/* SPDX-License-Identifier: MIT */
/* Candidates for shells' completion. */
#ifndef K6FLEET_CTL_COMPLETE_H
#define K6FLEET_CTL_COMPLETE_H

#include "ctl/ctl.h"

/* argv: the words behind "k6fleetctl" up to the one under the cursor, which may be empty. */
int ctl_complete(struct ctl *ctl, int argc, char **argv);

#endif
