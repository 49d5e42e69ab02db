/* SPDX-License-Identifier: MIT */
#include "supervisor/kept.h"

#include <stdlib.h>

#include "common/found.h"
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

/* Half of the texts would be as wrong as none: a count without the pause that went with it. */
static void give_up(struct kept *k, const struct err *why)
{
	struct err err;

	for (int id = 0; id < KEPT_COUNT; id++) {
		free(k->texts[id]);
		k->texts[id] = NULL;
	}
	err_code_set(&err, why->code, "cannot read %s: %s", k->error, why->msg);
	free(k->error);
	k->error = x_strdup(err.msg);
	fleet_store_fail(k->store, &err);
}

struct kept *kept_load(struct fleet_store *store)
{
	struct kept *k = x_calloc(1, sizeof(*k));
	struct err err, why = {0};

	k->store = store;
	for (int id = 0; id < KEPT_COUNT; id++) {
		if (fleet_store_meta_get(store, rows[id].key, &k->texts[id], &err) == FOUND_ERROR) {
			note_unread(k, (enum kept_id)id);
			why = err;
		}
	}
	if (k->error)
		give_up(k, &why);
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
