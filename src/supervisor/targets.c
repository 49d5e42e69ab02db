/* SPDX-License-Identifier: MIT */
/* Phase origins are wall times in the store and monotonic times here.  An origin is converted
 * once, when this process first sees the target enabled, so that a jump of the wall clock moves
 * no schedule. */
#include "supervisor/targets.h"

#include <string.h>

#include "common/allow.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"

/* Runs of a target whose use of memory is remembered. */
#define USED_RUNS 8
/* Memory of a run before there is a measurement: the generated script, a user's script, and each
 * virtual user of the generated script.  Measured with k6 v1 and v2. */
#define GUESS_BYTES (48LL << 20)
#define GUESS_SCRIPT_BYTES (64LL << 20)
#define GUESS_VU_BYTES (256LL << 10)

struct known {
	struct known *next;
	struct target *target;
	bool from_file;
	bool seen;              /* in the list that is being applied */
	bool fresh;             /* enabled for the first time, just now */
	int64_t origin_mono_ms; /* 0: never seen enabled */
	int64_t used_bytes[USED_RUNS];
	unsigned int used_count;
};

struct targets {
	const struct conf *conf;
	struct schedule *schedule;
	struct fleet_store *store;
	struct kept *kept;
	json_t *origins;
	struct known *list;
	int64_t clock_offset_ms; /* wall minus monotonic clock, fixed while the keeper lives */
};

/* Returns the time at which this host first saw the target enabled, in monotonic ms.  Stores the
 * time, and sets *fresh, if it is now or the stored one lies in the future. */
static int64_t find_origin(struct targets *t, const char *id, bool *fresh)
{
	int64_t now_mono = units_now_mono_ms(), now_wall = now_mono + t->clock_offset_ms;
	int64_t wall = json_get_int(t->origins, id, 0);

	*fresh = !wall || wall > now_wall;
	if (*fresh) {
		wall = now_wall;
		json_object_set_new(t->origins, id, json_integer(wall));
		fleet_store_origin_set(t->store, id, wall);
	}
	return now_mono - (now_wall - wall);
}

char *targets_host(const struct target *target)
{
	char *host = target->url ? allow_url_host(target->url) : NULL;

	return host ? host : x_strdup(target->id);
}

