/* SPDX-License-Identifier: MIT */
#include "supervisor/desired.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"

struct desired {
	struct desired_parts with;
	unsigned int count;
	int64_t revision;
	bool paused, stopping, stop_now, begun;
};

static void apply(struct desired *d, bool now)
{
	int64_t now_ms = units_now_mono_ms();
	unsigned int count = d->stopping ? 0 : d->count;

	fleet_scale(d->with.fleet, count, now, now_ms);
	schedule_set_agents(d->with.schedule, count, now_ms);
}

/* --- kept over restarts ------------------------------------------------------------ */

static void keep_count(const struct desired *d)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %lld", d->count, (long long)d->revision);
	kept_set(d->with.kept, KEPT_DESIRED, text);
}

static void keep_count_in_file(const struct desired *d)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)d->with.conf->workers);
	kept_set(d->with.kept, KEPT_COUNT_IN_FILE, text);
}

static void keep_held(const struct desired *d)
{
	_cleanup_json_ json_t *held = json_array();
	_cleanup_free_ char *text = NULL;

	for (unsigned int i = 0; i < d->with.conf->max_workers; i++) {
		if (fleet_slot(d->with.fleet, i)->held)
			json_array_append_new(held, json_integer(i));
	}
	text = json_compact(held);
	kept_set(d->with.kept, KEPT_HELD, text);
}

static void restore_count(struct desired *d, bool option, bool again)
{
	const struct conf *conf = d->with.conf;
	const char *saved = kept_get(d->with.kept, KEPT_DESIRED);
	const char *file = kept_get(d->with.kept, KEPT_COUNT_IN_FILE);
	char in_file[32];
	unsigned int count;
	long long revision;

	d->count = (unsigned int)conf->workers;
	if (!saved || sscanf(saved, "%u %lld", &count, &revision) != 2)
		return;
	snprintf(in_file, sizeof(in_file), "%lld", (long long)conf->workers);
	d->revision = revision;
	if (option ? again : file && !strcmp(file, in_file))
		d->count = count;
	else if (d->count != count)
		d->revision++;
	if (d->count > conf->max_workers)
		d->count = (unsigned int)conf->max_workers;
}

static void restore_paused(struct desired *d)
{
	const char *saved = kept_get(d->with.kept, KEPT_PAUSED);

	/* A bad sector must not bring back the load that somebody has paused. */
	d->paused = kept_error(d->with.kept) || (saved && !strcmp(saved, "1"));
	if (d->paused && !kept_error(d->with.kept))
		log_warn("fleet", "still paused: no runs are started until k6fleetctl resume");
}

static void restore_held(struct desired *d)
{
	const char *saved = kept_get(d->with.kept, KEPT_HELD);
	_cleanup_json_ json_t *held = saved ? json_loads(saved, 0, NULL) : NULL;
	json_t *slot;
	size_t i;

	json_array_foreach (held, i, slot) {
		json_int_t n = json_integer_value(slot);

		if (json_is_integer(slot) && n >= 0 && n < d->with.conf->max_workers)
			fleet_hold(d->with.fleet, (unsigned int)n, units_now_mono_ms());
	}
}

struct desired *desired_new(const struct desired_parts *parts, bool option, bool again)
{
	struct desired *d = x_calloc(1, sizeof(*d));

	d->with = *parts;
	restore_count(d, option, again);
	restore_paused(d);
	/* -n is for this start only: it must not look like a change of the file next time. */
	if (!option)
		keep_count_in_file(d);
	keep_count(d);
	return d;
}

void desired_free(struct desired *d)
{
	free(d);
}

void desired_begin(struct desired *d)
{
	d->begun = true;
	restore_held(d);
	apply(d, d->stopping && d->stop_now);
}

/* --- what is wanted ------------------------------------------------------------------ */

unsigned int desired_count(const struct desired *d)
{
	return d->count;
}

int64_t desired_revision(const struct desired *d)
{
	return d->revision;
}

bool desired_is_paused(const struct desired *d)
{
	return d->paused;
}

bool desired_is_stopping(const struct desired *d)
{
	return d->stopping;
}

bool desired_has_begun(const struct desired *d)
{
	return d->begun;
}

/* --- changes ------------------------------------------------------------------------- */

void desired_set(struct desired *d, unsigned int count, int64_t revision, bool now, const char *who)
{
	if (count != d->count)
		log_event(LOG_LEVEL_INFO, "fleet", "scale", LOG_INT("from", d->count),
			LOG_INT("to", count), LOG_WORD("by", who), LOG_INT("revision", revision));
	d->count = count;
	d->revision = revision;
	keep_count(d);
	for (unsigned int i = 0; i < d->with.conf->max_workers; i++)
		fleet_release(d->with.fleet, i, units_now_mono_ms());
	keep_held(d);
	if (!d->stopping && d->begun)
		apply(d, now);
}

bool desired_reconfigure(struct desired *d, const struct conf *conf)
{
	bool changed = conf->workers != d->with.conf->workers;
	int64_t count = changed ? conf->workers : d->count;

	d->with.conf = conf;
	if (changed)
		keep_count_in_file(d);
	if (count > conf->max_workers)
		count = conf->max_workers;
	if (count == d->count)
		return false;
	desired_set(d, (unsigned int)count, d->revision + 1, false, "configuration file");
	return true;
}

void desired_pause(struct desired *d, bool paused, bool now, const char *who)
{
	if (paused != d->paused || now)
		log_event(LOG_LEVEL_INFO, "fleet",
			!paused       ? "resumed"
				: now ? "paused, runs are cancelled"
				      : "paused",
			LOG_WORD("by", who));
	d->paused = paused;
	kept_set(d->with.kept, KEPT_PAUSED, paused ? "1" : "0");
}

void desired_hold(struct desired *d, unsigned int slot, const char *name, const char *who)
{
	log_agent_event(LOG_LEVEL_INFO, name, "drained, stays stopped until restart or scale",
		LOG_WORD("by", who));
	fleet_hold(d->with.fleet, slot, units_now_mono_ms());
	keep_held(d);
}

void desired_restart(
	struct desired *d, const unsigned int *slots, size_t count, bool rolling, const char *who)
{
	int64_t now = units_now_mono_ms();
	bool released = false;

	log_event(LOG_LEVEL_INFO, "fleet", "restart", LOG_INT("agents", count),
		LOG_YES_NO("rolling", rolling), LOG_WORD("by", who));
	for (size_t i = 0; i < count; i++) {
		if (fleet_slot(d->with.fleet, slots[i])->held) {
			fleet_release(d->with.fleet, slots[i], now);
			released = true;
		} else {
			fleet_renew(d->with.fleet, slots[i],
				rolling ? FLEET_RENEW_DRAIN : FLEET_RENEW_NOW, now);
		}
	}
	if (released)
		keep_held(d);
}

void desired_stop(struct desired *d, bool now)
{
	if (!d->stopping)
		log_event(LOG_LEVEL_INFO, "fleet", "draining",
			LOG_INT("running", fleet_running(d->with.fleet)));
	d->stopping = true;
	d->stop_now = d->stop_now || now;
	if (d->begun)
		apply(d, now);
}
