/* SPDX-License-Identifier: MIT */
/* The state × event table of worker slots.  Delays and timers are set in enter(). */
#include "supervisor/fleet.h"

#include <string.h>

#include "common/mem.h"

/* The time that a worker has from fork to AGENT_HELLO. */
#define STARTING_MS 20000
/* Deaths within this time after the first one count as one storm. */
#define STORM_MS 1000
/* A worker that dies younger than this is not counted into a storm: it may be the cause of its own
 * death, and workers that crash at once would be restarted without end. */
#define STORM_AGE_MS 1000
/* The time that a worker has to end after EXIT or KILL. */
#define STOPPING_MS 5000

const char *const fleet_state_names[FLEET_STATE_COUNT] = {
#define X(id, name) [FLEET_##id] = name,
	AGENT_STATES(X)
#undef X
};

struct fleet {
	struct fleet_config config;
	struct fleet_slot *slots;
	unsigned int counts[FLEET_STATE_COUNT];
	unsigned int desired, capacity;
	unsigned int high;    /* all slots from this number on are stopped and unwanted */
	unsigned int held;    /* held slots below desired */
	unsigned int waiting; /* slots that wait for their turn to be renewed */
	uint64_t next_generation;
	uint64_t random;
	int64_t deadline; /* at the latest when the earliest timer fires */
	struct {
		int64_t since_ms; /* the first death */
		unsigned int up, deaths;
		bool recognised;
		unsigned int untold;
	} storm;
	struct fleet_action *actions;
	size_t action_head, action_count, action_cap;
};

struct cell {
	enum fleet_state next;
	enum fleet_action_type action;
	bool defined;
};

/* clang-format off */
#define GO(state, what) {FLEET_##state, FLEET_DO_##what, true}

/*
 * An undefined cell changes nothing: the event crossed a decision.  EXIT leads to BACKOFF wherever
 * the worker was not asked to end; after the first death the delay is 0.
 */
static const struct cell table[FLEET_STATE_COUNT][FLEET_EVENT_COUNT] = {
	[FLEET_STOPPED] = {
		[FLEET_EV_WANT] = GO(STARTING, SPAWN),
	},
	[FLEET_STARTING] = {
		[FLEET_EV_UNWANT] = GO(STOPPING, EXIT),
		[FLEET_EV_NOW] = GO(STOPPING, EXIT),
		[FLEET_EV_HELLO] = GO(IDLE, NOTHING),
		[FLEET_EV_EXIT] = GO(BACKOFF, NOTHING),
		[FLEET_EV_TIMER] = GO(STOPPING, KILL),
	},
	[FLEET_IDLE] = {
		[FLEET_EV_UNWANT] = GO(STOPPING, EXIT),
		[FLEET_EV_NOW] = GO(STOPPING, EXIT),
		[FLEET_EV_BUSY] = GO(RUNNING, NOTHING),
		[FLEET_EV_EXIT] = GO(BACKOFF, NOTHING),
		[FLEET_EV_SILENT] = GO(STOPPING, KILL),
		[FLEET_EV_RENEW] = GO(STOPPING, EXIT),
		[FLEET_EV_RENEW_NOW] = GO(STOPPING, EXIT),
	},
	[FLEET_RUNNING] = {
		[FLEET_EV_UNWANT] = GO(DRAINING, DRAIN),
		[FLEET_EV_NOW] = GO(DRAINING, CANCEL),
		[FLEET_EV_FREE] = GO(IDLE, NOTHING),
		[FLEET_EV_EXIT] = GO(BACKOFF, NOTHING),
		[FLEET_EV_SILENT] = GO(STOPPING, KILL),
		[FLEET_EV_RENEW] = GO(DRAINING, DRAIN),
		[FLEET_EV_RENEW_NOW] = GO(DRAINING, CANCEL),
	},
	[FLEET_DRAINING] = {
		[FLEET_EV_WANT] = GO(RUNNING, NOTHING),
		[FLEET_EV_NOW] = GO(DRAINING, CANCEL),
		[FLEET_EV_FREE] = GO(STOPPING, EXIT),
		[FLEET_EV_EXIT] = GO(STOPPED, NOTHING),
		[FLEET_EV_SILENT] = GO(STOPPING, KILL),
		[FLEET_EV_TIMER] = GO(DRAINING, CANCEL),
		[FLEET_EV_RENEW_NOW] = GO(DRAINING, CANCEL),
	},
	[FLEET_BACKOFF] = {
		[FLEET_EV_UNWANT] = GO(STOPPED, NOTHING),
		[FLEET_EV_NOW] = GO(STOPPED, NOTHING),
		[FLEET_EV_TIMER] = GO(STARTING, SPAWN),
		[FLEET_EV_RENEW] = GO(STARTING, SPAWN),
		[FLEET_EV_RENEW_NOW] = GO(STARTING, SPAWN),
	},
	[FLEET_STOPPING] = {
		[FLEET_EV_EXIT] = GO(STOPPED, NOTHING),
		[FLEET_EV_TIMER] = GO(STOPPING, KILL),
		[FLEET_EV_SILENT] = GO(STOPPING, KILL),
	},
};
/* clang-format on */

