/* SPDX-License-Identifier: MIT */
/*
 * The fleet: which slots have a worker, and the actions that change this.  Pure: time and events
 * go in, actions come out; no clock, no descriptor, no process.
 *
 * A slot is wanted when its number is below the desired count and nobody holds it back.
 */
#ifndef K6FLEET_FLEET_H
#define K6FLEET_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/agent_state.h"

/* clang-format off */
enum fleet_state {
#define X(id, name) FLEET_##id,
	AGENT_STATES(X)
#undef X
	FLEET_STATE_COUNT
};
/* clang-format on */

extern const char *const fleet_state_names[FLEET_STATE_COUNT];

enum fleet_event {
	FLEET_EV_WANT,      /* the slot has become wanted */
	FLEET_EV_UNWANT,    /* the slot has become unwanted; its run may finish */
	FLEET_EV_HELLO,     /* its worker has reported */
	FLEET_EV_BUSY,      /* it was given a run */
	FLEET_EV_FREE,      /* its run is over and recorded */
	FLEET_EV_EXIT,      /* its worker is gone, its socket drained and forgotten */
	FLEET_EV_SILENT,    /* its worker has not given a heartbeat in time */
	FLEET_EV_TIMER,     /* the time that its state had is over */
	FLEET_EV_NOW,       /* the slot has become unwanted; its run is cancelled */
	FLEET_EV_RENEW,     /* its worker is to be replaced; its run may finish */
	FLEET_EV_RENEW_NOW, /* its worker is to be replaced; its run is cancelled */
	FLEET_EVENT_COUNT
};

enum fleet_action_type {
	FLEET_DO_NOTHING,
	FLEET_DO_SPAWN,  /* fork a worker of that generation */
	FLEET_DO_DRAIN,  /* log that its run may finish */
	FLEET_DO_EXIT,   /* ask the idle worker to end */
	FLEET_DO_CANCEL, /* stop its run, keep the partial result */
	FLEET_DO_KILL,   /* KILL the worker */
};

struct fleet_action {
	enum fleet_action_type type;
	unsigned int slot;
	uint64_t generation;
};

/* How a worker that works is replaced. */
enum fleet_renewal {
	FLEET_RENEW_NONE,
	FLEET_RENEW_IDLE,  /* in its turn, as soon as it is idle */
	FLEET_RENEW_DRAIN, /* in its turn; its run may finish within drain_timeout */
	FLEET_RENEW_NOW,   /* at once; its run is cancelled */
};

struct fleet_config {
	unsigned int max_slots;
	int64_t min_delay_ms, max_delay_ms, stable_after_ms, drain_timeout_ms, kill_after_ms;
	uint64_t seed; /* of the jitter */
};

struct fleet_slot {
	enum fleet_state state;
	bool wanted;
	uint64_t generation;
	unsigned int restarts; /* since the slot was first wanted */
	unsigned int failures; /* deaths in a row, each before stable_after */
	int64_t since_ms;      /* when the worker was asked for */
	int64_t died_ms;       /* when the last worker died */
	bool reported;         /* its worker has said hello */
	int64_t timer_ms;      /* 0: none */
	bool cancelled;
	bool held;                /* by an operator: unwanted, whatever the count is */
	enum fleet_renewal renew; /* waits for its turn to be renewed */
	bool asked;               /* its worker was asked to end, so its end is no failure */
	bool renewing;            /* its worker ends in order to be replaced */
};

struct fleet;

struct fleet *fleet_new(const struct fleet_config *config);
void fleet_free(struct fleet *f);

/* Slots below count become wanted, the others unwanted; with now_too the runs of the others are
 * cancelled.  count is cut to max_slots. */
void fleet_scale(struct fleet *f, unsigned int count, bool now_too, int64_t now_ms);
/* Sets delays and ceilings for all later decisions.  max_slots is capped at the max_slots of
 * fleet_new().  The random seed does not change. */
void fleet_configure(struct fleet *f, const struct fleet_config *config);
/* Has the worker of a wanted slot replaced; does nothing for an unwanted slot.  All but NOW take
 * turns: at most a tenth of the fleet, at least one, is down at a time. */
void fleet_renew(struct fleet *f, unsigned int slot, enum fleet_renewal how, int64_t now_ms);
/* Drains the slot and leaves it stopped, although the count covers it, until fleet_release(). */
void fleet_hold(struct fleet *f, unsigned int slot, int64_t now_ms);
void fleet_release(struct fleet *f, unsigned int slot, int64_t now_ms);
/* Takes a worker of an earlier supervisor: its slot becomes STARTING, and events tell the rest. */
void fleet_adopt(struct fleet *f, unsigned int slot, uint64_t generation, unsigned int restarts,
	int64_t now_ms);
void fleet_event(struct fleet *f, unsigned int slot, enum fleet_event event, int64_t now_ms);
/* Runs the timers that are due, and renews slots whose turn it is. */
void fleet_tick(struct fleet *f, int64_t now_ms);
/* Returns when fleet_tick() must be called next; INT64_MAX: no timer is set. */
int64_t fleet_deadline(const struct fleet *f);
/* Takes the next action, in the order of decision.  Returns false if there is none. */
bool fleet_take(struct fleet *f, struct fleet_action *out);

/* A storm: most of the workers that were up died within a second, as by the OOM killer.  It is no
 * crash loop, so their slots are refilled without a delay.  Returns the number of deaths once for
 * each storm, else 0. */
unsigned int fleet_take_storm(struct fleet *f);

const struct fleet_slot *fleet_slot(const struct fleet *f, unsigned int slot);
unsigned int fleet_count(const struct fleet *f, enum fleet_state state);
/* Agents that are up and have reported: idle, running or draining. */
unsigned int fleet_running(const struct fleet *f);
/* Agents with a run: running or draining. */
unsigned int fleet_busy(const struct fleet *f);
/* Slots that are not stopped. */
unsigned int fleet_occupied(const struct fleet *f);
/* One past the highest slot that is wanted or not stopped. */
unsigned int fleet_extent(const struct fleet *f);
/* Returns whether no slot has a worker or will get one. */
bool fleet_is_empty(const struct fleet *f);
/* Returns whether exactly the wanted slots are up. */
bool fleet_is_reached(const struct fleet *f);
/* Workers that still wait to be replaced. */
unsigned int fleet_renewals(const struct fleet *f);

#endif
