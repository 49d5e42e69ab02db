/* SPDX-License-Identifier: MIT */
/* Runs and hours are added up; nothing is averaged that cannot be. */
#include "dashboard/slice.h"

#include <math.h>
#include <string.h>

#include "common/json.h"
#include "common/json_fast.h"
#include "common/mem.h"

#define FLOAT_DIGITS 7

/* 101 numbers; false for null. */
static bool quantiles_from_json(const json_t *list, double *out)
{
	if (json_array_size(list) != QUANTILES)
		return false;
	for (size_t i = 0; i < QUANTILES; i++)
		out[i] = json_number_value(json_array_get(list, i));
	return true;
}

bool dash_store_quantiles_read(sqlite3_stmt *st, int column, double *out)
{
	const size_t size = QUANTILES * sizeof(*out);
	_cleanup_json_ json_t *old = NULL;

	if (sqlite3_column_type(st, column) != SQLITE_BLOB) {
		old = json_loads(db_column_text(st, column), 0, NULL);
		return quantiles_from_json(old, out);
	}
	if ((size_t)sqlite3_column_bytes(st, column) != size)
		return false;
	memcpy(out, sqlite3_column_blob(st, column), size);
	return true;
}

json_t *dash_store_quantiles_column(sqlite3_stmt *st, int column)
{
	double values[QUANTILES];
	json_t *list;

	if (!dash_store_quantiles_read(st, column, values))
		return json_null();
	list = json_array();
	for (int i = 0; i < QUANTILES; i++)
		json_array_append_new(list, json_real(values[i]));
	return list;
}

void slice_init(struct slice *sl)
{
	struct quantiles_pool pool = sl->pool;

	pool.len = pool.sorted = 0;
	pool.count = 0;
	*sl = (struct slice){.worst_p95 = NAN, .pool = pool};
}

static double number_column(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL ? NAN
							      : sqlite3_column_double(st, column);
}

void slice_read_sample(sqlite3_stmt *st, struct dash_store_sample *out)
{
	*out = (struct dash_store_sample){
		.started_ms = sqlite3_column_int64(st, 0),
		.target_id = db_column_text(st, 1),
		.status = db_column_text(st, 2),
		.http_reqs = number_column(st, 3),
		.answered = number_column(st, 4),
		.rps = number_column(st, 5),
		.error_rate = number_column(st, 6),
		.p95_ms = number_column(st, 7),
	};
	out->has_quantiles = sqlite3_column_type(st, 8) != SQLITE_NULL &&
		dash_store_quantiles_read(st, 8, out->quantiles);
}

void slice_add(struct slice *sl, const struct dash_store_sample *run)
{
	struct quantiles q;

	sl->runs++;
	sl->success += !strcmp(run->status, "success");
	sl->failed += !strcmp(run->status, "failed");
	sl->error += !strcmp(run->status, "error");
	if (!isnan(run->p95_ms) && !(sl->worst_p95 >= run->p95_ms))
		sl->worst_p95 = run->p95_ms;
	if (isnan(run->http_reqs))
		return;
	sl->http_reqs += run->http_reqs;
	if (!isnan(run->error_rate)) {
		sl->known_reqs += run->http_reqs;
		sl->failed_reqs += run->http_reqs * run->error_rate;
	}
	if (run->rps > 0) {
		sl->timed_reqs += run->http_reqs;
		sl->run_s += run->http_reqs / run->rps;
	}
	if (!run->has_quantiles)
		return;
	/* Agents of other makes may not say how many were answered. */
	q.count = isnan(run->answered) ? run->http_reqs : run->answered;
	memcpy(q.q, run->quantiles, sizeof(q.q));
	quantiles_pool_add(&sl->pool, &q);
}

void slice_add_rollup(struct slice *sl, sqlite3_stmt *st)
{
	double worst = number_column(st, 10);

	sl->runs += sqlite3_column_int64(st, 1);
	sl->success += sqlite3_column_int64(st, 2);
	sl->failed += sqlite3_column_int64(st, 3);
	sl->error += sqlite3_column_int64(st, 4);
	sl->http_reqs += sqlite3_column_double(st, 5);
	sl->failed_reqs += sqlite3_column_double(st, 6);
	sl->known_reqs += sqlite3_column_double(st, 7);
	sl->timed_reqs += sqlite3_column_double(st, 8);
	sl->run_s += sqlite3_column_double(st, 9);
	if (!isnan(worst) && !(sl->worst_p95 >= worst))
		sl->worst_p95 = worst;
	if (sqlite3_column_bytes(st, 11) > 0)
		quantiles_pool_add_packed(&sl->pool, sqlite3_column_blob(st, 11),
			(size_t)sqlite3_column_bytes(st, 11));
}

static json_t *known(bool is_known, double value)
{
	return is_known ? json_short_real(value, FLOAT_DIGITS) : json_null();
}

/* A point of a series; without runs its numbers are null. */
json_t *slice_to_json(struct slice *sl, int64_t t_ms)
{
	struct quantiles q;
	bool any = quantiles_pool_percentiles(&sl->pool, &q);

	return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "t",
		json_time(t_ms), "runs", (json_int_t)sl->runs, "http_reqs",
		sl->runs ? json_integer((json_int_t)sl->http_reqs) : json_null(), "error_rate",
		known(sl->known_reqs > 0, sl->failed_reqs / sl->known_reqs), "rps",
		known(sl->run_s > 0, sl->timed_reqs / sl->run_s), "p50_ms", known(any, q.q[50]),
		"p95_ms", known(any, q.q[95]), "p99_ms", known(any, q.q[99]), "worst_p95_ms",
		known(!isnan(sl->worst_p95), sl->worst_p95), "success", (json_int_t)sl->success,
		"failed", (json_int_t)sl->failed, "error", (json_int_t)sl->error);
}
