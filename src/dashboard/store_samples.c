/* SPDX-License-Identifier: MIT */
/* Reads columns; the sums are made in slice.c. */
#include "dashboard/store_samples.h"

#include <math.h>
#include <string.h>

#include "common/json.h"

static enum found quantiles_from_json(const json_t *list, double *out)
{
	if (json_array_size(list) != QUANTILES)
		return FOUND_ERROR;
	for (size_t i = 0; i < QUANTILES; i++)
		out[i] = json_number_value(json_array_get(list, i));
	return FOUND;
}

static enum found quantiles_from_blob(sqlite3_stmt *st, int column, double *out)
{
	const size_t size = QUANTILES * sizeof(*out);

	if ((size_t)sqlite3_column_bytes(st, column) != size)
		return FOUND_ERROR;
	memcpy(out, sqlite3_column_blob(st, column), size);
	return FOUND;
}

enum found dash_store_read_quantiles(sqlite3_stmt *st, int column, double *out, struct err *err)
{
	_cleanup_json_ json_t *old = NULL;
	enum found found;

	switch (sqlite3_column_type(st, column)) {
	case SQLITE_NULL: return NOT_FOUND;
	case SQLITE_BLOB: found = quantiles_from_blob(st, column, out); break;
	default:
		old = json_loads(db_column_text(st, column), 0, NULL);
		found = quantiles_from_json(old, out);
	}
	if (found == FOUND_ERROR)
		err_code_set(err, ERR_CORRUPT,
			"the database has a run whose latency quantiles are not %d numbers",
			QUANTILES);
	return found;
}

int dash_store_read_sample(sqlite3_stmt *st, struct sample *out, struct err *err)
{
	enum found quantiles;

	*out = (struct sample){
		.started_ms = sqlite3_column_int64(st, 0),
		.target_id = db_column_text(st, 1),
		.status = db_column_text(st, 2),
		.http_reqs = dash_store_double_column(st, 3),
		.answered = dash_store_double_column(st, 4),
		.rps = dash_store_double_column(st, 5),
		.error_rate = dash_store_double_column(st, 6),
		.p95_ms = dash_store_double_column(st, 7),
	};
	quantiles = dash_store_read_quantiles(st, 8, out->quantiles, err);
	if (quantiles == FOUND_ERROR)
		err_prefix(err, "row %lld of k6_runs",
			(long long)sqlite3_column_int64(st, DASH_STORE_SAMPLE_SEQ));
	out->has_quantiles = quantiles == FOUND;
	return quantiles == FOUND_ERROR ? -1 : 0;
}

int dash_store_add_rollup(sqlite3_stmt *st, struct slice *sl, struct err *err)
{
	const struct slice_sums sums = {
		.runs = sqlite3_column_int64(st, 0),
		.success = sqlite3_column_int64(st, 1),
		.failed = sqlite3_column_int64(st, 2),
		.error = sqlite3_column_int64(st, 3),
		.http_reqs = sqlite3_column_double(st, 4),
		.failed_reqs = sqlite3_column_double(st, 5),
		.known_reqs = sqlite3_column_double(st, 6),
		.timed_reqs = sqlite3_column_double(st, 7),
		.run_s = sqlite3_column_double(st, 8),
		.worst_p95 = dash_store_double_column(st, 9),
	};

	slice_add_sums(sl, &sums);
	if (sqlite3_column_type(st, 10) == SQLITE_NULL)
		return 0; /* no run of the hour had latencies */
	if (!quantiles_pool_add_packed(
		    &sl->pool, sqlite3_column_blob(st, 10), (size_t)sqlite3_column_bytes(st, 10)))
		return err_code_set(err, ERR_CORRUPT,
			"the database has a rollup whose digest of latencies is damaged: target %.100s, hour %lld",
			db_column_text(st, DASH_STORE_ROLLUP_TARGET),
			(long long)sqlite3_column_int64(st, DASH_STORE_ROLLUP_HOUR));
	return 0;
}
