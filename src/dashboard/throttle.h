/* SPDX-License-Identifier: MIT */
/*
 * Wrong credentials, counted by address: some at once, then one every six seconds.  While an address is slowed its
 * credentials are not looked at, right or wrong.  Pure; keeps a bounded number of addresses.
 */
#ifndef K6FLEET_DASHBOARD_THROTTLE_H
#define K6FLEET_DASHBOARD_THROTTLE_H

#include <stdint.h>

struct throttle;

/* burst: wrong ones at once, 0: any number of them. */
struct throttle *throttle_new(int64_t burst);
void throttle_free(struct throttle *t);
void throttle_failed(struct throttle *t, const char *address, int64_t now_ms);
/* Seconds until credentials of that address are looked at again, 0: now. */
int throttle_wait_s(const struct throttle *t, const char *address, int64_t now_ms);

#endif
