/* SPDX-License-Identifier: MIT */
/* Runs by page.  They are found in an index that has all that they are filtered by, from the day on that the page
 * begins in (counts.h); only the rows of the page itself are read. */
#include "dashboard/store_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run.h"
#include "dashboard/counts.h"

/* A filter in numbers. */
struct query {
	const struct dash_store_run_filter *f;
	struct counts_filter counts;
	bool *agents;
	int64_t one_agent; /* the only one, 0: any number of them */
	bool nothing;      /* it names something that there is no run of */
};

/* Agents of that name, or host, or both. */
static int find_agents(struct dash_store *s, struct query *q, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT no FROM k6_names WHERE kind = 1 AND (?1 IS NULL OR host = ?1) AND (?2 IS NULL OR name = ?2)",
		err);
	size_t found = 0;

	if (!st)
		return -1;
	q->counts.agent_count =
		(size_t)dash_store_get_int(s, "SELECT max(no) FROM k6_names", 0) + 1;
	q->agents = x_calloc(q->counts.agent_count, sizeof(*q->agents));
	q->counts.agents = q->agents;
	db_bind_text(st, 1, q->f->host);
	db_bind_text(st, 2, q->f->agent);
	while (sqlite3_step(st) == SQLITE_ROW) {
		int64_t no = sqlite3_column_int64(st, 0);

		if (no > 0 && no < (int64_t)q->counts.agent_count)
			q->agents[no] = true;
		q->one_agent = found++ ? 0 : no;
	}
	sqlite3_reset(st);
	q->nothing = q->nothing || !found;
	return 0;
}

static int read_query(struct dash_store *s, const struct dash_store_run_filter *f, struct query *q,
	struct err *err)
{
	*q = (struct query){.f = f, .counts = {.target = -1, .status = -1}};
	if (f->target_id) {
		q->counts.target =
			dash_store_name_no(s, DASH_STORE_NAME_TARGET, "", f->target_id, false, err);
		if (q->counts.target < 0)
			return -1;
		q->nothing = !q->counts.target;
	}
	if (f->status)
		q->counts.status = run_find_name(run_status_names, RUN_STATUS_COUNT, f->status);
	return f->agent || f->host ? find_agents(s, q, err) : 0;
}

/* What the index is asked for beside the time.  Parameters: 1 target, 2 agent, 3 host, 4 status, 9 the one agent. */
static void make_where(const struct query *q, char *buf, size_t size)
{
	const struct dash_store_run_filter *f = q->f;

	snprintf(buf, size, "started_at >= ?5 AND started_at < ?6%s%s%s",
		f->target_id ? " AND target_no = ?1" : "",
		q->one_agent ? " AND agent_no = ?9"
			: q->agents
			? " AND agent_no IN (SELECT no FROM k6_names WHERE kind = 1 AND (?3 IS NULL OR host = ?3)"
			  " AND (?2 IS NULL OR name = ?2))"
			: "",
		f->status ? " AND status = ?4" : "");
}

static void bind_query(sqlite3_stmt *st, const struct query *q, int64_t from_ms, int64_t to_ms)
{
	sqlite3_bind_int64(st, 1, q->counts.target);
	db_bind_text(st, 2, q->f->agent);
	db_bind_text(st, 3, q->f->host);
	db_bind_text(st, 4, q->f->status);
	sqlite3_bind_int64(st, 5, from_ms);
	sqlite3_bind_int64(st, 6, to_ms);
	sqlite3_bind_int64(st, 9, q->one_agent);
}

/* The index that has the fewest runs to look at. */
static const char *choose_index(const struct dash_store *s, const struct query *q)
{
	const struct counts_filter by_target = {.target = q->counts.target, .status = -1};
	const struct counts_filter by_status = {.target = -1, .status = q->counts.status};
	const struct counts_filter by_agent = {q->counts.agents, q->counts.agent_count, -1, -1};
	const char *best = "k6_runs_time";
	int64_t least = INT64_MAX, n;

	if (q->f->target_id) {
		best = "k6_runs_target";
		least = counts_total(s->counts, &by_target, 1, DASH_STORE_LAST_DAY);
	}
	n = q->one_agent ? counts_total(s->counts, &by_agent, 1, DASH_STORE_LAST_DAY) : INT64_MAX;
	if (n < least) {
		best = "k6_runs_agent";
		least = n;
	}
	n = q->f->status ? counts_total(s->counts, &by_status, 1, DASH_STORE_LAST_DAY) : INT64_MAX;
	if (n < least)
		best = "k6_runs_status";
	return best;
}

