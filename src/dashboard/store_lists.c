/* SPDX-License-Identifier: MIT */
/* A page of runs is found in an index that holds all columns of the filter, from the day on in
 * which the page begins (counts.h).  Only the rows of the page itself are read. */
#include "dashboard/store_lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/run.h"
#include "dashboard/store_counts.h"
#include "dashboard/store_names.h"
#include "dashboard/store_priv.h"
#include "dashboard/store_run_row.h"

#define NAMES_MAX 100000000

/* A filter with numbers for its names. */
struct query {
	const struct dash_store_run_filter *f;
	struct counts_filter counts;
	bool *agents;
	int64_t one_agent; /* the number of the only agent that matches; 0: none or several match */
	bool nothing;      /* no run matches: one of the names has no number */
};

struct agents {
	struct query *q;
	size_t found;
};

static int add_agent(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct agents *a = arg;
	int64_t no = sqlite3_column_int64(st, 0);

	(void)err;
	if (no > 0 && no < (int64_t)a->q->counts.agent_count)
		a->q->agents[no] = true;
	a->q->one_agent = a->found++ ? 0 : no;
	return 0;
}

/* Agents of the filter's name, host, or both. */
static int find_agents(struct dash_store *s, struct query *q, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(s,
		"SELECT no FROM k6_names WHERE kind = 1 AND (?1 IS NULL OR host = ?1) AND (?2 IS NULL OR name = ?2)",
		err);
	struct agents a = {.q = q};
	int64_t last;

	if (dash_store_get_int(s, "SELECT max(no) FROM k6_names", 0, &last, err) < 0)
		return -1;
	/* Numbers are given out one by one, and each has a byte here. */
	if (last < 0 || last > NAMES_MAX)
		return dash_store_damaged(s, "the highest number of a name makes no sense", err);
	q->counts.agent_count = (size_t)last + 1;
	q->agents = x_calloc(q->counts.agent_count, sizeof(*q->agents));
	q->counts.agents = q->agents;
	db_bind_text(st, 1, q->f->host);
	db_bind_text(st, 2, q->f->agent);
	if (dash_store_each(s, st, add_agent, &a, err) < 0)
		return -1;
	q->nothing = q->nothing || !a.found;
	return 0;
}

static int read_query(struct dash_store *s, const struct dash_store_run_filter *f, struct query *q,
	struct err *err)
{
	const struct dash_store_name target = {DASH_STORE_NAME_TARGET, "", f->target_id};

	*q = (struct query){.f = f, .counts = {.target = -1, .status = -1}};
	if (f->target_id) {
		enum found found = dash_store_name_no(s, &target, false, &q->counts.target, err);

		if (found == FOUND_ERROR)
			return -1;
		q->nothing = found == NOT_FOUND;
	}
	if (f->status)
		q->counts.status = run_find_name(run_status_names, RUN_STATUS_COUNT, f->status);
	return f->agent || f->host ? find_agents(s, q, err) : 0;
}

/* Writes the condition of a query.  Parameters: 1 target, 2 agent, 3 host, 4 status, 5 and 6 the
 * time, 9 the only agent. */
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

/* Returns the index in which the fewest runs must be looked at. */
static const char *choose_index(const struct dash_store *s, const struct query *q)
{
	const struct counts_filter by_target = {.target = q->counts.target, .status = -1};
	const struct counts_filter by_status = {.target = -1, .status = q->counts.status};
	const struct counts_filter by_agent = {q->counts.agents, q->counts.agent_count, -1, -1};
	const struct counts_days all_days = {1, DASH_STORE_LAST_DAY};
	const char *best = "k6_runs_time";
	int64_t least = INT64_MAX, n;

	if (q->f->target_id) {
		best = "k6_runs_target";
		least = counts_total(s->counts, &by_target, all_days);
	}
	n = q->one_agent ? counts_total(s->counts, &by_agent, all_days) : INT64_MAX;
	if (n < least) {
		best = "k6_runs_agent";
		least = n;
	}
	n = q->f->status ? counts_total(s->counts, &by_status, all_days) : INT64_MAX;
	if (n < least)
		best = "k6_runs_status";
	return best;
}

static int read_count(sqlite3_stmt *st, void *arg, struct err *err)
{
	(void)err;
	*(int64_t *)arg = sqlite3_column_int64(st, 0);
	return 0;
}

/* Counts the runs of less than a day. */
static int count_between(struct dash_store *s, const struct query *q, int64_t from_ms,
	int64_t to_ms, int64_t *n, struct err *err)
{
	char where[512], sql[700];
	sqlite3_stmt *st;

	*n = 0;
	if (from_ms >= to_ms)
		return 0;
	make_where(q, where, sizeof(where));
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM k6_runs INDEXED BY %s WHERE %s",
		choose_index(s, q), where);
	st = dash_store_stmt(s, sql, err);
	bind_query(st, q, from_ms, to_ms);
	return dash_store_one(s, st, read_count, n, err) == FOUND_ERROR ? -1 : 0;
}

