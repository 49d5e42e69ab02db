/* SPDX-License-Identifier: MIT */
/* Each row of k6_runs that comes, goes or changes is counted within its transaction. */
#include "dashboard/store_counts.h"

#include "common/limits.h"
#include "common/run.h"

uint16_t dash_store_day_of(int64_t ms)
{
	int64_t day = ms / DAY_MS + 1;

	return (uint16_t)(ms < 0 ? 1 : day > DASH_STORE_LAST_DAY ? DASH_STORE_LAST_DAY : day);
}

int64_t dash_store_day_start(uint16_t day)
{
	return (day - 1) * DAY_MS;
}

struct counts_key dash_store_count_key(sqlite3_stmt *st, int column)
{
	int status =
		run_find_name(run_status_names, RUN_STATUS_COUNT, db_column_text(st, column + 3));

	return (struct counts_key){
		.target = (uint32_t)sqlite3_column_int64(st, column),
		.agent = (uint32_t)sqlite3_column_int64(st, column + 1),
		.day = dash_store_day_of(sqlite3_column_int64(st, column + 2)),
		.status = (uint8_t)(status < 0 ? RUN_STATUS_COUNT : status),
	};
}

struct counting {
	struct counts *counts;
	int sign;
	int64_t n;
};

static int count_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct counting *c = arg;
	const struct counts_key key = dash_store_count_key(st, 0);

	(void)err;
	counts_add(c->counts, &key, c->sign);
	c->n++;
	return 0;
}

int dash_store_count_rows(struct dash_store *s, const char *sql, int64_t parameter, int sign,
	int64_t *n, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);
	struct counting c = {s->counts, sign, 0};

	sqlite3_bind_int64(st, 1, parameter);
	if (dash_store_each(s, st, count_row, &c, err) < 0)
		return -1;
	if (n)
		*n += c.n;
	return 0;
}

void dash_store_count_reaped(struct dash_store *s, sqlite3_stmt *st, int column)
{
	struct counts_key key = {
		.target = (uint32_t)sqlite3_column_int64(st, column),
		.agent = (uint32_t)sqlite3_column_int64(st, column + 1),
		.day = dash_store_day_of(sqlite3_column_int64(st, column + 2)),
		.status = RUN_RUNNING,
	};

	counts_add(s->counts, &key, -1);
	key.status = RUN_ERROR;
	counts_add(s->counts, &key, 1);
}

/* Committed row by row: the list of changes to undo stays short. */
static int count_committed_row(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct dash_store *s = arg;
	const struct counts_key key = dash_store_count_key(st, 0);

	(void)err;
	counts_add(s->counts, &key, 1);
	counts_commit(s->counts);
	return 0;
}

int dash_store_count_all(struct dash_store *s, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT target_no, agent_no, started_at, status FROM k6_runs INDEXED BY k6_runs_time WHERE started_at >= ?1",
		err);

	counts_clear(s->counts);
	s->counts_version = -1;
	sqlite3_bind_int64(st, 1, INT64_MIN);
	if (dash_store_each(s, st, count_committed_row, s, err) < 0)
		return -1;
	return dash_store_get_int(s, "PRAGMA data_version", 0, &s->counts_version, err);
}

int dash_store_count_check(struct dash_store *s, struct err *err)
{
	int64_t version;

	if (dash_store_get_int(s, "PRAGMA data_version", 0, &version, err) < 0)
		return -1;
	return version == s->counts_version ? 0 : dash_store_count_all(s, err);
}
