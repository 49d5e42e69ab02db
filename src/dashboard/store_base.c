/* SPDX-License-Identifier: MIT */
/* Statements, transactions, rows and columns, under all other files of the store.  Knows no
 * table but meta. */
#include "dashboard/store_priv.h"

#include <math.h>
#include <string.h>

#include "common/json.h"
#include "dashboard/counts.h"

/* --- whether it works ------------------------------------------------------------------- */

void dash_store_watch(struct dash_store *s, dash_store_changed_fn *changed, void *arg)
{
	s->changed = changed;
	s->changed_arg = arg;
	if (s->trouble.code)
		changed(arg, &s->trouble);
}

/* Damage stays until the database is replaced; a device that failed once may work again. */
static void note_failure(struct dash_store *s, const struct err *err)
{
	if ((err->code != ERR_CORRUPT && err->code != ERR_IO) || s->trouble.code == err->code ||
		s->trouble.code == ERR_CORRUPT)
		return;
	s->trouble = *err;
	if (s->changed)
		s->changed(s->changed_arg, err);
}

void dash_store_recovered(struct dash_store *s)
{
	s->trouble.code = ERR_OTHER;
	if (s->changed)
		s->changed(s->changed_arg, NULL);
}

/* --- statements -------------------------------------------------------------------------- */

sqlite3_stmt *dash_store_stmt(struct dash_store *s, const char *sql, struct err *err)
{
	struct stmt_slot *slot = &s->stmts[((uintptr_t)sql >> 3) % DASH_STORE_STMTS_KEPT];
	struct err failed;
	sqlite3_stmt *st = NULL;

	/* Most texts are literals: the address tells where to look first. */
	if (slot->sql == sql && !strcmp(sqlite3_sql(slot->st), sql) && !sqlite3_stmt_busy(slot->st))
		return slot->st;
	while ((st = sqlite3_next_stmt(s->db, st)) != NULL) {
		if (!strcmp(sqlite3_sql(st), sql) && !sqlite3_stmt_busy(st))
			break;
	}
	if (!st && db_prepare(s->db, sql, &st, &failed) < 0) {
		note_failure(s, &failed);
		if (err)
			*err = failed;
		return NULL;
	}
	*slot = (struct stmt_slot){.sql = sql, .st = st};
	return st;
}

/* Notes the failure of a call, by SQLite or by the function for its rows, and passes it on to err
 * (NULL: nobody wants it).  Returns -1. */
static int failed_by(struct dash_store *s, const struct err *why, struct err *err)
{
	note_failure(s, why);
	if (err)
		*err = *why;
	return -1;
}

int dash_store_damaged(struct dash_store *s, const char *how, struct err *err)
{
	struct err why;

	err_code_set(&why, ERR_CORRUPT, "%s", how);
	return failed_by(s, &why, err);
}

int dash_store_each(
	struct dash_store *s, sqlite3_stmt *st, db_row_fn *row, void *arg, struct err *err)
{
	struct err why;

	if (!st)
		return -1; /* dash_store_stmt() has set err */
	return db_each(st, row, arg, &why) < 0 ? failed_by(s, &why, err) : 0;
}

enum found dash_store_one(
	struct dash_store *s, sqlite3_stmt *st, db_row_fn *row, void *arg, struct err *err)
{
	enum found found;
	struct err why;

	if (!st)
		return FOUND_ERROR; /* dash_store_stmt() has set err */
	found = db_one(st, row, arg, &why);
	if (found == FOUND_ERROR)
		failed_by(s, &why, err);
	return found;
}

int dash_store_run(struct dash_store *s, sqlite3_stmt *st, struct err *err)
{
	return dash_store_one(s, st, NULL, NULL, err) == FOUND_ERROR ? -1 : 0;
}

int dash_store_exec(struct dash_store *s, const char *sql, struct err *err)
{
	struct err why;

	return db_exec(s->db, sql, &why) < 0 ? failed_by(s, &why, err) : 0;
}