/* The time of a filter: a part of a day, whole days, a part of a day. */
struct span {
	int64_t from_ms, to_ms;
	struct counts_days days; /* whole ones */
	int64_t head, tail;      /* numbers of runs before and behind the whole days */
	int64_t total;
	int64_t offset; /* of the page's first run in the span */
};

static int measure_span(
	struct dash_store *s, const struct query *q, struct span *sp, struct err *err)
{
	const struct dash_store_run_filter *f = q->f;
	int64_t head_end, tail_start;

	*sp = (struct span){.from_ms = f->from_ms ? f->from_ms : INT64_MIN,
		.to_ms = f->to_ms ? f->to_ms : INT64_MAX,
		.days = {1, DASH_STORE_LAST_DAY}};
	if (f->from_ms) {
		sp->days.first = dash_store_day_of(f->from_ms);
		if (f->from_ms > dash_store_day_start(sp->days.first))
			sp->days.first = (uint16_t)(sp->days.first + 1);
	}
	if (f->to_ms)
		sp->days.last = (uint16_t)(dash_store_day_of(f->to_ms) - 1);
	if (sp->days.first > sp->days.last) {
		if (count_between(s, q, sp->from_ms, sp->to_ms, &sp->head, err) < 0)
			return -1;
		sp->total = sp->head;
		return 0;
	}
	head_end = f->from_ms ? dash_store_day_start(sp->days.first) : sp->from_ms;
	tail_start = f->to_ms ? dash_store_day_start((uint16_t)(sp->days.last + 1)) : sp->to_ms;
	if (count_between(s, q, sp->from_ms, head_end, &sp->head, err) < 0 ||
		count_between(s, q, tail_start, sp->to_ms, &sp->tail, err) < 0)
		return -1;
	sp->total = sp->head + sp->tail + counts_total(s->counts, &q->counts, sp->days);
	return 0;
}

/* Narrows the span to the day in which the page begins, and the offset to runs within it. */
static void skip_to_page(
	const struct dash_store *s, const struct query *q, struct span *sp, bool newest_first)
{
	int64_t near = newest_first ? sp->tail : sp->head;
	int64_t whole = sp->total - sp->head - sp->tail;
	uint16_t day;

	if (sp->offset < near || sp->days.first > sp->days.last)
		return;
	sp->offset -= near;
	if (sp->offset >= whole) {
		sp->offset -= whole;
		if (newest_first)
			sp->to_ms = dash_store_day_start(sp->days.first);
		else
			sp->from_ms = dash_store_day_start((uint16_t)(sp->days.last + 1));
		return;
	}
	if (!counts_find_day(s->counts, &q->counts, sp->days, newest_first, &sp->offset, &day))
		return;
	if (newest_first && day < DASH_STORE_LAST_DAY)
		sp->to_ms = dash_store_day_start((uint16_t)(day + 1));
	else if (!newest_first)
		sp->from_ms = dash_store_day_start(day);
}

static enum found read_row(struct dash_store *s, int64_t seq, json_t **run, struct err *err)
{
	sqlite3_stmt *st = dash_store_stmt(
		s, "SELECT " DASH_STORE_RUN_COLUMNS " FROM k6_runs WHERE seq = ?1", err);

	sqlite3_bind_int64(st, 1, seq);
	return dash_store_object(s, st, dash_store_run_row, NULL, run, err);
}

static const struct order {
	const char *name, *index, *by;
} orders[] = {
#define X(name, index, by) {name, index, by},
	DASH_STORE_RUN_ORDERS(X)
#undef X
};

static const struct order *find_order(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(orders); i++) {
		if (!strcmp(orders[i].name, name))
			return &orders[i];
	}
	return &orders[0];
}

struct seqs {
	int64_t *list;
	size_t count;
};

static int add_seq(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct seqs *seqs = arg;

	(void)err;
	seqs->list[seqs->count++] = sqlite3_column_int64(st, 0);
	return 0;
}

/* Reads the numbers of the page's rows out of the index alone. */
static int find_page(struct dash_store *s, const struct query *q, const struct span *sp,
	const struct order *order, struct seqs *seqs, struct err *err)
{
	char where[512], sql[900];
	sqlite3_stmt *st;

	make_where(q, where, sizeof(where));
	snprintf(sql, sizeof(sql),
		"SELECT seq FROM k6_runs INDEXED BY %s WHERE %s ORDER BY %s LIMIT ?7 OFFSET ?8",
		order->index ? order->index : choose_index(s, q), where, order->by);
	st = dash_store_stmt(s, sql, err);
	bind_query(st, q, sp->from_ms, sp->to_ms);
	sqlite3_bind_int64(st, 7, q->f->page_size);
	sqlite3_bind_int64(st, 8, sp->offset);
	return dash_store_each(s, st, add_seq, seqs, err);
}