static void plan(struct targets *t, struct known *k)
{
	_cleanup_free_ char *host = NULL;

	if (!k->target->enabled) {
		schedule_remove(t->schedule, k->target->id);
		return;
	}
	if (!k->origin_mono_ms)
		k->origin_mono_ms = find_origin(t, k->target->id, &k->fresh);
	schedule_put(t->schedule,
		&(struct schedule_plan){
			.id = k->target->id,
			.origin_ms = k->origin_mono_ms,
			.interval_ms = k->target->interval_ms,
			.max_agents = (unsigned int)k->target->max_agents,
			.fresh = k->fresh,
		},
		units_now_mono_ms());
	host = targets_host(k->target);
	schedule_set_load(t->schedule, k->target->id, host, targets_cost(t, k->target));
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

/* Takes the target, as a new one or in place of the one with the same id, and schedules it. */
static void put(struct targets *t, struct target *target, bool from_file)
{
	struct known *k = find(t, target->id);

	if (k) {
		target_free(k->target);
		k->target = target;
	} else {
		k = add(t, target, from_file);
	}
	k->seen = true;
	plan(t, k);
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

struct targets *targets_new(const struct conf *conf, struct schedule *schedule,
	struct fleet_store *store, struct kept *kept, json_t *origins)
{
	struct targets *t = x_calloc(1, sizeof(*t));
	const char *cached = kept_get(kept, KEPT_TARGETS);
	_cleanup_json_ json_t *list = cached ? json_loads(cached, 0, NULL) : NULL;

	t->conf = conf;
	t->schedule = schedule;
	t->store = store;
	t->kept = kept;
	t->origins = origins;
	t->clock_offset_ms = units_now_wall_ms() - units_now_mono_ms();
	for (size_t i = 0; i < conf->target_count; i++)
		plan(t, add(t, target_copy(conf->targets[i]), true));
	/* Until the dashboard responds, the fleet runs the targets that it had. */
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
	/* The wall clock was set before this process started: origins were converted with the
	 * new difference. */
	for (struct known *k = t->list; k; k = k->next) {
		if (k->origin_mono_ms && !k->fresh) {
			k->origin_mono_ms += moved;
			plan(t, k);
		}
	}
}

void targets_reconfigure(struct targets *t, const struct conf *conf)
{
	t->conf = conf;
	for (struct known *k = t->list; k; k = k->next)
		k->seen = !k->from_file;
	for (size_t i = 0; i < conf->target_count; i++)
		put(t, target_copy(conf->targets[i]), true);
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

	if (!*id || strlen(id) > TARGET_ID_MAX || !strncmp(id, "file:", 5)) {
		err_set(&terr.err, "its id is missing or not allowed");
	} else if (target_apply_json(target, item, false, &terr) == 0 &&
		target_validate(target, &terr) == 0) {
		free(target->id);
		target->id = x_strdup(id);
		put(t, target, false);
		return;
	}
	if (log_limit_allows(&limit, 5))
		log_event(LOG_LEVEL_WARN, "targets", "left out a target of the dashboard",
			LOG_QUOTED("target", id), LOG_ERROR(terr.err.msg));
	target_free(target);
}

int targets_apply(struct targets *t, const json_t *list, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	json_t *item;
	size_t i;

	if (!json_is_array(list))
		return err_set(err,
			"the dashboard's answer has no array of targets; its database may be damaged");
	for (struct known *k = t->list; k; k = k->next)
		k->seen = k->from_file;
	json_array_foreach (list, i, item)
		apply_one(t, item);
	drop_unseen(t);
	text = json_compact(list);
	kept_set(t->kept, KEPT_TARGETS, text);
	return 0;
}

int64_t targets_cost(const struct targets *t, const struct target *target)
{
	const struct known *k = find(t, target->id);
	int64_t most = 0, cap = t->conf->limits.memory_bytes + t->conf->limits.tmp_bytes;

	for (unsigned int i = 0; k && i < k->used_count && i < USED_RUNS; i++)
		most = k->used_bytes[i] > most ? k->used_bytes[i] : most;
	if (!most)
		most = target->script ? GUESS_SCRIPT_BYTES
				      : GUESS_BYTES + target->vus * GUESS_VU_BYTES;
	return most < cap ? most : cap;
}

void targets_learn(struct targets *t, const char *id, int64_t bytes)
{
	struct known *k = find(t, id);

	if (!k || bytes <= 0)
		return;
	k->used_bytes[k->used_count++ % USED_RUNS] = bytes;
	/* Only count modulo USED_RUNS and count >= USED_RUNS matter; the counter must not
	 * overflow. */
	if (k->used_count == 2 * USED_RUNS)
		k->used_count = USED_RUNS;
	plan(t, k);
}

const struct target *targets_resolve(const struct targets *t, const char *name, struct err *err)
{
	const struct known *k = find(t, name), *by_label = NULL;
	_cleanup_free_ char *in_file = x_asprintf("file:%s", name);

	if (!k)
		k = find(t, in_file);
	if (k)
		return k->target;
	for (k = t->list; k; k = k->next) {
		if (strcmp(k->target->label, name) != 0)
			continue;
		if (by_label) {
			err_set(err,
				"more than one target is called \"%.80s\"; name it by its id, as "
				"`k6fleetctl targets` lists them",
				name);
			return NULL;
		}
		by_label = k;
	}
	if (!by_label)
		err_set(err,
			"there is no target \"%.80s\"; `k6fleetctl targets` lists those that are known",
			name);
	return by_label ? by_label->target : NULL;
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
		json_t *o = target_to_json(k->target, TARGET_FOR_PUBLIC);

		json_object_set_new(o, "source", json_string(k->from_file ? "file" : "dashboard"));
		json_object_set_new(o, "nextDueAt",
			due == INT64_MAX ? json_null() : json_time(now_wall + (due - now_mono)));
		json_object_set_new(o, "missed",
			json_integer((json_int_t)schedule_missed(t->schedule, k->target->id)));
		json_array_append_new(list, o);
	}
	return list;
}
