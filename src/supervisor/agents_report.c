/* SPDX-License-Identifier: MIT */
/* Makes the agents' part of status, registration and heartbeat.  Changes only the extent that the
 * last heartbeat named. */
#include "supervisor/agents_priv.h"

#include <string.h>

#include "common/body.h"
#include "common/hb.h"
#include "common/json.h"
#include "common/sandbox_layers.h"
#include "common/units.h"

/* Reads the progress of a running agent from its heartbeat page.  Returns false if there is
 * none. */
static bool progress_of(
	const struct agents *a, const struct agent *ag, int64_t now, struct hb_page *page)
{
	return ag->run && ag->run_sent && hb_read(a->pages, ag->slot, (uint64_t)now, page) &&
		!strcmp(page->run_id, agent_run_id(ag));
}

static const char *state_name(const struct agents *a, unsigned int slot)
{
	return fleet_state_names[fleet_slot(a->with.fleet, slot)->state];
}

/* Agents with the fleet's layers, which most are, share one object. */
static json_t *layers_of(const struct agents *a, const struct agent *ag, json_t *usual)
{
	return ag->layers == a->with.host->sandbox_layers ? json_incref(usual)
							  : sandbox_layers_json(ag->layers);
}

/* Returns the progress of a run by the heartbeat page of its worker. */
static struct body_progress progress_made(const struct hb_page *page, int64_t now)
{
	int64_t elapsed = now - (int64_t)page->run_start_mono_ms;

	return (struct body_progress){
		.known = true,
		/* The start lies ahead where several agents wait for a common one. */
		.elapsed_ms = elapsed > 0 ? elapsed : 0,
		.duration_ms = (int64_t)page->run_duration_ms,
		.vus = (int64_t)page->vus,
		.iterations = (int64_t)page->iterations,
	};
}

static json_t *progress_object(const struct hb_page *page, int64_t now)
{
	const struct body_progress progress = progress_made(page, now);

	return body_progress_json(&progress);
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
	_cleanup_json_ json_t *usual = sandbox_layers_json(a->with.host->sandbox_layers);
	unsigned int extent = fleet_extent(a->with.fleet);
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
			o, "restarts", json_integer(fleet_slot(a->with.fleet, i)->restarts));
		json_object_set_new(o, "run", run);
		json_object_set_new(o, "k6RssBytes",
			has && page.k6_rss_bytes ? json_integer((json_int_t)page.k6_rss_bytes)
						 : json_null());
		json_object_set_new(o, "drained", json_boolean(fleet_slot(a->with.fleet, i)->held));
		json_object_set_new(o, "sandbox",
			json_string(sandbox_layers_level(ag->layers, a->with.host->sandbox_level)));
		json_object_set_new(o, "sandboxLayers", layers_of(a, ag, usual));
		json_object_set_new(o, "lastResult",
			ag->last_result[0] ? json_string(ag->last_result) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}

json_t *agents_heartbeats(struct agents *a)
{
	unsigned int now_extent = fleet_extent(a->with.fleet);
	unsigned int extent = now_extent > a->told_extent ? now_extent : a->told_extent;
	int64_t now = units_now_mono_ms();
	json_t *list = json_array();

	for (unsigned int i = 0; i < extent; i++) {
		const struct agent *ag = &a->slots[i];
		struct hb_page page;
		bool has = progress_of(a, ag, now, &page);
		struct body_agent_heartbeat beat = {
			.name = a->names[i],
			.status = state_name(a, i),
			.current_run_id = ag->run ? agent_run_id(ag) : NULL,
			.rss_bytes = has && page.k6_rss_bytes ? (int64_t)page.k6_rss_bytes
							      : BODY_UNKNOWN,
			.restarts = fleet_slot(a->with.fleet, i)->restarts,
		};

		if (has)
			beat.progress = progress_made(&page, now);
		json_array_append_new(list, body_agent_heartbeat_json(&beat));
	}
	a->told_extent = now_extent;
	return list;
}

json_t *agents_registrations(const struct agents *a)
{
	unsigned int extent = fleet_extent(a->with.fleet);
	json_t *list = json_array();

	for (unsigned int i = 0; i < extent; i++) {
		const struct body_agent_registration r = {
			.name = a->names[i],
			.slot = i,
			.pid = a->slots[i].pid ? a->slots[i].pid : BODY_UNKNOWN,
			.k6_version = a->with.host->k6_version,
		};

		json_array_append_new(list, body_agent_registration_json(&r));
	}
	return list;
}
