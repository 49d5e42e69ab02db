/* SPDX-License-Identifier: MIT */
/* Turns the old form into the present one and reads that, so that all checks of run_get() hold.
 * Checks here only what the present form cannot express. */
#include "common/run_v4.h"

#include <math.h>
#include <string.h>

#include "common/mem.h"
#include "common/quantiles.h"

/* The metrics in the order of their bits and numbers. */
static const size_t metrics[] = {
	offsetof(struct run, p50_ms),
	offsetof(struct run, p95_ms),
	offsetof(struct run, p99_ms),
	offsetof(struct run, avg_ms),
	offsetof(struct run, error_rate),
	offsetof(struct run, rps),
	offsetof(struct run, data_received_bytes),
	offsetof(struct run, iterations),
	offsetof(struct run, http_reqs),
	offsetof(struct run, http_reqs_answered),
	offsetof(struct run, checks_passed),
	offsetof(struct run, checks_failed),
	offsetof(struct run, vus),
};

static int read_doubles(struct msg_bytes from, double *out, size_t count, struct err *err)
{
	struct msg_reader in = {
		.p = (const uint8_t *)from.p, .end = (const uint8_t *)from.p + from.len};

	if (from.len != count * sizeof(uint64_t))
		return err_set(err, "%zu bytes where %zu numbers belong", from.len, count);
	for (size_t i = 0; i < count; i++) {
		uint64_t bits = msg_get_u64(&in);

		memcpy(&out[i], &bits, sizeof(bits));
		if (!isfinite(out[i]) || out[i] < 0)
			return err_set(err, "a number that is negative or not finite");
	}
	return 0;
}

static int read_metrics(const struct msg_agent_result_4 *m, struct run *r, struct err *err)
{
	double values[ARRAY_SIZE(metrics)] = {0};

	if (read_doubles(m->metrics, values, ARRAY_SIZE(values), err) < 0)
		return err_prefix(err, "metrics");
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
		if (m->metrics_mask & (UINT32_C(1) << i))
			*(double *)(void *)((char *)r + metrics[i]) = values[i];
	}
	if (!m->quantiles.len)
		return 0;
	r->quantiles = x_calloc(QUANTILES, sizeof(*r->quantiles));
	if (read_doubles(m->quantiles, r->quantiles, QUANTILES, err) < 0)
		return err_prefix(err, "quantiles");
	return 0;
}

static int read_thresholds(struct msg_bytes from, struct run *r, struct err *err)
{
	struct msg_reader in = {
		.p = (const uint8_t *)from.p, .end = (const uint8_t *)from.p + from.len};

	while (in.p != in.end && !in.failed) {
		_cleanup_free_ char *metric = msg_get_str(&in);
		_cleanup_free_ char *expression = msg_get_str(&in);
		bool ok = msg_get_u8(&in) != 0;

		if (in.failed || r->thresholds.count >= RUN_WORKER_THRESHOLDS)
			return err_set(err, "a list of thresholds that is cut or too long");
		run_add_threshold(r, metric, expression, ok);
	}
	return 0;
}

static int64_t count_of(uint64_t v)
{
	return v > INT64_MAX / 2 ? 0 : (int64_t)v;
}

static void set_text(char **member, struct msg_bytes from)
{
	_cleanup_free_ char *text = msg_text_dup(from);

	run_set_text(member, text);
}

static int read_old(const struct msg_agent_result_4 *m, struct run *r, struct err *err)
{
	if (m->status >= RUN_STATUS_COUNT || m->reason >= RUN_REASON_COUNT)
		return err_set(err, "status %u with reason %u", m->status, m->reason);
	r->status = (enum run_status)m->status;
	r->reason = (enum run_reason)m->reason;
	r->exit_code = m->exit_code == INT32_MIN ? RUN_NONE : m->exit_code;
	r->started_ms = count_of(m->started_wall_ms);
	r->finished_ms = count_of(m->finished_wall_ms);
	r->cpu_ms = count_of(m->cpu_ms);
	r->max_rss_bytes = count_of(m->max_rss_bytes);
	r->tmp_bytes = count_of(m->tmp_bytes);
	set_text(&r->id, m->run_id);
	set_text(&r->message, m->message);
	set_text(&r->log, m->log);
	if (read_metrics(m, r, err) < 0)
		return -1;
	return read_thresholds(m->thresholds, r, err);
}

int run_v4_get(struct msg_reader *in, struct run *r, struct err *err)
{
	_cleanup_run_ struct run old;
	struct msg_agent_result_4 m;
	struct msg_writer w = {0};
	struct msg_reader again;
	int rc = -1;

	run_init(r);
	run_init(&old);
	msg_get_agent_result_4(in, &m);
	if (in->failed)
		return err_set(err, "a result that is cut");
	if (read_old(&m, &old, err) < 0)
		return -1;
	if (!old.id)
		return err_set(err, "a result without a run id");
	run_put(&old, &w);
	if (msg_open(&again, w.data, w.len, MSG_TO_SUPERVISOR_W, err) == MSG_AGENT_RESULT)
		rc = run_get(&again, r, err);
	msg_free(&w);
	return rc;
}
