/* SPDX-License-Identifier: MIT */
/* Work by the clock: the reaper, rollups, retention, and a line of life to readers of events.
 * What fails is tried again and logged once. */
#ifndef K6FLEET_DASHBOARD_UPKEEP_H
#define K6FLEET_DASHBOARD_UPKEEP_H

struct api;
struct ev_loop;
struct upkeep;

/* Fills the figures of the last hour from the store (they stay incomplete when it fails, which
 * is logged), and starts the timers; the first timer runs later.  Uses config, store, live,
 * events and reaped of api, which must live longer. upkeep_stop() frees it. */
struct upkeep *upkeep_start(struct ev_loop *loop, struct api *api);
/* Stops the timers and frees u.  NULL is allowed. */
void upkeep_stop(struct upkeep *u);

#endif
