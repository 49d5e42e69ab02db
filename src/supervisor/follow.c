/* SPDX-License-Identifier: MIT */
/* Records of ended runs are read from the store.  The store does its tasks in the order of the
 * queue, so a record that was queued before is read as it was written last. */
#include "supervisor/follow.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run.h"

struct follower {
	struct follow *all;
	struct follower *next;
	struct control_ticket ticket;
	json_t *ids;     /* array of strings */
	json_t *records; /* read from the store so far; NULL: runs still go on */
};

struct follow {
	const struct agents *agents;
	struct fleet_store *store;
	struct follower *list;
	bool changed;
};

struct follow *follow_new(const struct agents *agents, struct fleet_store *store)
{
	struct follow *f = x_calloc(1, sizeof(*f));

	f->agents = agents;
	f->store = store;
	return f;
}

static void drop(struct follower *fo)
{
	struct follower **p = &fo->all->list;

	while (*p != fo)
		p = &(*p)->next;
	*p = fo->next;
	json_decref(fo->ids);
	json_decref(fo->records);
	free(fo);
}

void follow_free(struct follow *f)
{
	while (f && f->list)
		drop(f->list);
	free(f);
}

static void on_record(void *arg, json_t *record, const struct err *err)
{
	struct follower *fo = arg;
	const char *id = json_string_value(json_array_get(fo->ids, json_array_size(fo->records)));

	/* The client asked for a run that this host does not have. */
	if (err || !json_is_object(record))
		json_array_append_new(fo->records,
			json_pack("{s:s?, s:s, s:s}", "id", id, "status", "unknown",
				RUN_NAME(message),
				err ? err->msg : "this host has no record of the run"));
	else
		json_array_append(fo->records, record);
	if (json_array_size(fo->records) < json_array_size(fo->ids))
		return;
	control_respond(fo->ticket, json_pack("{s:O}", "runs", fo->records));
	drop(fo);
}

static bool any_goes_on(const struct follower *fo)
{
	json_t *id;
	size_t i;

	json_array_foreach (fo->ids, i, id) {
		if (agents_find_run(fo->all->agents, json_string_value(id)) >= 0)
			return true;
	}
	return false;
}

static void settle(struct follower *fo)
{
	_cleanup_json_ json_t *ids = NULL;
	json_t *id;
	size_t i;

	if (fo->records || any_goes_on(fo))
		return;
	fo->records = json_array();
	/* The last callback frees fo, and comes from inside the call if the store's queue is
	 * full. */
	ids = json_incref(fo->ids);
	json_array_foreach (ids, i, id)
		fleet_store_get_run(fo->all->store, json_string_value(id), on_record, fo);
}

void follow_runs(struct follow *f, struct control_ticket ticket, const json_t *ids)
{
	struct follower *fo = x_calloc(1, sizeof(*fo));

	fo->all = f;
	fo->ticket = ticket;
	fo->ids = json_deep_copy(ids);
	fo->next = f->list;
	f->list = fo;
	f->changed = true;
}

void follow_changed(struct follow *f)
{
	f->changed = true;
}

void follow_settle(struct follow *f)
{
	if (!f->changed)
		return;
	f->changed = false;
	for (struct follower *fo = f->list, *next; fo; fo = next) {
		next = fo->next;
		settle(fo);
	}
}

void follow_tick(struct follow *f)
{
	for (struct follower *fo = f->list, *next; fo; fo = next) {
		next = fo->next;
		if (!control_is_open(fo->ticket)) {
			/* Not freed while the store has its address, which is until the last record
			 * has come. */
			if (!fo->records)
				drop(fo);
			continue;
		}
		if (!fo->records)
			control_progress(fo->ticket,
				json_pack("{s:o}", "runs", agents_progress(f->agents, fo->ids)));
	}
}
