/* SPDX-License-Identifier: MIT */
/* Each change is applied at once and written down; a new supervisor reads it all before it decides
 * anything. */
#include "supervisor/wishes.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "supervisor/agents.h"

/* From the cancellation of a run to the end of a worker that does not heed it. */
#define CANCEL_KILL_AFTER_MS 7000

void wishes_apply(struct supervisor *sup, bool now)
{
	int64_t now_ms = units_now_mono_ms();

	fleet_scale(sup->fleet, sup->stopping ? 0 : sup->desired, now, now_ms);
	schedule_set_agents(sup->schedule, sup->stopping ? 0 : sup->desired, now_ms);
}

static void save_desired(struct supervisor *sup)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %lld", sup->desired, (long long)sup->revision);
	fleet_store_meta_set(sup->store, "desired", text);
}

enum msg_obstacle supervisor_obstacle(const struct supervisor *sup)
{
	if (!sup->k6_version[0])
		return MSG_OBSTACLE_K6;
	if (sup->storage != FLEET_STORE_OK)
		return MSG_OBSTACLE_STORAGE;
	return sup->paused ? MSG_OBSTACLE_PAUSED : MSG_OBSTACLE_NONE;
}

void supervisor_apply_pause(struct supervisor *sup)
{
	schedule_set_paused(sup->schedule, supervisor_obstacle(sup) != MSG_OBSTACLE_NONE);
}

char *supervisor_no_k6(const struct supervisor *sup)
{
	if (sup->k6_version[0])
		return NULL;
	return x_asprintf(
		"there is no k6 at %s, so no runs are started; install k6 "
		"(https://grafana.com/docs/k6/latest/set-up/install-k6/), then: k6fleetctl "
		"reload",
		sup->conf->k6.binary);
}

void supervisor_pause(struct supervisor *sup, bool paused, bool now, const char *who)
{
	if (paused != sup->paused || now)
		log_event(LOG_LEVEL_INFO, "fleet",
			!paused       ? "resumed"
				: now ? "paused, runs are cancelled"
				      : "paused",
			LOG_WORD("by", who));
	sup->paused = paused;
	supervisor_apply_pause(sup);
	fleet_store_meta_set(sup->store, "paused", paused ? "1" : "0");
	if (paused && now)
		agents_cancel_all(sup->agents);
}

static void save_held(struct supervisor *sup)
{
	_cleanup_json_ json_t *held = json_array();
	_cleanup_free_ char *text = NULL;

	for (unsigned int i = 0; i < sup->conf->max_workers; i++) {
		if (fleet_slot(sup->fleet, i)->held)
			json_array_append_new(held, json_integer(i));
	}
	text = json_compact(held);
	fleet_store_meta_set(sup->store, "held", text);
}

void supervisor_set_desired(
	struct supervisor *sup, unsigned int count, int64_t revision, bool now, const char *who)
{
	if (count != sup->desired)
		log_event(LOG_LEVEL_INFO, "fleet", "scale", LOG_INT("from", sup->desired),
			LOG_INT("to", count), LOG_WORD("by", who), LOG_INT("revision", revision));
	sup->desired = count;
	sup->revision = revision;
	save_desired(sup);
	for (unsigned int i = 0; i < sup->conf->max_workers; i++)
		fleet_release(sup->fleet, i, units_now_mono_ms());
	save_held(sup);
	if (!sup->stopping && sup->handed_over)
		wishes_apply(sup, now);
}

void supervisor_stop(struct supervisor *sup, bool now)
{
	if (!sup->stopping)
		log_event(LOG_LEVEL_INFO, "fleet", "draining",
			LOG_INT("running", supervisor_running(sup)));
	sup->stopping = true;
	sup->stop_now = sup->stop_now || now;
	if (sup->handed_over)
		wishes_apply(sup, now);
}

void wishes_restore_held(struct supervisor *sup)
{
	json_t *slot;
	size_t i;

	json_array_foreach (sup->held, i, slot) {
		json_int_t n = json_integer_value(slot);

		if (json_is_integer(slot) && n >= 0 && n < sup->conf->max_workers)
			fleet_hold(sup->fleet, (unsigned int)n, units_now_mono_ms());
	}
	json_decref(sup->held);
	sup->held = NULL;
}