struct fleet *fleet_new(const struct fleet_config *config)
{
	struct fleet *f = x_calloc(1, sizeof(*f));

	f->config = *config;
	f->slots = x_calloc(config->max_slots, sizeof(*f->slots));
	f->capacity = config->max_slots;
	f->counts[FLEET_STOPPED] = f->capacity;
	f->next_generation = 1;
	f->random = config->seed | 1;
	f->deadline = INT64_MAX;
	f->storm.since_ms = INT64_MIN / 2;
	return f;
}

void fleet_free(struct fleet *f)
{
	if (!f)
		return;
	free(f->slots);
	free(f->actions);
	free(f);
}

void fleet_configure(struct fleet *f, const struct fleet_config *config)
{
	uint64_t seed = f->config.seed;

	f->config = *config;
	f->config.seed = seed;
	if (f->config.max_slots > f->capacity)
		f->config.max_slots = f->capacity;
}

/* xorshift64 is good enough for jitter. */
static uint64_t next_random(struct fleet *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random;
}

static void act(struct fleet *f, enum fleet_action_type type, unsigned int slot)
{
	if (f->action_count == f->action_cap) {
		size_t cap = f->action_cap ? f->action_cap * 2 : 64;
		struct fleet_action *bigger = x_calloc(cap, sizeof(*bigger));

		for (size_t i = 0; i < f->action_count; i++)
			bigger[i] = f->actions[(f->action_head + i) % f->action_cap];
		free(f->actions);
		f->actions = bigger;
		f->action_cap = cap;
		f->action_head = 0;
	}
	f->actions[(f->action_head + f->action_count++) % f->action_cap] =
		(struct fleet_action){type, slot, f->slots[slot].generation};
}

bool fleet_take(struct fleet *f, struct fleet_action *out)
{
	if (!f->action_count)
		return false;
	*out = f->actions[f->action_head];
	f->action_head = (f->action_head + 1) % f->action_cap;
	f->action_count--;
	return true;
}

static void arm(struct fleet *f, struct fleet_slot *s, int64_t at_ms)
{
	s->timer_ms = at_ms;
	if (at_ms && at_ms < f->deadline)
		f->deadline = at_ms;
}

/* Returns the delay before the next start: 0 after the first death, then exponential with
 * jitter. */
static int64_t backoff_delay(struct fleet *f, const struct fleet_slot *s)
{
	int64_t delay = f->config.min_delay_ms;

	if (s->failures <= 1)
		return 0;
	for (unsigned int i = 2; i < s->failures && delay < f->config.max_delay_ms; i++)
		delay *= 2;
	if (delay > f->config.max_delay_ms)
		delay = f->config.max_delay_ms;
	/* Between half of the delay and all of it, so that workers that died together do not return
	 * together. */
	return delay / 2 + (int64_t)(next_random(f) % (uint64_t)(delay / 2 + 1));
}

static void set_renewal(struct fleet *f, struct fleet_slot *s, enum fleet_renewal how)
{
	if (how != FLEET_RENEW_NONE && s->renew == FLEET_RENEW_NONE)
		f->waiting++;
	else if (how == FLEET_RENEW_NONE && s->renew != FLEET_RENEW_NONE)
		f->waiting--;
	s->renew = how;
}

