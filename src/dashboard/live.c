/* SPDX-License-Identifier: MIT */
/* A ring of minutes, each with counts and a pool of samples (common/quantiles.h). */
#include "dashboard/live.h"

#include <math.h>
#include <string.h>

#include "common/mem.h"
#include "common/quantiles.h"
#include "common/run.h"

#define MINUTE_MS 60000
#define MINUTES 61 /* the last hour, and the present minute */

struct minute {
	int64_t number; /* since 1970 */
	int64_t runs, success, failed, error;
	double known_reqs, failed_reqs;
	struct quantiles_pool pool;
	unsigned char
		packed[QUANTILES_PACKED_MAX]; /* of the pool, when it had packed_count samples */
	size_t packed_len;
	double packed_count;
};

struct last {
	char *target_id;
	int64_t started_ms;
	double p95_ms, error_rate;
};

struct live {
	struct minute ring[MINUTES];
	uint64_t totals[RUN_STATUS_COUNT];
	struct last targets[LIVE_TARGETS_MAX];
	size_t target_count;
};

struct live *live_new(void)
{
	return x_calloc(1, sizeof(struct live));
}

void live_free(struct live *l)
{
	if (!l)
		return;
	for (int i = 0; i < MINUTES; i++)
		quantiles_pool_clear(&l->ring[i].pool);
	for (size_t i = 0; i < l->target_count; i++)
		free(l->targets[i].target_id);
	free(l);
}

/* Returns the minute of a wall time, emptied if it held an older one; NULL when the time is not
 * within the last hour. */
static struct minute *find_minute(struct live *l, int64_t at_ms, int64_t now_ms)
{
	int64_t number = at_ms / MINUTE_MS, now = now_ms / MINUTE_MS;
	struct minute *m = &l->ring[(uint64_t)number % MINUTES];

	if (at_ms <= 0 || number > now || number <= now - MINUTES)
		return NULL;
	if (m->number != number) {
		quantiles_pool_clear(&m->pool);
		*m = (struct minute){.number = number};
	}
	return m;
}

static void remember_target(struct live *l, const struct sample *run)
{
	struct last *t = NULL;

	if (!run->target_id[0])
		return;
	for (size_t i = 0; i < l->target_count && !t; i++) {
		if (!strcmp(l->targets[i].target_id, run->target_id))
			t = &l->targets[i];
	}
	if (!t) {
		if (l->target_count == LIVE_TARGETS_MAX)
			return;
		t = &l->targets[l->target_count++];
		*t = (struct last){.target_id = x_strdup(run->target_id)};
	}
	if (run->started_ms < t->started_ms)
		return;
	t->started_ms = run->started_ms;
	t->p95_ms = run->p95_ms;
	t->error_rate = run->error_rate;
}

void live_add(struct live *l, const struct sample *run, bool corrected, int64_t now_ms)
{
	struct minute *m = find_minute(l, run->started_ms, now_ms);
	int status = run_find_name(run_status_names, RUN_STATUS_COUNT, run->status);
	struct quantiles q;

	if (status <= RUN_RUNNING)
		return;
	l->totals[status]++;
	remember_target(l, run);
	if (!m)
		return;
	/* It was added as an error when the reaper gave it up. */
	if (corrected && m->error) {
		m->runs--;
		m->error--;
	}
	m->runs++;
	m->success += status == RUN_SUCCESS;
	m->failed += status == RUN_FAILED;
	m->error += status == RUN_ERROR;
	if (isnan(run->http_reqs))
		return;
	if (!isnan(run->error_rate)) {
		m->known_reqs += run->http_reqs;
		m->failed_reqs += run->http_reqs * run->error_rate;
	}
	if (!run->has_quantiles)
		return;
	q.count = isnan(run->answered) ? run->http_reqs : run->answered;
	memcpy(q.q, run->quantiles, sizeof(q.q));
	quantiles_pool_add(&m->pool, &q);
}

static struct live_sum sum_of(struct minute *m)
{
	struct quantiles q;
	bool timed = quantiles_pool_percentiles(&m->pool, &q);

	return (struct live_sum){
		.runs = m->runs,
		.success = m->success,
		.failed = m->failed,
		.error = m->error,
		.error_rate = m->known_reqs > 0 ? m->failed_reqs / m->known_reqs : NAN,
		.p50_ms = timed ? q.q[50] : NAN,
		.p95_ms = timed ? q.q[95] : NAN,
		.p99_ms = timed ? q.q[99] : NAN,
	};
}

struct live_sum live_last_hour(struct live *l, int64_t now_ms)
{
	struct minute all = {0};
	struct live_sum sum;

	for (int i = 0; i < MINUTES; i++) {
		struct minute *m = &l->ring[i];

		if (m->number <= now_ms / MINUTE_MS - MINUTES || m->number > now_ms / MINUTE_MS)
			continue;
		all.runs += m->runs;
		all.success += m->success;
		all.failed += m->failed;
		all.error += m->error;
		all.known_reqs += m->known_reqs;
		all.failed_reqs += m->failed_reqs;
		if (m->packed_count != m->pool.count) {
			m->packed_len = quantiles_pool_pack(&m->pool, m->packed);
			m->packed_count = m->pool.count;
		}
		quantiles_pool_add_packed(&all.pool, m->packed, m->packed_len);
	}
	sum = sum_of(&all);
	quantiles_pool_clear(&all.pool);
	return sum;
}

struct live_sum live_minute(struct live *l, int ago, int64_t now_ms, int64_t *from_ms)
{
	struct minute none = {0}, *m;

	*from_ms = (now_ms / MINUTE_MS - ago) * MINUTE_MS;
	m = &l->ring[(uint64_t)(*from_ms / MINUTE_MS) % MINUTES];
	return sum_of(m->number == *from_ms / MINUTE_MS ? m : &none);
}

uint64_t live_total(const struct live *l, int status)
{
	return l->totals[status];
}

void live_each_target(const struct live *l,
	void (*each)(void *arg, const char *target_id, double p95_ms, double error_rate), void *arg)
{
	for (size_t i = 0; i < l->target_count; i++)
		each(arg, l->targets[i].target_id, l->targets[i].p95_ms, l->targets[i].error_rate);
}

void live_forget_target(struct live *l, const char *target_id)
{
	for (size_t i = 0; i < l->target_count; i++) {
		if (strcmp(l->targets[i].target_id, target_id) != 0)
			continue;
		free(l->targets[i].target_id);
		l->targets[i] = l->targets[--l->target_count];
		return;
	}
}