void supervisor_hold(struct supervisor *sup, unsigned int slot, const char *who)
{
	log_agent_event(LOG_LEVEL_INFO, agents_name(sup->agents, slot),
		"drained, stays stopped until restart or scale", LOG_WORD("by", who));
	fleet_hold(sup->fleet, slot, units_now_mono_ms());
	save_held(sup);
}

void supervisor_restart(struct supervisor *sup, const unsigned int *slots, size_t count,
	bool rolling, const char *who)
{
	int64_t now = units_now_mono_ms();
	bool released = false;

	log_event(LOG_LEVEL_INFO, "fleet", "restart", LOG_INT("agents", count),
		LOG_YES_NO("rolling", rolling), LOG_WORD("by", who));
	for (size_t i = 0; i < count; i++) {
		if (fleet_slot(sup->fleet, slots[i])->held) {
			fleet_release(sup->fleet, slots[i], now);
			released = true;
		} else {
			fleet_renew(sup->fleet, slots[i],
				rolling ? FLEET_RENEW_DRAIN : FLEET_RENEW_NOW, now);
		}
	}
	if (released)
		save_held(sup);
}

void wishes_restore_paused(struct supervisor *sup)
{
	_cleanup_free_ char *saved = fleet_store_meta_get(sup->store, "paused");

	sup->paused = saved && !strcmp(saved, "1");
	schedule_set_paused(sup->schedule, sup->paused);
	if (sup->paused)
		log_warn("fleet", "still paused: no runs are started until k6fleetctl resume");
}

void wishes_restore_desired(struct supervisor *sup, bool option, bool again)
{
	_cleanup_free_ char *saved = fleet_store_meta_get(sup->store, "desired");
	_cleanup_free_ char *file = fleet_store_meta_get(sup->store, "workers_in_file");
	char now[32];
	unsigned int count;
	long long revision;
	bool have = saved && sscanf(saved, "%u %lld", &count, &revision) == 2;

	snprintf(now, sizeof(now), "%lld", (long long)sup->conf->workers);
	sup->desired = (unsigned int)sup->conf->workers;
	if (have) {
		sup->revision = revision;
		if (option ? again : file && !strcmp(file, now))
			sup->desired = count;
		else if (sup->desired != count)
			sup->revision++;
		if (sup->desired > sup->conf->max_workers)
			sup->desired = (unsigned int)sup->conf->max_workers;
	}
}

json_t *wishes_load_held(struct fleet_store *store)
{
	_cleanup_free_ char *saved = fleet_store_meta_get(store, "held");

	return saved ? json_loads(saved, 0, NULL) : NULL;
}

void wishes_remember(struct supervisor *sup, bool option)
{
	char now[32];

	snprintf(now, sizeof(now), "%lld", (long long)sup->conf->workers);
	/* -n is for this start only: it must not look like a change of the file next time. */
	if (!option)
		fleet_store_meta_set(sup->store, "workers_in_file", now);
	save_desired(sup);
}

/* What is left for the host itself: page cache, the daemons, whoever logs in. */
#define BUDGET_SHARE_PERCENT 80

void supervisor_configure_schedule(struct supervisor *sup)
{
	const struct conf *conf = sup->conf;
	struct schedule_limits limits = {
		.max_runs = (unsigned int)conf->schedule.max_concurrent_runs,
		.max_per_host = (unsigned int)conf->schedule.max_per_target,
	};

	/* A host whose size nobody knows has no limit. */
	if (!strcmp(conf->schedule.memory_budget, "auto"))
		limits.budget_bytes = sup->memory_bytes / 100 * BUDGET_SHARE_PERCENT;
	else if (units_parse_size(conf->schedule.memory_budget, &limits.budget_bytes, NULL) < 0)
		limits.budget_bytes = 0;
	schedule_set_limits(sup->schedule, &limits);
}

void supervisor_configure_fleet(struct supervisor *sup)
{
	const struct fleet_config config = {
		.max_slots = (unsigned int)sup->conf->max_workers,
		.min_delay_ms = sup->conf->restart.min_delay_ms,
		.max_delay_ms = sup->conf->restart.max_delay_ms,
		.stable_after_ms = sup->conf->restart.stable_after_ms,
		.drain_timeout_ms = sup->conf->drain_timeout_ms,
		.kill_after_ms = CANCEL_KILL_AFTER_MS,
	};

	fleet_configure(sup->fleet, &config);
}