static void enter(struct fleet *f, unsigned int slot, enum fleet_state state, int64_t now)
{
	struct fleet_slot *s = &f->slots[slot];
	enum fleet_state old = s->state;

	f->counts[old]--;
	f->counts[state]++;
	s->state = state;
	if (slot >= f->high)
		f->high = slot + 1;
	switch (state) {
	case FLEET_STARTING:
		s->generation = f->next_generation++;
		s->since_ms = now;
		s->cancelled = false;
		s->reported = false;
		s->renewing = s->asked = false;
		set_renewal(f, s, FLEET_RENEW_NONE);
		arm(f, s, now + STARTING_MS);
		break;
	case FLEET_DRAINING:
		/* A drain has three steps: wait for the run's own end, CANCEL, KILL. */
		if (old != FLEET_DRAINING)
			arm(f, s, now + f->config.drain_timeout_ms);
		break;
	case FLEET_STOPPING: arm(f, s, now + STOPPING_MS); break;
	case FLEET_STOPPED:
		s->renewing = false;
		set_renewal(f, s, FLEET_RENEW_NONE);
		arm(f, s, 0);
		break;
	case FLEET_IDLE:
	case FLEET_RUNNING:
	case FLEET_BACKOFF:
	case FLEET_STATE_COUNT: arm(f, s, 0); break;
	}
}

/* Returns whether this death belongs to a storm.  up: workers that were up before it. */
static bool is_storm(struct fleet *f, const struct fleet_slot *s, unsigned int up, int64_t now)
{
	if (!s->reported || now - s->since_ms < STORM_AGE_MS)
		return false;
	if (now - f->storm.since_ms > STORM_MS) {
		f->storm.since_ms = now;
		f->storm.up = up;
		f->storm.deaths = 0;
		f->storm.recognised = false;
	}
	f->storm.deaths++;
	return f->storm.up > 1 && f->storm.deaths > f->storm.up / 2;
}

/* Takes back the delays of slots whose workers died before the storm was recognised. */
static void forgive_all(struct fleet *f, int64_t now)
{
	for (unsigned int i = 0; i < f->high; i++) {
		struct fleet_slot *s = &f->slots[i];

		/* Also resets the failures of a slot that was restarted without a delay since
		 * then. */
		if (s->died_ms < f->storm.since_ms || s->state == FLEET_STOPPED)
			continue;
		s->failures = 0;
		if (s->state == FLEET_BACKOFF && s->reported)
			fleet_event(f, i, FLEET_EV_TIMER, now);
	}
}

static void count_death(struct fleet *f, struct fleet_slot *s, unsigned int up, int64_t now)
{
	bool storm = is_storm(f, s, up, now);

	if (storm || now - s->since_ms >= f->config.stable_after_ms)
		s->failures = 0;
	s->failures += !storm;
	s->restarts++;
	s->died_ms = now;
	if (storm && !f->storm.recognised) {
		f->storm.recognised = true;
		f->storm.untold = f->storm.deaths;
		forgive_all(f, now);
	}
}

unsigned int fleet_take_storm(struct fleet *f)
{
	unsigned int n = f->storm.untold;

	f->storm.untold = 0;
	return n;
}

/* Updates the slot's `wanted` and `renewing` flags for the event. */
static void note_event(struct fleet *f, struct fleet_slot *s, enum fleet_event event, bool defined)
{
	if (event == FLEET_EV_WANT)
		s->wanted = true;
	else if (event == FLEET_EV_UNWANT || event == FLEET_EV_NOW)
		s->wanted = false;
	if (!defined)
		return;
	if ((event == FLEET_EV_RENEW || event == FLEET_EV_RENEW_NOW) && s->wanted &&
		s->state != FLEET_BACKOFF) {
		s->renewing = true;
		set_renewal(f, s, FLEET_RENEW_NONE);
	} else if (event == FLEET_EV_WANT && s->renewing) {
		/* The slot became unwanted and wanted again during its renewal: the renewal begins
		 * anew. */
		s->renewing = false;
		set_renewal(f, s, FLEET_RENEW_DRAIN);
	}
	if (event == FLEET_EV_HELLO)
		s->reported = true;
}