static int read_page(struct dash_store *s, const struct query *q, const struct span *sp,
	const struct order *order, json_t *items, struct err *err)
{
	_cleanup_free_ int64_t *list = x_calloc((size_t)q->f->page_size, sizeof(*list));
	struct seqs seqs = {list, 0};

	if (find_page(s, q, sp, order, &seqs, err) < 0)
		return -1;
	for (size_t i = 0; i < seqs.count; i++) {
		json_t *run;
		enum found found = read_row(s, list[i], &run, err);

		if (found == FOUND_ERROR)
			return -1;
		if (found == NOT_FOUND)
			return dash_store_damaged(
				s, "an index of the runs has an entry without a row", err);
		json_array_append_new(items, run);
	}
	return 0;
}

static int list_items(
	struct dash_store *s, const struct query *q, json_t *items, int64_t *total, struct err *err)
{
	const struct order *order = find_order(q->f->sort);
	struct span sp = {0};

	*total = 0;
	if (q->nothing)
		return 0;
	if (measure_span(s, q, &sp, err) < 0)
		return -1;
	*total = sp.total;
	sp.offset = (q->f->page - 1) * q->f->page_size;
	if (sp.offset >= sp.total)
		return 0;
	if (!order->index)
		skip_to_page(s, q, &sp, order == &orders[0]);
	return read_page(s, q, &sp, order, items, err);
}

int dash_store_list_runs(
	struct dash_store *s, const struct dash_store_run_filter *f, json_t **list, struct err *err)
{
	_cleanup_json_ json_t *items = json_array();
	struct query q = {0};
	int64_t total;
	int rc = dash_store_count_check(s, err);

	if (rc == 0)
		rc = read_query(s, f, &q, err);
	if (rc == 0)
		rc = list_items(s, &q, items, &total, err);
	free(q.agents);
	if (rc == 0)
		*list = json_pack("{s:O, s:I, s:I, s:I}", "items", items, "page",
			(json_int_t)f->page, "pageSize", (json_int_t)f->page_size, "total",
			(json_int_t)total);
	return rc;
}

/* --- all runs, part by part -------------------------------------------------------------- */

struct part {
	json_t *items;
	int64_t last_ms, last_seq; /* of the last run */
};

/* Columns: those of dash_store_run_row(), started_at, seq. */
static int add_run(sqlite3_stmt *st, void *arg, struct err *err)
{
	struct part *p = arg;
	json_t *run = dash_store_run_row(st, NULL, err);

	if (!run)
		return -1;
	json_array_append_new(p->items, run);
	p->last_ms = sqlite3_column_int64(st, DASH_STORE_RUN_COLUMN_COUNT);
	p->last_seq = sqlite3_column_int64(st, DASH_STORE_RUN_COLUMN_COUNT + 1);
	return 0;
}

static int read_part(
	struct dash_store *s, const struct query *q, int limit, struct part *p, struct err *err)
{
	char where[512], sql[900];
	sqlite3_stmt *st;

	make_where(q, where, sizeof(where));
	snprintf(sql, sizeof(sql),
		"SELECT " DASH_STORE_RUN_COLUMNS ", started_at, seq FROM k6_runs INDEXED BY %s"
		" WHERE %s AND NOT (started_at = ?6 - 1 AND seq >= ?10) ORDER BY started_at DESC, seq DESC LIMIT ?7",
		choose_index(s, q), where);
	st = dash_store_stmt(s, sql, err);
	bind_query(st, q, q->f->from_ms ? q->f->from_ms : INT64_MIN,
		q->f->to_ms ? q->f->to_ms : INT64_MAX);
	sqlite3_bind_int64(st, 7, limit);
	sqlite3_bind_int64(st, 10, q->f->before_seq ? q->f->before_seq : INT64_MAX);
	return dash_store_each(s, st, add_run, p, err);
}

int dash_store_next_runs(struct dash_store *s, struct dash_store_run_filter *f, int limit,
	json_t **items, struct err *err)
{
	struct part p = {.items = json_array()};
	struct query q = {0};
	int rc = read_query(s, f, &q, err);

	if (rc == 0 && !q.nothing)
		rc = read_part(s, &q, limit, &p, err);
	free(q.agents);
	if (rc < 0) {
		json_decref(p.items);
		return -1;
	}
	if (json_array_size(p.items) == (size_t)limit) {
		f->to_ms = p.last_ms + 1;
		f->before_seq = p.last_seq;
	}
	*items = p.items;
	return 0;
}