/* Of less than a day. */
static int64_t count_between(struct dash_store *s, const struct query *q, int64_t from_ms,
	int64_t to_ms, struct err *err)
{
	char where[512], sql[700];
	sqlite3_stmt *st;
	int64_t n = 0;

	if (from_ms >= to_ms)
		return 0;
	make_where(q, where, sizeof(where));
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM k6_runs INDEXED BY %s WHERE %s",
		choose_index(s, q), where);
	st = dash_store_stmt(s, sql, err);
	if (!st)
		return -1;
	bind_query(st, q, from_ms, to_ms);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

/* The time that a filter asks for: a part of a day, whole days, a part of a day. */
struct span {
	int64_t from_ms, to_ms;
	uint16_t first_day, last_day; /* whole ones; none where first > last */
	int64_t head, tail;           /* runs before and behind those */
	int64_t total;
};

static int measure_span(
	struct dash_store *s, const struct query *q, struct span *sp, struct err *err)
{
	const struct dash_store_run_filter *f = q->f;
	int64_t head_end, tail_start;

	*sp = (struct span){.from_ms = f->from_ms ? f->from_ms : INT64_MIN,
		.to_ms = f->to_ms ? f->to_ms : INT64_MAX,
		.first_day = 1,
		.last_day = DASH_STORE_LAST_DAY};
	if (f->from_ms) {
		sp->first_day = dash_store_day_of(f->from_ms);
		if (f->from_ms > dash_store_day_start(sp->first_day))
			sp->first_day = (uint16_t)(sp->first_day + 1);
	}
	if (f->to_ms)
		sp->last_day = (uint16_t)(dash_store_day_of(f->to_ms) - 1);
	if (sp->first_day > sp->last_day) {
		sp->head = count_between(s, q, sp->from_ms, sp->to_ms, err);
		sp->total = sp->head;
		return sp->head < 0 ? -1 : 0;
	}
	head_end = f->from_ms ? dash_store_day_start(sp->first_day) : sp->from_ms;
	tail_start = f->to_ms ? dash_store_day_start((uint16_t)(sp->last_day + 1)) : sp->to_ms;
	sp->head = count_between(s, q, sp->from_ms, head_end, err);
	sp->tail = count_between(s, q, tail_start, sp->to_ms, err);
	sp->total = sp->head + sp->tail +
		counts_total(s->counts, &q->counts, sp->first_day, sp->last_day);
	return sp->head < 0 || sp->tail < 0 ? -1 : 0;
}

/* Narrows the span to where the page begins; what is left of the offset is to be skipped there. */
static void skip_to_page(const struct dash_store *s, const struct query *q, struct span *sp,
	bool newest_first, int64_t *offset)
{
	int64_t near = newest_first ? sp->tail : sp->head;
	int64_t whole = sp->total - sp->head - sp->tail;
	uint16_t day;

	if (*offset < near || sp->first_day > sp->last_day)
		return;
	*offset -= near;
	if (*offset >= whole) {
		*offset -= whole;
		if (newest_first)
			sp->to_ms = dash_store_day_start(sp->first_day);
		else
			sp->from_ms = dash_store_day_start((uint16_t)(sp->last_day + 1));
		return;
	}
	if (!counts_find_day(
		    s->counts, &q->counts, sp->first_day, sp->last_day, newest_first, offset, &day))
		return;
	if (newest_first && day < DASH_STORE_LAST_DAY)
		sp->to_ms = dash_store_day_start((uint16_t)(day + 1));
	else if (!newest_first)
		sp->from_ms = dash_store_day_start(day);
}

static json_t *read_row(struct dash_store *s, int64_t seq, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT json, status, reason, error_message, agent FROM k6_runs WHERE seq = ?1",
		err);
	json_t *run = NULL;

	if (!st)
		return NULL;
	sqlite3_bind_int64(st, 1, seq);
	if (sqlite3_step(st) == SQLITE_ROW)
		run = dash_store_run_row(st);
	sqlite3_reset(st);
	return run;
}

static const struct order {
	const char *name, *index, *by;
} orders[] = {
	{"-startedAt", NULL, "started_at DESC, seq DESC"},
	{"startedAt", NULL, "started_at, seq"},
	{"-p95_ms", "k6_runs_p95", "p95_ms DESC, seq DESC"},
	{"-error_rate", "k6_runs_errors", "error_rate DESC, seq DESC"},
	{"-lagMs", "k6_runs_lag", "lag_ms DESC, seq DESC"},
};

