/* SPDX-License-Identifier: MIT */
/* What fleet and schedule take from the configuration: ceilings, delays, limits for runs at a
 * time. */
#ifndef K6FLEET_TUNING_H
#define K6FLEET_TUNING_H

#include <stdint.h>

#include "common/conf.h"
#include "supervisor/fleet.h"
#include "supervisor/schedule.h"

/* Gives the fleet its ceiling and its delays. */
void tuning_fleet(struct fleet *f, const struct conf *conf);
/* Gives the schedule its limits; memory_bytes: of the host, 0 for unknown, in which case
 * memory_budget = auto limits nothing. */
void tuning_schedule(struct schedule *s, const struct conf *conf, int64_t memory_bytes);

#endif
