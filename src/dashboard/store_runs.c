/* SPDX-License-Identifier: MIT */
/* Runs: taken in once each, listed by page.  Lists are found in an index that has all that they are filtered by,
 * from the day on that the page begins in (counts.h); only the rows of the page itself are read. */
#include "dashboard/store_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/quantiles.h"
#include "common/result.h"
#include "dashboard/counts.h"

#define DAY_MS INT64_C(86400000)
#define LAST_DAY 65535

enum name_kind { NAME_TARGET, NAME_AGENT };

/* --- counting ------------------------------------------------------------------------- */

static uint16_t day_of(int64_t ms)
{
	int64_t day = ms / DAY_MS + 1;

	return (uint16_t)(ms < 0 ? 1 : day > LAST_DAY ? LAST_DAY : day);
}

static int64_t day_start(uint16_t day)
{
	return (day - 1) * DAY_MS;
}

/* Columns: target_no, agent_no, started_at, status. */
static struct counts_key key_of(sqlite3_stmt *st, int column)
{
	int status = result_find(
		result_status_names, RESULT_STATUS_COUNT, db_column_text(st, column + 3));

	return (struct counts_key){
		.target = (uint32_t)sqlite3_column_int64(st, column),
		.agent = (uint32_t)sqlite3_column_int64(st, column + 1),
		.day = day_of(sqlite3_column_int64(st, column + 2)),
		.status = (uint8_t)(status < 0 ? RESULT_STATUS_COUNT : status),
	};
}

int store_count_rows(
	struct store *s, const char *sql, int64_t parameter, int sign, int64_t *n, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s, sql, err);
	int rc;

	if (!st)
		return -1;
	sqlite3_bind_int64(st, 1, parameter);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct counts_key key = key_of(st, 0);

		counts_add(s->counts, &key, sign);
		if (n)
			++*n;
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

void store_count_reaped(struct store *s, sqlite3_stmt *st, int column)
{
	struct counts_key key = {
		.target = (uint32_t)sqlite3_column_int64(st, column),
		.agent = (uint32_t)sqlite3_column_int64(st, column + 1),
		.day = day_of(sqlite3_column_int64(st, column + 2)),
		.status = RESULT_RUNNING,
	};

	counts_add(s->counts, &key, -1);
	key.status = RESULT_ERROR;
	counts_add(s->counts, &key, 1);
}

int store_count_all(struct store *s, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT target_no, agent_no, started_at, status FROM k6_runs INDEXED BY k6_runs_time WHERE started_at >= ?1",
		err);
	int rc;

	if (!st)
		return -1;
	counts_clear(s->counts);
	sqlite3_bind_int64(st, 1, INT64_MIN);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct counts_key key = key_of(st, 0);

		counts_add(s->counts, &key, 1);
		counts_commit(s->counts);
	}
	sqlite3_reset(st);
	s->data_version = store_get_int(s, "PRAGMA data_version", 0);
	return rc == SQLITE_DONE ? 0 : store_fail(s, err);
}

/* Somebody else has written to the database: what is remembered of it may be wrong. */
static int check_counts(struct store *s, struct err *err)
{
	if (store_get_int(s, "PRAGMA data_version", 0) == s->data_version)
		return 0;
	return store_count_all(s, err);
}

/* --- names ------------------------------------------------------------------------------ */

/* FNV-1a. */
static struct name_slot *find_slot(
	struct store *s, enum name_kind kind, const char *host, const char *name)
{
	uint32_t hash = 2166136261U + kind;