int dash_store_get_int(
	struct dash_store *s, const char *sql, int64_t fallback, int64_t *out, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);
	enum found found;
	struct err why;
	int64_t n;

	if (!st)
		return -1;
	found = db_one_int(st, &n, &why);
	if (found == FOUND_ERROR)
		return failed_by(s, &why, err);
	*out = found == FOUND ? n : fallback;
	return 0;
}

int dash_store_set_meta(struct dash_store *s, const char *key, int64_t value, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2", err);

	db_bind_text(st, 1, key);
	sqlite3_bind_int64(st, 2, value);
	return dash_store_run(s, st, err);
}

/* --- transactions ------------------------------------------------------------------------- */

int dash_store_begin(struct dash_store *s, struct err *err)
{
	s->transactions++;
	return dash_store_exec(s, "BEGIN IMMEDIATE", err);
}

int dash_store_commit(struct dash_store *s, struct err *err)
{
	s->transactions++;
	if (dash_store_exec(s, "COMMIT", err) == 0) {
		counts_commit(s->counts);
		return 0;
	}
	dash_store_rollback(s);
	return -1;
}

void dash_store_rollback(struct dash_store *s)
{
	s->transactions++;
	s->rollbacks++;
	counts_rollback(s->counts);
	if (!sqlite3_get_autocommit(s->db))
		dash_store_exec(s, "ROLLBACK", NULL);
}

int dash_store_version(struct dash_store *s, int64_t *version, struct err *err)
{
	int64_t others;

	if (dash_store_get_int(s, "PRAGMA data_version", 0, &others, err) < 0)
		return -1;
	/* Both only grow, and neither of them reaches 2^40. */
	*version = sqlite3_total_changes64(s->db) + (others << 40);
	return 0;
}

/* --- objects ------------------------------------------------------------------------------ */

struct maker {
	dash_store_make_fn *make;
	void *arg;
	json_t *made;
};

static int append_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct maker *m = arg;
	json_t *row = m->make(st, m->arg, err);

	if (!row)
		return -1;
	json_array_append_new(m->made, row);
	return 0;
}

int dash_store_list(struct dash_store *s, sqlite3_stmt *st, dash_store_make_fn *make, void *arg,
	json_t **list, struct err *err)
{
	struct maker m = {make, arg, json_array()};

	if (dash_store_each(s, st, append_row, &m, err) < 0) {
		json_decref(m.made);
		return -1;
	}
	*list = m.made;
	return 0;
}

static int make_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct maker *m = arg;

	m->made = m->make(st, m->arg, err);
	return m->made ? 0 : -1;
}

enum found dash_store_object(struct dash_store *s, sqlite3_stmt *st, dash_store_make_fn *make,
	void *arg, json_t **object, struct err *err)
{
	struct maker m = {make, arg, NULL};
	enum found found = dash_store_one(s, st, make_row, &m, err);

	if (found == FOUND)
		*object = m.made;
	else
		json_decref(m.made);
	return found;
}

/* --- columns ------------------------------------------------------------------------------ */

static bool is_null(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL;
}

json_t *dash_store_text_column(sqlite3_stmt *st, int column)
{
	return is_null(st, column) ? json_null() : json_text(db_column_text(st, column));
}

json_t *dash_store_int_column(sqlite3_stmt *st, int column)
{
	return is_null(st, column) ? json_null() : json_integer(sqlite3_column_int64(st, column));
}

json_t *dash_store_real_column(sqlite3_stmt *st, int column)
{
	return is_null(st, column) ? json_null() : json_real(sqlite3_column_double(st, column));
}

double dash_store_double_column(sqlite3_stmt *st, int column)
{
	return is_null(st, column) ? NAN : sqlite3_column_double(st, column);
}

json_t *dash_store_json_column(sqlite3_stmt *st, int column, struct err *err)
{
	json_error_t jerr;
	json_t *v;

	if (is_null(st, column))
		return json_null();
	v = json_loads(db_column_text(st, column), JSON_DECODE_ANY, &jerr);
	if (!v)
		err_code_set(err, ERR_CORRUPT, "the database has a row whose %s is not JSON: %s",
			sqlite3_column_name(st, column), jerr.text);
	return v;
}
