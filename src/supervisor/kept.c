/* SPDX-License-Identifier: MIT */
#include "supervisor/kept.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/found.h"
#include "common/log.h"
#include "common/mem.h"

struct kept {
	struct fleet_store *store;
	char *texts[KEPT_COUNT];
	char *error;
};

static const struct {
	const char *key, *what;
} rows[KEPT_COUNT] = {
#define X(id, key, what) [KEPT_##id] = {key, what},
	KEPT_TEXTS(X)
#undef X
};

/* Adds one text that cannot be read to the error. */
static void note_unread(struct kept *k, enum kept_id id)
{
	char *text =
		k->error ? x_asprintf("%s, %s", k->error, rows[id].what) : x_strdup(rows[id].what);

	free(k->error);
	k->error = text;
}

struct kept *kept_load(struct fleet_store *store)
{
	struct kept *k = x_calloc(1, sizeof(*k));
	_cleanup_free_ char *names = NULL;
	struct err err = {0};

	k->store = store;
	for (int id = 0; id < KEPT_COUNT; id++) {
		struct err why;

		switch (fleet_store_meta_get(store, rows[id].key, &k->texts[id], &why)) {
		case FOUND_ERROR:
			note_unread(k, (enum kept_id)id);
			err = why;
			break;
		case NOT_FOUND:
		case FOUND: break;
		}
	}
	if (!k->error)
		return k;
	/* Half of them would be as wrong as none: a count without the pause that went with it. */
	for (int id = 0; id < KEPT_COUNT; id++) {
		free(k->texts[id]);
		k->texts[id] = NULL;
	}
	names = k->error;
	k->error = x_asprintf("cannot read from state_dir %s: %s", names, err.msg);
	log_error("store",
		"%s; no runs are started, what operators ask for is not kept, and nothing is written over it. "
		"Repair the disk or put a copy of supervisor.db in its place, then restart k6fleetd",
		k->error);
	return k;
}

void kept_free(struct kept *k)
{
	if (!k)
		return;
	for (int id = 0; id < KEPT_COUNT; id++)
		free(k->texts[id]);
	free(k->error);
	free(k);
}

const char *kept_get(const struct kept *k, enum kept_id id)
{
	return k->texts[id];
}

void kept_set(struct kept *k, enum kept_id id, const char *text)
{
	if (!k->error)
		fleet_store_meta_set(k->store, rows[id].key, text);
}

const char *kept_error(const struct kept *k)
{
	return k->error;
}

enum fleet_store_state kept_storage_state(const struct kept *k)
{
	return k->error ? FLEET_STORE_FAILING : fleet_store_state(k->store);
}

const char *kept_storage_error(const struct kept *k)
{
	return k->error ? k->error : fleet_store_error(k->store);
}