	for (const char *p = host; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	hash = (hash ^ 0xff) * 16777619U;
	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	return &s->names[hash % STORE_NAMES_KEPT];
}

static void clear_slot(struct name_slot *slot)
{
	free(slot->host);
	free(slot->name);
	*slot = (struct name_slot){0};
}

void store_forget_names(struct store *s)
{
	for (size_t i = 0; i < STORE_NAMES_KEPT; i++)
		clear_slot(&s->names[i]);
}

static int64_t ask_name_no(struct store *s, enum name_kind kind, const char *host, const char *name,
	bool add, struct err *err)
{
	sqlite3_stmt *st = store_stmt(
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
	st = store_stmt(s, "INSERT INTO k6_names (kind, host, name) VALUES (?1, ?2, ?3)", err);
	if (!st)
		return -1;
	sqlite3_bind_int(st, 1, (int)kind);
	db_bind_text(st, 2, host);
	db_bind_text(st, 3, name);
	return db_run(st, err) < 0 ? -1 : sqlite3_last_insert_rowid(s->db);
}

/* The number that stands for it; 0: it has none (add: it gets one); -1: the database. */
static int64_t name_no(struct store *s, enum name_kind kind, const char *host, const char *name,
	bool add, struct err *err)
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

/* --- taking them in -------------------------------------------------------------------- */

/* What is there already decides: a terminal state is final, but for one that the reaper guessed. */
static void judge_upsert(sqlite3_stmt *st, const struct store_run *run, struct store_upserted *out)
{
	const char *old = db_column_text(st, 0), *reason = db_column_text(st, 1);
	const char *status = json_get_text(run->json, "status", "");
	bool old_final = strcmp(old, "running") != 0, reaped = !strcmp(reason, "reaped");

	out->changed = !old_final || (reaped && strcmp(status, "running") != 0);
	out->corrected = reaped && out->changed;
	if (out->changed)
		return;
	/* The same record again, after a lost answer: known, nothing to do. */
	if (!strcmp(old, status) && run->started_ms == sqlite3_column_int64(st, 2))
		return;
	out->what = STORE_IGNORED;
}

static void bind_number(sqlite3_stmt *st, int index, const json_t *v)
{
	if (json_is_number(v))
		sqlite3_bind_double(st, index, json_number_value(v));
	else
		sqlite3_bind_null(st, index);
}

#define PUT_RUN \
	" INTO k6_runs (id, agent, host, target_id, status, reason, started_at, planned_ms," \
	" p95_ms, error_rate, lag_ms, error_message, json, quantiles, log, http_reqs, answered, rps," \
	" target_no, agent_no) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17," \
	" ?18, ?19, ?20)"

/* sql: one that leaves a run of that id alone, or one that takes its place.  1: done, 0: there is one. */
static int put_run(struct store *s, const char *sql, const struct store_run *r,
	struct store_upserted *out, struct err *err)
{
	const json_t *run = r->json;
	sqlite3_stmt *st = store_stmt(s, sql, err);
	const json_t *metrics = json_object_get(run, "metrics");
	_cleanup_free_ char *text = NULL;
	struct counts_key key;
	int64_t target = name_no(s, NAME_TARGET, "", json_get_text(run, "targetId", ""), true, err);
	int64_t agent = target < 0 ? -1
				   : name_no(s, NAME_AGENT, json_get_text(run, "host", ""),
					     json_get_text(run, "agent", ""), true, err);

	if (!st || agent < 0)
		return -1;
	text = json_compact(run);
	db_bind_text(st, 1, json_get_text(run, "id", ""));
	db_bind_text(st, 2, json_get_text(run, "agent", NULL));
	db_bind_text(st, 3, json_get_text(run, "host", ""));
	db_bind_text(st, 4, json_get_text(run, "targetId", NULL));
	db_bind_text(st, 5, json_get_text(run, "status", ""));
	db_bind_text(st, 6, json_get_text(run, "reason", NULL));
	sqlite3_bind_int64(st, 7, r->started_ms);
	sqlite3_bind_int64(st, 8, json_get_int(run, "plannedMs", 0));
	bind_number(st, 9, json_object_get(metrics, "p95_ms"));
	bind_number(st, 10, json_object_get(metrics, "error_rate"));
	bind_number(st, 11, json_object_get(run, "lagMs"));
	db_bind_text(st, 12, json_get_text(run, "errorMessage", NULL));
	db_bind_text(st, 13, text);
	if (r->quantiles)
		sqlite3_bind_blob(st, 14, r->quantiles, QUANTILES * sizeof(double), SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 14);
	db_bind_text(st, 15, json_string_value(r->log));
	bind_number(st, 16, json_object_get(metrics, "http_reqs"));
	bind_number(st, 17, json_object_get(metrics, "http_reqs_answered"));
	bind_number(st, 18, json_object_get(metrics, "rps"));
	sqlite3_bind_int64(st, 19, target);
	sqlite3_bind_int64(st, 20, agent);
	if (db_run(st, err) < 0)
		return -1;
	if (!sqlite3_changes(s->db))
		return 0;
	key = (struct counts_key){.target = (uint32_t)target,
		.agent = (uint32_t)agent,
		.day = day_of(r->started_ms),
		.status = (uint8_t)result_find(result_status_names, RESULT_STATUS_COUNT,
			json_get_text(run, "status", ""))};
	counts_add(s->counts, &key, 1);
	out->text = steal_ptr(text);
	return store_rollup_touch(s, r, out->corrected, err) < 0 ? -1 : 1;
}

int store_upsert_run(
	struct store *s, const struct store_run *run, struct store_upserted *out, struct err *err)
{
	struct counts_key old = {0};
	sqlite3_stmt *st;
	int rc;

	*out = (struct store_upserted){.what = STORE_ACCEPTED, .changed = true};
	/* As a rule it is new: only one that is not costs a second look. */
	rc = put_run(s, "INSERT OR IGNORE" PUT_RUN, run, out, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	st = store_stmt(s,
		"SELECT status, reason, started_at, target_no, agent_no, started_at, status FROM k6_runs WHERE id = ?1",
		err);
	if (!st)
		return -1;
	db_bind_text(st, 1, json_get_text(run->json, "id", ""));
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		judge_upsert(st, run, out);
		old = key_of(st, 3);
	}
	sqlite3_reset(st);
	if (rc != SQLITE_ROW)
		return store_fail(s, err);
	if (!out->changed)
		return 0;
	counts_add(s->counts, &old, -1);
	return put_run(s, "INSERT OR REPLACE" PUT_RUN, run, out, err) < 0 ? -1 : 0;
}

/* Columns: json, status, reason, error_message, agent.  The columns are what the reaper may have
 * changed since the object was stored. */
static json_t *run_row(sqlite3_stmt *st)
{
	json_t *run = json_loads(db_column_text(st, 0), 0, NULL);

	json_object_set_new(run, "status", store_text_column(st, 1));
	json_object_set_new(run, "reason", store_text_column(st, 2));
	json_object_set_new(run, "errorMessage", store_text_column(st, 3));
	json_object_set_new(run, "agent", store_text_column(st, 4));
	json_object_del(run, "startedAtMs");
	return run;
}

/* --- lists --------------------------------------------------------------------------------- */

/* A filter in numbers. */
struct query {
	const struct store_run_filter *f;
	struct counts_filter counts;
	bool *agents;
	int64_t one_agent; /* the only one, 0: any number of them */
	bool nothing;      /* it names something that there is no run of */
};

/* Agents of that name, or host, or both. */
static int find_agents(struct store *s, struct query *q, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT no FROM k6_names WHERE kind = 1 AND (?1 IS NULL OR host = ?1) AND (?2 IS NULL OR name = ?2)",
		err);
	size_t found = 0;

	if (!st)
		return -1;
	q->counts.agent_count = (size_t)store_get_int(s, "SELECT max(no) FROM k6_names", 0) + 1;
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

static int read_query(
	struct store *s, const struct store_run_filter *f, struct query *q, struct err *err)
{
	*q = (struct query){.f = f, .counts = {.target = -1, .status = -1}};
	if (f->target_id) {
		q->counts.target = name_no(s, NAME_TARGET, "", f->target_id, false, err);
		if (q->counts.target < 0)
			return -1;
		q->nothing = !q->counts.target;
	}
	if (f->status)
		q->counts.status = result_find(result_status_names, RESULT_STATUS_COUNT, f->status);
	return f->agent || f->host ? find_agents(s, q, err) : 0;
}

/* What the index is asked for beside the time.  Parameters: 1 target, 2 agent, 3 host, 4 status, 9 the one agent. */
static void make_where(const struct query *q, char *buf, size_t size)
{
	const struct store_run_filter *f = q->f;

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
static const char *choose_index(const struct store *s, const struct query *q)
{
	const struct counts_filter by_target = {.target = q->counts.target, .status = -1};
	const struct counts_filter by_status = {.target = -1, .status = q->counts.status};
	const struct counts_filter by_agent = {q->counts.agents, q->counts.agent_count, -1, -1};
	const char *best = "k6_runs_time";
	int64_t least = INT64_MAX, n;

	if (q->f->target_id) {
		best = "k6_runs_target";
		least = counts_total(s->counts, &by_target, 1, LAST_DAY);
	}
	n = q->one_agent ? counts_total(s->counts, &by_agent, 1, LAST_DAY) : INT64_MAX;
	if (n < least) {
		best = "k6_runs_agent";
		least = n;
	}
	n = q->f->status ? counts_total(s->counts, &by_status, 1, LAST_DAY) : INT64_MAX;
	if (n < least)
		best = "k6_runs_status";
	return best;
}

/* Of less than a day. */
static int64_t count_between(
	struct store *s, const struct query *q, int64_t from_ms, int64_t to_ms, struct err *err)
{
	char where[512], sql[700];
	sqlite3_stmt *st;
	int64_t n = 0;

	if (from_ms >= to_ms)
		return 0;
	make_where(q, where, sizeof(where));
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM k6_runs INDEXED BY %s WHERE %s",
		choose_index(s, q), where);
	st = store_stmt(s, sql, err);
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

static int measure_span(struct store *s, const struct query *q, struct span *sp, struct err *err)
{
	const struct store_run_filter *f = q->f;
	int64_t head_end, tail_start;

	*sp = (struct span){.from_ms = f->from_ms ? f->from_ms : INT64_MIN,
		.to_ms = f->to_ms ? f->to_ms : INT64_MAX,
		.first_day = 1,
		.last_day = LAST_DAY};
	if (f->from_ms) {
		sp->first_day = day_of(f->from_ms);
		if (f->from_ms > day_start(sp->first_day))
			sp->first_day = (uint16_t)(sp->first_day + 1);
	}
	if (f->to_ms)
		sp->last_day = (uint16_t)(day_of(f->to_ms) - 1);
	if (sp->first_day > sp->last_day) {
		sp->head = count_between(s, q, sp->from_ms, sp->to_ms, err);
		sp->total = sp->head;
		return sp->head < 0 ? -1 : 0;
	}
	head_end = f->from_ms ? day_start(sp->first_day) : sp->from_ms;
	tail_start = f->to_ms ? day_start((uint16_t)(sp->last_day + 1)) : sp->to_ms;
	sp->head = count_between(s, q, sp->from_ms, head_end, err);
	sp->tail = count_between(s, q, tail_start, sp->to_ms, err);
	sp->total = sp->head + sp->tail +
		counts_total(s->counts, &q->counts, sp->first_day, sp->last_day);
	return sp->head < 0 || sp->tail < 0 ? -1 : 0;
}

/* Narrows the span to where the page begins; what is left of the offset is to be skipped there. */
static void skip_to_page(const struct store *s, const struct query *q, struct span *sp,
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
			sp->to_ms = day_start(sp->first_day);
		else
			sp->from_ms = day_start((uint16_t)(sp->last_day + 1));
		return;
	}
	if (!counts_find_day(
		    s->counts, &q->counts, sp->first_day, sp->last_day, newest_first, offset, &day))
		return;
	if (newest_first && day < LAST_DAY)
		sp->to_ms = day_start((uint16_t)(day + 1));
	else if (!newest_first)
		sp->from_ms = day_start(day);
}

static json_t *read_row(struct store *s, int64_t seq, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT json, status, reason, error_message, agent FROM k6_runs WHERE seq = ?1",
		err);
	json_t *run = NULL;

	if (!st)
		return NULL;
	sqlite3_bind_int64(st, 1, seq);
	if (sqlite3_step(st) == SQLITE_ROW)
		run = run_row(st);
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
static int read_page(struct store *s, const struct query *q, const struct span *sp,
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
	st = store_stmt(s, sql, err);
	if (!st)
		return -1;
	bind_query(st, q, sp->from_ms, sp->to_ms);
	sqlite3_bind_int64(st, 7, q->f->page_size);
	sqlite3_bind_int64(st, 8, offset);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && n < q->f->page_size)
		seqs[n++] = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		return store_fail(s, err);
	for (int64_t i = 0; i < n; i++) {
		json_t *run = read_row(s, seqs[i], err);

		if (run)
			json_array_append_new(items, run);
	}
	return 0;
}

json_t *store_list_runs(struct store *s, const struct store_run_filter *f, struct err *err)
{
	const struct order *order = find_order(f->sort);
	json_t *items = json_array();
	int64_t offset = (f->page - 1) * f->page_size;
	struct query q = {0};
	struct span sp = {0};
	int rc = check_counts(s, err) < 0 || read_query(s, f, &q, err) < 0 ? -1 : 0;

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

json_t *store_next_runs(struct store *s, struct store_run_filter *f, int limit, struct err *err)
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
		st = store_stmt(s, sql, err);
	}
	if (st) {
		bind_query(st, &q, f->from_ms ? f->from_ms : INT64_MIN,
			f->to_ms ? f->to_ms : INT64_MAX);
		sqlite3_bind_int64(st, 7, limit);
		sqlite3_bind_int64(st, 10, f->before_seq ? f->before_seq : INT64_MAX);
	}
	while (st && sqlite3_step(st) == SQLITE_ROW) {
		json_array_append_new(items, run_row(st));
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

static json_t *real_column(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL
		? json_null()
		: json_real(sqlite3_column_double(st, column));
}

json_t *store_recent_runs(struct store *s, const char *target_id, int limit, struct err *err)
{
	int64_t target = name_no(s, NAME_TARGET, "", target_id, false, err);
	sqlite3_stmt *st = store_stmt(s,
		"SELECT id, status, started_at, p95_ms, error_rate FROM k6_runs INDEXED BY k6_runs_target"
		" WHERE target_no = ?1 ORDER BY started_at DESC, seq DESC LIMIT ?2",
		err);
	json_t *list = json_array();

	if (!st || target <= 0)
		return list;
	sqlite3_bind_int64(st, 1, target);
	sqlite3_bind_int(st, 2, limit);
	while (sqlite3_step(st) == SQLITE_ROW)
		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", store_text_column(st, 0),
				"status", store_text_column(st, 1), "startedAt",
				json_time(sqlite3_column_int64(st, 2)), "p95_ms",
				real_column(st, 3), "error_rate", real_column(st, 4)));
	sqlite3_reset(st);
	return list;
}

json_t *store_get_run_row(struct store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT json, status, reason, error_message, agent FROM k6_runs WHERE id = ?1",
		err);
	json_t *run = NULL;

	if (!st)
		return NULL;
	db_bind_text(st, 1, id);
	if (sqlite3_step(st) == SQLITE_ROW)
		run = run_row(st);
	sqlite3_reset(st);
	return run;
}

json_t *store_get_run(struct store *s, const char *id, struct err *err)
{
	sqlite3_stmt *st = store_stmt(s,
		"SELECT json, status, reason, error_message, agent, quantiles, log FROM k6_runs WHERE id = ?1",
		err);
	json_t *run = NULL;
	int rc;

	err->msg[0] = '\0';
	if (!st)
		return NULL;
	db_bind_text(st, 1, id);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		run = run_row(st);
		json_object_set_new(run, "latencyQuantiles", store_quantiles_column(st, 5));
		json_object_set_new(run, "log", store_text_column(st, 6));
	} else if (rc != SQLITE_DONE) {
		store_fail(s, err);
	}
	sqlite3_reset(st);
	return run;
}