static const struct order *find_order(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(orders); i++) {
		if (!strcmp(orders[i].name, name))
			return &orders[i];
	}
	return &orders[0];
}

/* Numbers of the page's rows first, out of the index alone. */
static int read_page(struct dash_store *s, const struct query *q, const struct span *sp,
	const struct order *order, int64_t offset, json_t *items, struct err *err)
{
	char where[512], sql[900];
	_cleanup_free_ int64_t *seqs = x_calloc((size_t)q->f->page_size + 1, sizeof(*seqs));
	sqlite3_stmt *st;
	int64_t n = 0;
	int rc;

	make_where(q, where, sizeof(where));
	snprintf(sql, sizeof(sql),
		"SELECT seq FROM k6_runs INDEXED BY %s WHERE %s ORDER BY %s LIMIT ?7 OFFSET ?8",
		order->index ? order->index : choose_index(s, q), where, order->by);
	st = dash_store_stmt(s, sql, err);
	if (!st)
		return -1;
	bind_query(st, q, sp->from_ms, sp->to_ms);
	sqlite3_bind_int64(st, 7, q->f->page_size);
	sqlite3_bind_int64(st, 8, offset);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && n < q->f->page_size)
		seqs[n++] = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		return dash_store_fail(s, err);
	for (int64_t i = 0; i < n; i++) {
		json_t *run = read_row(s, seqs[i], err);

		if (run)
			json_array_append_new(items, run);
	}
	return 0;
}

json_t *dash_store_list_runs(
	struct dash_store *s, const struct dash_store_run_filter *f, struct err *err)
{
	const struct order *order = find_order(f->sort);
	json_t *items = json_array();
	int64_t offset = (f->page - 1) * f->page_size;
	struct query q = {0};
	struct span sp = {0};
	int rc = dash_store_check_counts(s, err) < 0 || read_query(s, f, &q, err) < 0 ? -1 : 0;

	if (rc == 0 && !q.nothing)
		rc = measure_span(s, &q, &sp, err);
	if (rc == 0 && offset < sp.total) {
		if (!order->index)
			skip_to_page(s, &q, &sp, order == &orders[0], &offset);
		rc = read_page(s, &q, &sp, order, offset, items, err);
	}
	free(q.agents);
	if (rc < 0) {
		json_decref(items);
		return NULL;
	}
	return json_pack("{s:o, s:I, s:I, s:I}", "items", items, "page", (json_int_t)f->page,
		"pageSize", (json_int_t)f->page_size, "total", (json_int_t)sp.total);
}

json_t *dash_store_next_runs(
	struct dash_store *s, struct dash_store_run_filter *f, int limit, struct err *err)
{
	char where[512], sql[900];
	json_t *items = json_array();
	struct query q = {0};
	sqlite3_stmt *st = NULL;
	int64_t last_ms = 0, last_seq = 0;
	int n = 0;

	if (read_query(s, f, &q, err) == 0 && !q.nothing) {
		make_where(&q, where, sizeof(where));
		snprintf(sql, sizeof(sql),
			"SELECT json, status, reason, error_message, agent, started_at, seq FROM k6_runs INDEXED BY %s"
			" WHERE %s AND NOT (started_at = ?6 - 1 AND seq >= ?10) ORDER BY started_at DESC, seq DESC LIMIT ?7",
			choose_index(s, &q), where);
		st = dash_store_stmt(s, sql, err);
	}
	if (st) {
		bind_query(st, &q, f->from_ms ? f->from_ms : INT64_MIN,
			f->to_ms ? f->to_ms : INT64_MAX);
		sqlite3_bind_int64(st, 7, limit);
		sqlite3_bind_int64(st, 10, f->before_seq ? f->before_seq : INT64_MAX);
	}
	while (st && sqlite3_step(st) == SQLITE_ROW) {
		json_array_append_new(items, dash_store_run_row(st));
		last_ms = sqlite3_column_int64(st, 5);
		last_seq = sqlite3_column_int64(st, 6);
		n++;
	}
	if (st)
		sqlite3_reset(st);
	if (n == limit) {
		f->to_ms = last_ms + 1;
		f->before_seq = last_seq;
	}
	free(q.agents);
	return items;
}
