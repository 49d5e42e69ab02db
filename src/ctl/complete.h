/* SPDX-License-Identifier: MIT */
/* Candidates for shells' completion. */
#ifndef K6FLEET_CTL_COMPLETE_H
#define K6FLEET_CTL_COMPLETE_H

#include "ctl/ctl.h"

/* Prints the candidates.  argv has the words behind "k6fleetctl" up to the word under the
 * cursor, which may be empty.  Returns CTL_OK; without k6fleetd it exits as each call does. */
enum ctl_exit ctl_complete(struct ctl *ctl, int argc, char **argv);

#endif
