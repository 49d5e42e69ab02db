/* SPDX-License-Identifier: MIT */
/* Pure: the time comes from the caller. */
#include "supervisor/runs.h"

#include "common/mem.h"
#include "common/uuid.h"

void run_list_clear(struct run_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		run_clear(&list->runs[i]);
	free(list->runs);
	*list = (struct run_list){0};
}

void run_list_add(struct run_list *list, struct run *run)
{
	list->runs = x_realloc(list->runs, list->count + 1, sizeof(*list->runs));
	list->runs[list->count++] = *run;
	run_init(run);
}

struct run *runs_make(const char *agent, const char *host, const struct target *t,
	int64_t planned_ms, int64_t scheduled_ms, int64_t now_ms)
{
	struct run *run = x_calloc(1, sizeof(*run));
	char id[UUID_MAX];

	uuid_make_v7(now_ms, id);
	run_init(run);
	run->id = x_strdup(id);
	run->agent = x_strdup(agent);
	run->host = x_strdup(host);
	run->target_id = x_strdup(t->id);
	run->target_label = x_strdup(t->label[0] ? t->label : t->url ? t->url : t->id);
	run->planned_ms = planned_ms;
	run->scheduled_ms = scheduled_ms;
	runs_started(run, now_ms);
	return run;
}

void runs_free(struct run *run)
{
	if (!run)
		return;
	run_clear(run);
	free(run);
}

void runs_started(struct run *run, int64_t started_ms)
{
	int64_t lag = started_ms - run->scheduled_ms;

	run->started_ms = started_ms;
	run->lag_ms = lag > 0 ? lag : 0;
}

/* Replaces every field that the worker makes.  If k6 was never started, the start stays as it
 * was. */
static void take(struct run *run, struct run *result)
{
	int64_t started_ms = result->started_ms ? result->started_ms : run->started_ms;

	run_take_result(run, result);
	runs_started(run, started_ms);
	run->has[RUN_METRICS] = true;
}

void runs_complete(struct run *run, struct run *result, int64_t now_ms)
{
	take(run, result);
	run->has[RUN_RESOURCES] = true;
	if (!run->finished_ms)
		run->finished_ms = now_ms;
	/* The log of a successful run is not kept. */
	if (run->status == RUN_SUCCESS)
		run_set_text(&run->log, NULL);
}

void runs_abandon(struct run *run, enum run_reason reason, const char *message, int64_t now_ms)
{
	struct run result;

	run_init(&result);
	take(run, &result);
	run->has[RUN_RESOURCES] = false;
	run->status = RUN_ERROR;
	run->reason = reason;
	run_set_text(&run->message, message);
	/* If the wall clock was set back during the run, the run must not end before it began. */
	run->finished_ms = now_ms < run->scheduled_ms ? run->scheduled_ms + run->lag_ms : now_ms;
}
