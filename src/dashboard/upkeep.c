/* SPDX-License-Identifier: MIT */
/* Timers on the loop. Each step is short, so that requests between two steps do not wait. */
#include "dashboard/upkeep.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/events.h"
#include "dashboard/live.h"
#include "dashboard/store.h"
#include "dashboard/store_agents.h"
#include "dashboard/store_reaper.h"
#include "dashboard/store_rollup.h"
#include "dashboard/store_runs.h"
#include "dashboard/store_series.h"

#define STEP_PAUSE_S 0.005
#define BEAT_S 15.

/* A kind of work, which logs the first of several failures in a row. */
struct work {
	const char *name, *failure;
	bool fails;
};

struct upkeep {
	struct ev_loop *loop;
	struct api *api;
	ev_timer reaper, steps, beat;
	struct work reaping, storing;
};

static void note(struct work *w, int rc, const struct err *err)
{
	if (rc < 0 && !w->fails)
		log_event(LOG_LEVEL_ERROR, w->name, w->failure, LOG_ERROR(err->msg));
	w->fails = rc < 0;
}

/* --- the reaper ----------------------------------------------------------------------------- */

/* Publishes the rows that the reaper has changed. */
static void publish(struct api *api, const json_t *changed)
{
	struct err err;
	json_t *row;
	size_t i;

	json_array_foreach (changed, i, row) {
		const char *what = json_string_value(json_array_get(row, 0));
		const char *first = json_string_value(json_array_get(row, 1));
		const char *second = json_string_value(json_array_get(row, 2));
		bool is_run = !strcmp(what, "run");
		json_t *object = NULL;
		enum found found = is_run
			? dash_store_get_run_row(api->store, first, &object, &err)
			: dash_store_get_agent(api->store, first, second, &object, &err);

		if (found == NOT_FOUND && !is_run)
			object = json_pack(
				"{s:s, s:s, s:b}", "host", first, "name", second, "deleted", 1);
		if (object)
			events_publish(api->events, what, object);
		else if (found == FOUND_ERROR)
			events_lost(api->events, &err);
	}
}

static void add_to_last_hour(void *arg, const struct sample *sample)
{
	live_add(arg, sample, false, units_now_wall_ms());
}

static int reap(struct api *api, int64_t now, struct err *err)
{
	const struct settings *c = api->config;
	const struct dash_store_rules rules = {c->reaper.run_timeout_ms, c->reaper.offline_after_ms,
		c->reaper.delete_after_ms, c->reaper.keep_runs};
	_cleanup_json_ json_t *changed = json_array();
	struct dash_store_reaped r;

	if (dash_store_each_overdue(
		    api->store, now, rules.run_timeout_ms, add_to_last_hour, api->live, err) < 0 ||
		dash_store_reap(api->store, &rules, now, &r, changed, err) < 0)
		return -1;
	if (r.runs_timed_out || r.agents_offline || r.agents_deleted)
		log_event(LOG_LEVEL_INFO, "reaper", "reaped",
			LOG_INT("runs_timed_out", r.runs_timed_out),
			LOG_INT("agents_offline", r.agents_offline),
			LOG_INT("agents_deleted", r.agents_deleted));
	api->reaped.runs_timed_out += r.runs_timed_out;
	api->reaped.agents_offline += r.agents_offline;
	api->reaped.agents_deleted += r.agents_deleted;
	publish(api, changed);
	return 0;
}

static void on_reaper(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct upkeep *u = w->data;
	struct err err;

	(void)revents;
	note(&u->reaping, reap(u->api, units_now_wall_ms(), &err), &err);
	/* Finds out that a device works again, also when nobody asks /readyz; dash_store_watch()
	 * tells. */
	dash_store_check(u->api->store, &err);
	ev_timer_again(loop, &u->steps);
}

/* --- rollups and retention ----------------------------------------------------------------- */

/* One small transaction, so that no request waits for long.  Returns 1 when there is more to do,
 * 0, or -1 with err. */
static int take_step(struct api *api, struct err *err)
{
	const struct settings *c = api->config;
	int64_t now = units_now_wall_ms();
	int more = dash_store_rollup_step(api->store, now, err);

	if (more == 0)
		more = dash_store_expire(api->store, now - c->retention_ms, err);
	if (more == 0)
		more = dash_store_expire_rollups(api->store, now - c->rollup_retention_ms, err);
	return more;
}

static void on_step(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct upkeep *u = w->data;
	struct err err;
	int more = take_step(u->api, &err);

	(void)revents;
	note(&u->storing, more, &err);
	if (more <= 0)
		ev_timer_stop(loop, w);
}

/* --- all of it ----------------------------------------------------------------------------- */

static void on_beat(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct upkeep *u = w->data;

	(void)loop;
	(void)revents;
	events_beat(u->api->events);
}

static void start_timer(struct upkeep *u, ev_timer *timer, double pause_s)
{
	timer->data = u;
	timer->repeat = pause_s;
	ev_timer_again(u->loop, timer);
}

struct upkeep *upkeep_start(struct ev_loop *loop, struct api *api)
{
	int64_t now = units_now_wall_ms();
	struct upkeep *u;

	if (dash_store_each_sample(
		    api->store, now - HOUR_MS, add_to_last_hour, api->live, &api->hour_err) < 0) {
		log_event(LOG_LEVEL_WARN, "upkeep",
			"the last hour's runs cannot be read; its figures get 503 for an hour",
			LOG_ERROR(api->hour_err.msg));
		api->hour_lacks_until_ms = now + HOUR_MS;
	}
	/* Puts the minutes together, so that the first reader does not wait for it. */
	live_last_hour(api->live, now);
	u = x_calloc(1, sizeof(*u));
	u->loop = loop;
	u->api = api;
	u->reaping = (struct work){.name = "reaper", .failure = "cannot work"};
	u->storing = (struct work){.name = "upkeep", .failure = "rollups and retention wait"};
	ev_init(&u->reaper, on_reaper);
	start_timer(u, &u->reaper, (double)api->config->reaper.interval_ms / 1000);
	ev_init(&u->steps, on_step);
	start_timer(u, &u->steps, STEP_PAUSE_S);
	ev_init(&u->beat, on_beat);
	start_timer(u, &u->beat, BEAT_S);
	return u;
}

void upkeep_stop(struct upkeep *u)
{
	if (!u)
		return;
	ev_timer_stop(u->loop, &u->reaper);
	ev_timer_stop(u->loop, &u->steps);
	ev_timer_stop(u->loop, &u->beat);
	free(u);
}
