/* SPDX-License-Identifier: MIT */
/* Phase origins are wall times in the store and monotonic times here: converted once, when the
 * target is first seen by this process, so that a jump of the wall clock moves no schedule. */
#include "supervisor/targets.h"

#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"

#define CACHE_KEY "dashboard_targets"

struct known {
	struct known *next;
	struct target *target;
	bool from_file, seen, fresh;
	int64_t origin_mono_ms; /* 0: never seen enabled */
};

struct targets {
	const struct conf *conf;
	struct schedule *schedule;
	struct store *store;
	json_t *origins;
	struct known *list;
	int64_t clock_offset_ms; /* wall less monotonic clock, fixed while the keeper lives */
};

/* The moment this host first saw it enabled, in monotonic time. */
static int64_t find_origin(struct targets *t, const char *id, bool *fresh)
{
	int64_t now_mono = units_now_mono_ms(), now_wall = now_mono + t->clock_offset_ms;
	int64_t wall = json_get_int(t->origins, id, 0);

	*fresh = !wall || wall > now_wall;
	if (*fresh) {
		wall = now_wall;
		json_object_set_new(t->origins, id, json_integer(wall));
		store_origin_set(t->store, id, wall);
	}
	return now_mono - (now_wall - wall);
}

static void plan(struct targets *t, struct known *k)
{
	if (!k->target->enabled) {
		schedule_remove(t->schedule, k->target->id);
		return;
	}
	if (!k->origin_mono_ms)
		k->origin_mono_ms = find_origin(t, k->target->id, &k->fresh);
	schedule_put(t->schedule, k->target->id, k->origin_mono_ms, k->target->interval_ms,
		(unsigned int)k->target->max_agents, k->fresh, units_now_mono_ms());
}

static struct known *find(const struct targets *t, const char *id)
{
	for (struct known *k = t->list; k; k = k->next) {
		if (!strcmp(k->target->id, id))
			return k;
	}
	return NULL;
}

static struct known *add(struct targets *t, struct target *target, bool from_file)
{
	struct known *k = x_calloc(1, sizeof(*k)), **end = &t->list;

	k->target = target;
	k->from_file = from_file;
	while (*end)
		end = &(*end)->next;
	*end = k;
	return k;
}

static struct target *copy_target(const struct target *from)
{
	_cleanup_json_ json_t *json = target_to_json(from, false);
	struct target *t = target_new();
	struct target_error err;

	target_apply_json(t, json, false, &err);
	free(t->id);
	t->id = x_strdup(from->id);
	return t;
}

static void free_known(struct known *k)
{
	target_free(k->target);
	free(k);
}

static void drop_unseen(struct targets *t)
{
	struct known **p = &t->list;

	while (*p) {
		struct known *k = *p;

		if (k->seen) {
			p = &k->next;
			continue;
		}
		schedule_remove(t->schedule, k->target->id);
		*p = k->next;
		free_known(k);
	}
}

struct targets *targets_new(
	const struct conf *conf, struct schedule *schedule, struct store *store, json_t *origins)
{
	struct targets *t = x_calloc(1, sizeof(*t));
	_cleanup_free_ char *cached = store_meta_get(store, CACHE_KEY);
	_cleanup_json_ json_t *list = cached ? json_loads(cached, 0, NULL) : NULL;

	t->conf = conf;
	t->schedule = schedule;
	t->store = store;
	t->origins = origins;
	t->clock_offset_ms = units_now_wall_ms() - units_now_mono_ms();
	for (size_t i = 0; i < conf->target_count; i++)
		plan(t, add(t, copy_target(conf->targets[i]->target), true));
	/* With no dashboard in reach the fleet goes on with what it knew. */
	if (list && conf->dashboard.url[0])
		targets_apply(t, list, NULL);
	return t;
}

void targets_set_clock(struct targets *t, int64_t offset_ms)
{
	int64_t moved = t->clock_offset_ms - offset_ms;

	t->clock_offset_ms = offset_ms;
	if (!moved)
		return;
	/* This process was started after the wall clock had been set: as before, then. */
	for (struct known *k = t->list; k; k = k->next) {
		if (k->origin_mono_ms && !k->fresh) {
			k->origin_mono_ms += moved;
			plan(t, k);
		}
	}
}

/* Targets of the file as they are now; those of the dashboard stay. */
void targets_reconfigure(struct targets *t, const struct conf *conf)
{
	t->conf = conf;
	for (struct known *k = t->list; k; k = k->next)
		k->seen = !k->from_file;
	for (size_t i = 0; i < conf->target_count; i++) {
		struct target *target = copy_target(conf->targets[i]->target);
		struct known *k = find(t, target->id);

		if (k) {
			target_free(k->target);
			k->target = target;
		} else {
			k = add(t, target, true);
		}
		k->seen = true;
		plan(t, k);
	}
	drop_unseen(t);
}

void targets_free(struct targets *t)
{
	if (!t)
		return;
	while (t->list) {
		struct known *k = t->list;

		t->list = k->next;
		free_known(k);
	}
	json_decref(t->origins);
	free(t);
}

static void apply_one(struct targets *t, const json_t *item)
{
	static struct log_limit limit;
	const char *id = json_get_text(item, "id", "");
	struct target *target = target_new();
	struct target_error terr;
	struct known *k;

	if (!*id || strlen(id) > TARGET_ID_MAX || !strncmp(id, "file:", 5)) {
		err_set(&terr.err, "its id is missing or not allowed");
	} else if (target_apply_json(target, item, false, &terr) == 0 &&
		target_validate(target, &terr) == 0) {
		free(target->id);
		target->id = x_strdup(id);
		k = find(t, id);
		if (k) {
			target_free(k->target);
			k->target = target;
		} else {
			k = add(t, target, false);
		}
		k->seen = true;
		plan(t, k);
		return;
	}
	if (log_limit_allows(&limit, 5))
		log_warn("targets", "left out target=\"%.60s\" from the dashboard: %s", id,
			terr.err.msg);
	target_free(target);
}

int targets_apply(struct targets *t, const json_t *list, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	json_t *item;
	size_t i;

	if (!json_is_array(list))
		return err_set(err, "the dashboard's answer has no array of targets");
	for (struct known *k = t->list; k; k = k->next)
		k->seen = k->from_file;
	json_array_foreach (list, i, item)
		apply_one(t, item);
	drop_unseen(t);
	text = json_compact(list);
	store_meta_set(t->store, CACHE_KEY, text);
	return 0;
}

const struct target *targets_find(const struct targets *t, const char *id)
{
	const struct known *k = find(t, id);

	return k ? k->target : NULL;
}

json_t *targets_to_json(const struct targets *t)
{
	int64_t now_mono = units_now_mono_ms(), now_wall = units_now_wall_ms();
	json_t *list = json_array();

	for (const struct known *k = t->list; k; k = k->next) {
		int64_t due = schedule_next_due(t->schedule, k->target->id);
		json_t *o = target_to_json(k->target, true);

		json_object_set_new(o, "source", json_string(k->from_file ? "file" : "dashboard"));
		json_object_set_new(o, "nextDueAt",
			due == INT64_MAX ? json_null() : json_time(now_wall + (due - now_mono)));
		json_object_set_new(o, "missed",
			json_integer((json_int_t)schedule_missed(t->schedule, k->target->id)));
		json_array_append_new(list, o);
	}
	return list;
}
