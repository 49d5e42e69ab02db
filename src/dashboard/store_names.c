/* SPDX-License-Identifier: MIT */
/* Numbers for the names of targets and agents, by which runs are counted and listed.  Names are never deleted, so a
 * number that is known stays right. */
#include "dashboard/store_priv.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/mem.h"

static struct name_slot *find_slot(
	struct dash_store *s, enum dash_store_name kind, const char *host, const char *name)
{
	/* The NUL of the host keeps ("a", "bc") and ("ab", "c") apart. */
	uint64_t hash = hash_bytes(HASH_START + kind, host, strlen(host) + 1);

	return &s->names[hash_mixed(hash_text(hash, name)) % DASH_STORE_NAMES_KEPT];
}

static void clear_slot(struct name_slot *slot)
{
	free(slot->host);
	free(slot->name);
	*slot = (struct name_slot){0};
}

void dash_store_forget_names(struct dash_store *s)
{
	for (size_t i = 0; i < DASH_STORE_NAMES_KEPT; i++)
		clear_slot(&s->names[i]);
}

static int64_t ask_name_no(struct dash_store *s, enum dash_store_name kind, const char *host,
	const char *name, bool add, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT no FROM k6_names WHERE kind = ?1 AND host = ?2 AND name = ?3", err);
	int64_t no = 0;

	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, (int)kind);
	db_bind_text(st, 2, host);
	db_bind_text(st, 3, name);
	if (sqlite3_step(st) == SQLITE_ROW)
		no = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	if (no || !add)
		return no;
	st = dash_store_stmt(s, "INSERT INTO k6_names (kind, host, name) VALUES (?1, ?2, ?3)", err);
	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, (int)kind);
	db_bind_text(st, 2, host);
	db_bind_text(st, 3, name);
	return db_run(st, err) < 0 ? -1 : sqlite3_last_insert_rowid(s->db);
}

/* The number that stands for it; 0: it has none (add: it gets one); -1: the database. */
int64_t dash_store_name_no(struct dash_store *s, enum dash_store_name kind, const char *host,
	const char *name, bool add, struct err *err)
{
	struct name_slot *slot = find_slot(s, kind, host, name);
	int64_t no;

	if (slot->name && slot->kind == (int)kind && !strcmp(slot->name, name) &&
		!strcmp(slot->host, host))
		return slot->no;
	no = ask_name_no(s, kind, host, name, add, err);
	if (no > 0) {
		clear_slot(slot);
		*slot = (struct name_slot){.host = x_strdup(host),
			.name = x_strdup(name),
			.kind = (int)kind,
			.no = no};
	}
	return no;
}
