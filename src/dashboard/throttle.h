/* SPDX-License-Identifier: MIT */
/*
 * Counts wrong credentials by address.  An address may send `burst` of them at once, then one
 * every six seconds; while it has to wait, its credentials are not looked at, right or wrong.
 * Pure; keeps 4096 addresses.
 */
#ifndef K6FLEET_DASHBOARD_THROTTLE_H
#define K6FLEET_DASHBOARD_THROTTLE_H

#include <stdint.h>

struct throttle;

/* burst: wrong credentials at once; 0: no address ever has to wait. */
struct throttle *throttle_new(int64_t burst);
/* NULL is allowed. */
void throttle_free(struct throttle *t);
/* Counts wrong credentials of an address; now_ms is monotonic. */
void throttle_failed(struct throttle *t, const char *address, int64_t now_ms);
/* Returns the seconds until credentials of this address are looked at again; 0: now. */
int throttle_wait_s(const struct throttle *t, const char *address, int64_t now_ms);

#endif