/* Restarts the worker of a wanted slot that has ended.  meant: it was asked to end; renewed: in
 * order to be replaced; up: workers that were up before. */
static void start_again(
	struct fleet *f, unsigned int slot, bool meant, bool renewed, unsigned int up, int64_t now)
{
	struct fleet_slot *s = &f->slots[slot];
	int64_t delay = 0;

	/* The slot became wanted again while its worker was ending. */
	if (s->state == FLEET_STOPPED)
		enter(f, slot, FLEET_BACKOFF, now);
	if (meant) {
		/* This is not a failure, so there is no delay. */
		s->restarts += renewed;
	} else {
		count_death(f, s, up, now);
		/* A storm has just been recognised, and this slot refilled with it. */
		if (s->state != FLEET_BACKOFF)
			return;
		delay = backoff_delay(f, s);
	}
	if (delay)
		arm(f, s, now + delay);
	else
		fleet_event(f, slot, FLEET_EV_TIMER, now);
}

void fleet_event(struct fleet *f, unsigned int slot, enum fleet_event event, int64_t now)
{
	struct fleet_slot *s = &f->slots[slot];
	const struct cell *cell = &table[s->state][event];
	unsigned int up = fleet_running(f);
	bool renewed, meant;

	note_event(f, s, event, cell->defined);
	if (!cell->defined)
		return;
	/* The run did not end in time after CANCEL: its worker is killed. */
	if (s->state == FLEET_DRAINING && event == FLEET_EV_TIMER && s->cancelled) {
		enter(f, slot, FLEET_STOPPING, now);
		act(f, FLEET_DO_KILL, slot);
		return;
	}
	renewed = s->renewing;
	meant = renewed || s->asked;
	enter(f, slot, cell->next, now);
	if (cell->action == FLEET_DO_CANCEL) {
		s->cancelled = true;
		arm(f, s, now + f->config.kill_after_ms);
	}
	if (cell->action != FLEET_DO_NOTHING) {
		s->asked = cell->action == FLEET_DO_EXIT;
		act(f, cell->action, slot);
	}
	if (event == FLEET_EV_EXIT && s->wanted)
		start_again(f, slot, meant, renewed, up, now);
	else if (s->state == FLEET_STOPPED && !s->wanted)
		s->failures = 0;
}

/* An adopted worker is STARTING and unwanted.  It may run k6, so nothing is done about it before it
 * has reported. */
static bool is_settled(enum fleet_state state)
{
	return state == FLEET_IDLE || state == FLEET_RUNNING || state == FLEET_BACKOFF;
}

/* Sends the event that brings one slot in line with the desired count and its hold. */
static void settle(struct fleet *f, unsigned int slot, bool now_too, int64_t now)
{
	struct fleet_slot *s = &f->slots[slot];

	if (slot < f->desired && !s->held) {
		if (!s->wanted)
			fleet_event(f, slot, FLEET_EV_WANT, now);
	} else if (now_too && s->state != FLEET_STOPPED) {
		fleet_event(f, slot, FLEET_EV_NOW, now);
	} else if (s->wanted || is_settled(s->state)) {
		fleet_event(f, slot, FLEET_EV_UNWANT, now);
	}
}

static void count_held(struct fleet *f)
{
	f->held = 0;
	for (unsigned int i = 0; i < f->desired; i++)
		f->held += f->slots[i].held;
}

void fleet_scale(struct fleet *f, unsigned int count, bool now_too, int64_t now_ms)
{
	f->desired = count > f->config.max_slots ? f->config.max_slots : count;
	if (f->desired > f->high)
		f->high = f->desired;
	count_held(f);
	for (unsigned int i = 0; i < f->high; i++)
		settle(f, i, now_too, now_ms);
}

void fleet_hold(struct fleet *f, unsigned int slot, int64_t now_ms)
{
	f->slots[slot].held = true;
	count_held(f);
	settle(f, slot, false, now_ms);
}

void fleet_release(struct fleet *f, unsigned int slot, int64_t now_ms)
{
	if (!f->slots[slot].held)
		return;
	f->slots[slot].held = false;
	count_held(f);
	settle(f, slot, false, now_ms);
}

