/* SPDX-License-Identifier: MIT */
/* How the counts of runs (counts.h) follow the rows: with each transaction, and anew where another process has
 * written to the database. */
#include "dashboard/store_priv.h"

#include "common/limits.h"
#include "common/run.h"
#include "dashboard/counts.h"

uint16_t dash_store_day_of(int64_t ms)
{
	int64_t day = ms / DAY_MS + 1;

	return (uint16_t)(ms < 0 ? 1 : day > DASH_STORE_LAST_DAY ? DASH_STORE_LAST_DAY : day);
}

int64_t dash_store_day_start(uint16_t day)
{
	return (day - 1) * DAY_MS;
}

/* Columns: target_no, agent_no, started_at, status. */
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

int dash_store_count_rows(struct dash_store *s, const char *sql, int64_t parameter, int sign,
	int64_t *n, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s, sql, err);
	int rc;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, parameter);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct counts_key key = dash_store_count_key(st, 0);

		counts_add(s->counts, &key, sign);
		if (n)
			++*n;
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : dash_store_fail(s, err);
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

int dash_store_count_all(struct dash_store *s, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT target_no, agent_no, started_at, status FROM k6_runs INDEXED BY k6_runs_time WHERE started_at >= ?1",
		err);
	int rc;

	if (!st)
		return -1;
	counts_clear(s->counts);
	sqlite3_bind_int64(st, 1, INT64_MIN);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct counts_key key = dash_store_count_key(st, 0);

		counts_add(s->counts, &key, 1);
		counts_commit(s->counts);
	}
	sqlite3_reset(st);
	s->data_version = dash_store_get_int(s, "PRAGMA data_version", 0);
	return rc == SQLITE_DONE ? 0 : dash_store_fail(s, err);
}

/* Somebody else has written to the database: what is remembered of it may be wrong. */
int dash_store_check_counts(struct dash_store *s, struct err *err)
{
	if (dash_store_get_int(s, "PRAGMA data_version", 0) == s->data_version)
		return 0;
	return dash_store_count_all(s, err);
}
