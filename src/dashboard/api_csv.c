/* SPDX-License-Identifier: MIT */
/* Runs as CSV, read from the store part by part while they are sent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "dashboard/api.h"
#include "dashboard/api_calls.h"
#include "dashboard/run_csv.h"
#include "dashboard/run_filter.h"
#include "dashboard/store_lists.h"
#include "dashboard/stream.h"

#define CSV_CHUNK 200

/* The texts of the filter are copies, because the request is freed before the next part is read. */
struct csv {
	struct stream stream;
	struct dash_store *store;
	struct dash_store_run_filter filter;
	char *texts[5];
	char *text; /* the part that is being sent */
	size_t len, offset;
	bool ended;
};

/* Makes the next part.  Returns 0, or -1 with err. */
static int fill_csv(struct csv *c, bool first, struct err *err)
{
	_cleanup_json_ json_t *rows = NULL;
	json_t *run;
	size_t i;
	FILE *f;

	if (dash_store_next_runs(c->store, &c->filter, CSV_CHUNK, &rows, err) < 0)
		return -1;
	free(c->text);
	c->text = NULL;
	c->offset = 0;
	f = open_memstream(&c->text, &c->len);
	if (!f)
		return err_sys(err, errno, "the next runs");
	if (first)
		run_csv_head(f);
	json_array_foreach (rows, i, run)
		run_csv_row(f, run);
	c->ended = json_array_size(rows) < CSV_CHUNK;
	fclose(f);
	return 0;
}

static ssize_t read_csv(void *state, char *buf, size_t size)
{
	struct csv *c = state;
	struct err err;
	size_t n;

	if (c->offset == c->len && !c->ended && fill_csv(c, false, &err) < 0) {
		log_event(LOG_LEVEL_ERROR, "runs.csv", "cut off", LOG_ERROR(err.msg));
		return STREAM_CUT;
	}
	if (c->offset == c->len)
		return STREAM_END;
	n = c->len - c->offset < size ? c->len - c->offset : size;
	memcpy(buf, c->text + c->offset, n);
	c->offset += n;
	return (ssize_t)n;
}

static void close_csv(void *state)
{
	struct csv *c = state;

	for (size_t i = 0; i < ARRAY_SIZE(c->texts); i++)
		free(c->texts[i]);
	free(c->text);
	free(c);
}

void api_read_runs_csv(struct api_request *req, struct api_response *res)
{
	struct csv *c = x_calloc(1, sizeof(*c));
	struct dash_store_run_filter *f = &c->filter;
	struct err err;

	if (!run_filter_read(req, res, f)) {
		free(c);
		return;
	}
	c->store = req->api->store;
	f->target_id = c->texts[0] = f->target_id ? x_strdup(f->target_id) : NULL;
	f->agent = c->texts[1] = f->agent ? x_strdup(f->agent) : NULL;
	f->host = c->texts[2] = f->host ? x_strdup(f->host) : NULL;
	f->status = c->texts[3] = f->status ? x_strdup(f->status) : NULL;
	f->sort = NULL;
	c->stream = (struct stream){.read = read_csv, .close = close_csv, .state = c};
	if (fill_csv(c, true, &err) < 0) {
		close_csv(c);
		api_store_error(res, &err);
		return;
	}
	res->status = 200;
	res->type = "text/csv; charset=utf-8; header=present";
	res->disposition = "attachment; filename=\"runs.csv\"";
	res->stream = &c->stream;
}
