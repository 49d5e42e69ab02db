/* SPDX-License-Identifier: MIT */
/* What status, the dashboard's registration and its heartbeat say of each agent.  Changes
 * nothing but what it remembers of having told. */
#include "supervisor/agents_priv.h"

#include <string.h>

#include "common/json.h"
#include "common/hb.h"
#include "common/sandbox_layers.h"
#include "common/units.h"

/* Progress of a running agent from its page; false when it has none. */
static bool progress_of(
	const struct agents *a, const struct agent *ag, int64_t now, struct hb_page *page)
{
	return ag->run && ag->run_sent && hb_read(a->pages, ag->slot, (uint64_t)now, page) &&
		!strcmp(page->run_id, agent_run_id(ag));
}

static const char *state_name(const struct agents *a, unsigned int slot)
{
	return fleet_state_names[fleet_slot(a->sup->fleet, slot)->state];
}

/* Most agents have the fleet's layers: one object for all of those. */
static json_t *layers_of(const struct agents *a, const struct agent *ag, json_t *usual)
{
	return ag->layers == a->sup->sandbox_layers ? json_incref(usual)
						    : sandbox_layers_json(ag->layers);
}

/* What a page says of a run. */
static json_t *progress_object(const struct hb_page *page, int64_t now)
{
	int64_t elapsed = now - (int64_t)page->run_start_mono_ms;

	/* Before a common start. */
	return json_pack("{s:I, s:I, s:I, s:I}", "elapsedMs",
		(json_int_t)(elapsed > 0 ? elapsed : 0), "durationMs",
		(json_int_t)page->run_duration_ms, "vus", (json_int_t)page->vus, "iterations",
		(json_int_t)page->iterations);
}

json_t *agents_progress(const struct agents *a, const json_t *ids)
{
	_cleanup_json_ json_t *wanted = json_object();
	int64_t now = units_now_mono_ms();
	json_t *list = json_array(), *id;
	size_t i;

	json_array_foreach (ids, i, id)
		json_object_set_new(wanted, json_string_value(id), json_true());
	for (unsigned int slot = 0; slot < a->count; slot++) {
		const struct agent *ag = &a->slots[slot];
		struct hb_page page = {0};
		json_t *o;

		if (!ag->run || !json_object_get(wanted, agent_run_id(ag)))
			continue;
		if (!progress_of(a, ag, now, &page))
			page.run_start_mono_ms = (uint64_t)now;
		o = progress_object(&page, now);
		json_object_set_new(o, "id", json_text(agent_run_id(ag)));
		json_object_set_new(o, "agent", json_text(a->names[slot]));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *agents_status(const struct agents *a)
{
	_cleanup_json_ json_t *usual = sandbox_layers_json(a->sup->sandbox_layers);
	unsigned int extent = fleet_extent(a->sup->fleet);
	int64_t now = units_now_mono_ms();
	json_t *list = json_array();

	for (unsigned int i = 0; i < extent; i++) {
		const struct agent *ag = &a->slots[i];
		json_t *o = json_object(), *run = json_null();
		struct hb_page page;
		bool has = progress_of(a, ag, now, &page);

		if (has) {
			run = progress_object(&page, now);
			json_object_set_new(run, "id", json_string(agent_run_id(ag)));
			json_object_set_new(run, "target", json_text(ag->run->target_label));
		}
		json_object_set_new(o, "name", json_text(a->names[i]));
		json_object_set_new(o, "slot", json_integer(i));
		json_object_set_new(o, "state", json_string(state_name(a, i)));
		json_object_set_new(o, "pid", ag->pid ? json_integer(ag->pid) : json_null());
		json_object_set_new(
			o, "uptimeMs", json_integer(ag->fd >= 0 ? now - ag->started_mono_ms : 0));
		json_object_set_new(
			o, "restarts", json_integer(fleet_slot(a->sup->fleet, i)->restarts));
		json_object_set_new(o, "run", run);
		json_object_set_new(o, "k6RssBytes",
			has && page.k6_rss_bytes ? json_integer((json_int_t)page.k6_rss_bytes)
						 : json_null());
		json_object_set_new(o, "drained", json_boolean(fleet_slot(a->sup->fleet, i)->held));
		json_object_set_new(o, "sandbox",
			json_string(sandbox_layers_level(ag->layers, a->sup->sandbox_level)));
		json_object_set_new(o, "sandboxLayers", layers_of(a, ag, usual));
		json_object_set_new(o, "lastResult",
			ag->last_result[0] ? json_string(ag->last_result) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}

json_t *agents_heartbeats(struct agents *a)
{
	unsigned int now_extent = fleet_extent(a->sup->fleet);
	unsigned int extent = now_extent > a->told_extent ? now_extent : a->told_extent;
	int64_t now = units_now_mono_ms();
	json_t *list = json_array();

	for (unsigned int i = 0; i < extent; i++) {
		const struct agent *ag = &a->slots[i];
		json_t *o = json_object();
		struct hb_page page;
		bool has = progress_of(a, ag, now, &page);

		json_object_set_new(o, "name", json_text(a->names[i]));
		json_object_set_new(o, "status", json_string(state_name(a, i)));
		json_object_set_new(
			o, "currentRunId", ag->run ? json_string(agent_run_id(ag)) : json_null());
		json_object_set_new(o, "rssBytes",
			has && page.k6_rss_bytes ? json_integer((json_int_t)page.k6_rss_bytes)
						 : json_null());
		json_object_set_new(
			o, "restarts", json_integer(fleet_slot(a->sup->fleet, i)->restarts));
		if (has)
			json_object_set_new(o, "progress", progress_object(&page, now));
		json_array_append_new(list, o);
	}
	a->told_extent = now_extent;
	return list;
}

json_t *agents_registrations(const struct agents *a)
{
	unsigned int extent = fleet_extent(a->sup->fleet);
	json_t *list = json_array();

	for (unsigned int i = 0; i < extent; i++) {
		json_t *o = json_object();

		json_object_set_new(o, "name", json_text(a->names[i]));
		json_object_set_new(o, "slot", json_integer(i));
		json_object_set_new(
			o, "pid", a->slots[i].pid ? json_integer(a->slots[i].pid) : json_null());
		json_object_set_new(o, "k6Version", json_text(a->sup->k6_version));
		json_array_append_new(list, o);
	}
	return list;
}
