/* SPDX-License-Identifier: MIT */
#include "supervisor/kept.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/found.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/units.h"

struct kept {
	struct fleet_store *store;
	char *texts[KEPT_COUNT];
	char *error;
};

/* --- the forms ------------------------------------------------------------------------- */

/* Only the text that the writer makes of the number: no sign, no zeroes in front. */
static bool is_up_to(const char *text, int64_t max)
{
	char again[32];
	int64_t n;

	if (units_parse_int(text, &n, NULL) < 0)
		return false;
	snprintf(again, sizeof(again), "%lld", (long long)n);
	return n >= 0 && n <= max && !strcmp(text, again);
}

static bool is_number(const char *text)
{
	return is_up_to(text, INT64_MAX);
}

static bool is_count(const char *text)
{
	const char *space = strchr(text, ' ');
	char count[12];

	if (!space || (size_t)(space - text) >= sizeof(count))
		return false;
	snprintf(count, sizeof(count), "%.*s", (int)(space - text), text);
	return is_up_to(count, LIMIT_WORKERS) && is_number(space + 1);
}

static bool is_flag(const char *text)
{
	return !strcmp(text, "0") || !strcmp(text, "1");
}

static bool is_array_of(const char *text, json_type type)
{
	_cleanup_json_ json_t *array = json_loads(text, 0, NULL);
	json_t *item;
	size_t i;

	json_array_foreach (array, i, item) {
		if (json_typeof(item) != type || json_integer_value(item) < 0)
			return false;
	}
	return json_is_array(array);
}

static bool is_slots(const char *text)
{
	return is_array_of(text, JSON_INTEGER);
}

static bool is_ids(const char *text)
{
	return is_array_of(text, JSON_STRING);
}

/* It is kept as the dashboard sent it, whatever the items are: wrong ones are left out later. */
static bool is_targets(const char *text)
{
	_cleanup_json_ json_t *array = json_loads(text, 0, NULL);

	return json_is_array(array);
}

/* --- reading and writing ---------------------------------------------------------------- */

static const struct {
	const char *key, *what;
	bool (*has_form)(const char *text);
} rows[KEPT_COUNT] = {
#define X(id, key, form, what) [KEPT_##id] = {key, what, is_##form},
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

/* SQLite notices damage of its own structures only: a bad sector within a text gives the text,
 * with other bytes. */
static int read_one(struct kept *k, int id, struct err *err)
{
	enum found found = fleet_store_meta_get(k->store, rows[id].key, &k->texts[id], err);

	if (found == FOUND && !rows[id].has_form(k->texts[id]))
		return err_code_set(err, ERR_CORRUPT, "the stored text is damaged");
	return found == FOUND_ERROR ? -1 : 0;
}

struct kept *kept_load(struct fleet_store *store)
{
	struct kept *k = x_calloc(1, sizeof(*k));
	struct err err, why = {0};

	k->store = store;
	for (int id = 0; id < KEPT_COUNT; id++) {
		if (read_one(k, id, &err) < 0) {
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
