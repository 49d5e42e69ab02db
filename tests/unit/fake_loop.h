/* SPDX-License-Identifier: MIT */
/*
 * A simulated event loop and clock in the place of libev and of units_now_*_ms(): timers fire
 * when the test moves the clock, descriptors are polled when the test asks for a turn.  No test
 * waits.  Linked with
 * -Wl,--wrap=units_now_mono_ms,--wrap=units_now_wall_ms and without libev.
 */
#ifndef K6FLEET_FAKE_LOOP_H
#define K6FLEET_FAKE_LOOP_H

#include <ev.h>
#include <stdint.h>

/* Monotonic clock; the wall clock is FAKE_WALL_MS ahead. */
extern int64_t fake_now_ms;
#define FAKE_WALL_MS INT64_C(1800000000000)

/* To be passed where a loop is wanted; there is one. */
struct ev_loop *fake_loop(void);
/* Forgets all watchers and sets the clock to 1,000,000 ms. */
void fake_loop_reset(void);
/* Moves the clock; timers fire in their order, each at its time. */
void fake_advance(int64_t ms);
/* Calls the watchers of ready descriptors until none is ready, a thousand rounds at most. */
void fake_turn(void);
/* Milliseconds until the next timer fires; -1: there is none. */
int64_t fake_next_timer(void);
/* Active watchers of both kinds. */
unsigned int fake_watchers(void);

#endif
