/* SPDX-License-Identifier: MIT */
/* The numbers asked for last are kept in memory.  A name is never deleted, so a number stays
 * right until a rollback undoes its creation. */
#include "dashboard/store_names.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"
#include "dashboard/store_priv.h"

#define SLOTS 1024

struct name_slot {
	char *host, *name; /* NULL: empty */
	enum dash_store_name_kind kind;
	int64_t no;
};

struct dash_store_names {
	uint64_t rollbacks; /* of the store, when the slots were right */
	struct name_slot slots[SLOTS];
};

static void clear_slot(struct name_slot *slot)
{
	free(slot->host);
	free(slot->name);
	*slot = (struct name_slot){0};
}

static void clear_slots(struct dash_store_names *names)
{
	for (size_t i = 0; i < SLOTS; i++)
		clear_slot(&names->slots[i]);
}

void dash_store_names_free(struct dash_store *s)
{
	if (!s->names)
		return;
	clear_slots(s->names);
	free(s->names);
	s->names = NULL;
}

static struct name_slot *find_slot(struct dash_store *s, const struct dash_store_name *n)
{
	/* The NUL of the host keeps ("a", "bc") and ("ab", "c") apart. */
	uint64_t hash = hash_bytes(HASH_START + n->kind, n->host, strlen(n->host) + 1);

	if (!s->names) {
		s->names = x_calloc(1, sizeof(*s->names));
		s->names->rollbacks = s->rollbacks;
	}
	if (s->names->rollbacks != s->rollbacks) {
		clear_slots(s->names);
		s->names->rollbacks = s->rollbacks;
	}
	return &s->names->slots[hash_mixed(hash_text(hash, n->name)) % SLOTS];
}

static sqlite3_stmt *bind_name(sqlite3_stmt *st, const struct dash_store_name *n)
{
	sqlite3_bind_int(st, 1, (int)n->kind);
	db_bind_text(st, 2, n->host);
	db_bind_text(st, 3, n->name);
	return st;
}

static int read_no(sqlite3_stmt *st, void *arg, struct err *err)
{
	(void)err;
	*(int64_t *)arg = sqlite3_column_int64(st, 0);
	return 0;
}

static enum found ask_name_no(struct dash_store *s, const struct dash_store_name *n, bool add,
	int64_t *no, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT no FROM k6_names WHERE kind = ?1 AND host = ?2 AND name = ?3", err);
	enum found found = dash_store_one(s, bind_name(st, n), read_no, no, err);

	if (found != NOT_FOUND || !add)
		return found;
	st = dash_store_stmt(s, "INSERT INTO k6_names (kind, host, name) VALUES (?1, ?2, ?3)", err);
	if (dash_store_run(s, bind_name(st, n), err) < 0)
		return FOUND_ERROR;
	*no = sqlite3_last_insert_rowid(s->db);
	return FOUND;
}

enum found dash_store_name_no(struct dash_store *s, const struct dash_store_name *n, bool add,
	int64_t *no, struct err *err)
{
	struct name_slot *slot = find_slot(s, n);
	enum found found;

	if (slot->name && slot->kind == n->kind && !strcmp(slot->name, n->name) &&
		!strcmp(slot->host, n->host)) {
		*no = slot->no;
		return FOUND;
	}
	found = ask_name_no(s, n, add, no, err);
	if (found == FOUND) {
		clear_slot(slot);
		*slot = (struct name_slot){.host = x_strdup(n->host),
			.name = x_strdup(n->name),
			.kind = n->kind,
			.no = *no};
	}
	return found;
}
