/* SPDX-License-Identifier: MIT */
/* The first step of a new image of the keeper: restores the state that the old image wrote
 * (upgrade.h). */
#ifndef K6FLEET_KEEPER_UPGRADE_RESUME_H
#define K6FLEET_KEEPER_UPGRADE_RESUME_H

#include "keeper/keeper.h"

/* Fills k from the state in fd, which is closed: options, configuration, sandbox, workers,
 * descriptors, all close-on-exec again; gives up ambient capabilities.  Ends the process with
 * one line where that fails. */
void upgrade_resume(struct keeper *k, int fd);

#endif