void fleet_renew(struct fleet *f, unsigned int slot, enum fleet_renewal how, int64_t now_ms)
{
	struct fleet_slot *s = &f->slots[slot];

	if (!s->wanted)
		return;
	if (how == FLEET_RENEW_NOW)
		fleet_event(f, slot, FLEET_EV_RENEW_NOW, now_ms);
	else if (!s->renewing && how > s->renew)
		set_renewal(f, s, how);
}

/* Renews waiting slots, the lowest first, while fewer than may_be_away are down. */
static void take_turns(struct fleet *f, int64_t now)
{
	unsigned int may_be_away = f->desired / 10 > 1 ? f->desired / 10 : 1;
	unsigned int away = f->counts[FLEET_STARTING];

	for (unsigned int i = 0; i < f->desired; i++)
		away += f->slots[i].renewing;
	for (unsigned int i = 0; f->waiting && i < f->desired && away < may_be_away; i++) {
		const struct fleet_slot *s = &f->slots[i];

		if (s->renew == FLEET_RENEW_NONE || s->renewing || !s->wanted)
			continue;
		if (s->state != FLEET_IDLE && s->state != FLEET_BACKOFF &&
			!(s->state == FLEET_RUNNING && s->renew == FLEET_RENEW_DRAIN))
			continue;
		fleet_event(f, i, FLEET_EV_RENEW, now);
		away++;
	}
}

void fleet_adopt(
	struct fleet *f, unsigned int slot, uint64_t generation, unsigned int restarts, int64_t now)
{
	enter(f, slot, FLEET_STARTING, now);
	f->slots[slot].restarts = restarts;
	f->slots[slot].generation = generation;
	if (generation >= f->next_generation)
		f->next_generation = generation + 1;
}

void fleet_tick(struct fleet *f, int64_t now)
{
	int64_t earliest = INT64_MAX;

	f->high = fleet_extent(f);
	if (f->waiting)
		take_turns(f, now);
	if (now < f->deadline)
		return;
	/* Events may arm timers, which lower f->deadline again, so it starts at none. */
	f->deadline = INT64_MAX;
	for (unsigned int i = 0; i < f->high; i++) {
		if (f->slots[i].timer_ms && f->slots[i].timer_ms <= now) {
			f->slots[i].timer_ms = 0;
			fleet_event(f, i, FLEET_EV_TIMER, now);
		}
		if (f->slots[i].timer_ms && f->slots[i].timer_ms < earliest)
			earliest = f->slots[i].timer_ms;
	}
	f->deadline = earliest;
}

int64_t fleet_deadline(const struct fleet *f)
{
	return f->deadline;
}

const struct fleet_slot *fleet_slot(const struct fleet *f, unsigned int slot)
{
	return &f->slots[slot];
}

unsigned int fleet_count(const struct fleet *f, enum fleet_state state)
{
	return f->counts[state];
}

unsigned int fleet_running(const struct fleet *f)
{
	return f->counts[FLEET_IDLE] + f->counts[FLEET_RUNNING] + f->counts[FLEET_DRAINING];
}

unsigned int fleet_busy(const struct fleet *f)
{
	return f->counts[FLEET_RUNNING] + f->counts[FLEET_DRAINING];
}

unsigned int fleet_occupied(const struct fleet *f)
{
	return f->capacity - f->counts[FLEET_STOPPED];
}

unsigned int fleet_extent(const struct fleet *f)
{
	unsigned int n = f->high;

	while (n > f->desired && f->slots[n - 1].state == FLEET_STOPPED)
		n--;
	return n;
}

bool fleet_is_empty(const struct fleet *f)
{
	return f->counts[FLEET_STOPPED] == f->capacity;
}

bool fleet_is_reached(const struct fleet *f)
{
	unsigned int wanted = f->desired - f->held;

	return f->counts[FLEET_IDLE] + f->counts[FLEET_RUNNING] == wanted &&
		f->counts[FLEET_STOPPED] == f->capacity - wanted;
}

unsigned int fleet_renewals(const struct fleet *f)
{
	return f->waiting;
}
