/* SPDX-License-Identifier: MIT */
/* Packs run results into a message and reads them back, trusting nothing in between. */
#include "common/result.h"

#include <math.h>
#include <string.h>

#include "common/mem.h"

const char *const result_metric_names[RESULT_METRIC_COUNT] = {
#define X(id, name) [RESULT_##id] = name,
	RESULT_METRICS(X)
#undef X
};

const char *const result_reason_names[RESULT_REASON_COUNT] = {
#define X(id, name) [RESULT_REASON_##id] = name,
	RESULT_REASONS(X)
#undef X
};

const char *const result_status_names[RESULT_STATUS_COUNT] = {
	[RESULT_RUNNING] = "running",
	[RESULT_SUCCESS] = "success",
	[RESULT_FAILED] = "failed",
	[RESULT_ERROR] = "error",
};

int result_find(const char *const names[], int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

void result_init(struct run_result *r)
{
	*r = (struct run_result){.exit_code = RESULT_EXIT_NONE};
	r->message = x_strdup("");
	r->log = x_strdup("");
}

void result_clear(struct run_result *r)
{
	for (size_t i = 0; i < r->threshold_count; i++) {
		free(r->thresholds[i].metric);
		free(r->thresholds[i].expression);
	}
	free(r->thresholds);
	free(r->message);
	free(r->log);
	*r = (struct run_result){.exit_code = RESULT_EXIT_NONE};
}

void result_set_metric(struct run_result *r, enum result_metric metric, double value)
{
	r->metrics[metric] = value;
	r->metrics_mask |= UINT32_C(1) << metric;
}

bool result_has_metric(const struct run_result *r, enum result_metric metric)
{
	return r->metrics_mask & (UINT32_C(1) << metric);
}

void result_add_threshold(struct run_result *r, const char *metric, const char *expression, bool ok)
{
	if (r->threshold_count >= RESULT_THRESHOLDS_MAX)
		return;
	r->thresholds = x_realloc(r->thresholds, r->threshold_count + 1, sizeof(*r->thresholds));
	r->thresholds[r->threshold_count++] =
		(struct result_threshold){x_strndup(metric, 256), x_strndup(expression, 256), ok};
}

static void put_double(struct msg_writer *w, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	msg_put_u64(w, bits);
}

static double get_double(struct msg_reader *r)
{
	uint64_t bits = msg_get_u64(r);
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

void result_pack(const struct run_result *r, struct msg_writer *w)
{
	struct msg_writer blob = {0};
	size_t log_len = strlen(r->log), log_max;

	msg_start(w, MSG_AGENT_RESULT);
	msg_put_str(w, r->run_id);
	msg_put_u8(w, (uint8_t)r->status);
	msg_put_u8(w, (uint8_t)r->reason);
	msg_put_u32(w, (uint32_t)r->exit_code);
	msg_put_u64(w, (uint64_t)r->started_wall_ms);
	msg_put_u64(w, (uint64_t)r->finished_wall_ms);
	msg_put_bytes(w, r->message, strnlen(r->message, RESULT_MESSAGE_MAX));
	msg_put_u32(w, r->metrics_mask);
	for (int i = 0; i < RESULT_METRIC_COUNT; i++)
		put_double(&blob, r->metrics[i]);
	msg_put_bytes(w, blob.data, blob.len);
	blob.len = 0;
	for (int i = 0; r->has_quantiles && i < RESULT_QUANTILES; i++)
		put_double(&blob, r->quantiles[i]);
	msg_put_bytes(w, blob.data, blob.len);
	blob.len = 0;
	for (size_t i = 0; i < r->threshold_count; i++) {
		msg_put_str(&blob, r->thresholds[i].metric);
		msg_put_str(&blob, r->thresholds[i].expression);
		msg_put_u8(&blob, r->thresholds[i].ok);
	}
	msg_put_bytes(w, blob.data, blob.len);
	msg_put_u64(w, (uint64_t)r->cpu_ms);
	msg_put_u64(w, (uint64_t)r->max_rss_bytes);
	msg_put_u64(w, (uint64_t)r->tmp_bytes);
	log_max = MSG_MAX_BYTES - w->len - 4;
	if (log_max > RESULT_LOG_MAX)
		log_max = RESULT_LOG_MAX;
	if (log_len > log_max)
		msg_put_bytes(w, r->log + log_len - log_max, log_max);
	else
		msg_put_bytes(w, r->log, log_len);
	msg_free(&blob);
}

static int read_doubles(const uint8_t *p, size_t len, double *out, size_t count, struct err *err)
{
	struct msg_reader in = {.p = p, .end = p + len};

	if (len != count * sizeof(uint64_t))
		return err_set(err, "%zu bytes where %zu numbers belong", len, count);
	for (size_t i = 0; i < count; i++) {
		out[i] = get_double(&in);
		if (!isfinite(out[i]) || out[i] < 0)
			return err_set(err, "a number that is negative or not finite");
	}
	return 0;
}

static int read_thresholds(const uint8_t *p, size_t len, struct run_result *r, struct err *err)
{
	struct msg_reader in = {.p = p, .end = p + len};

	while (len && in.p != in.end && !in.failed) {
		_cleanup_free_ char *metric = msg_get_str(&in);
		_cleanup_free_ char *expression = msg_get_str(&in);
		bool ok = msg_get_u8(&in) != 0;

		if (in.failed || r->threshold_count >= RESULT_THRESHOLDS_MAX)
			return err_set(err, "a list of thresholds that is cut or too long");
		result_add_threshold(r, metric, expression, ok);
	}
	return 0;
}

static int64_t get_count(struct msg_reader *in)
{
	uint64_t v = msg_get_u64(in);

	return v > INT64_MAX / 2 ? 0 : (int64_t)v;
}

int result_unpack(struct msg_reader *in, struct run_result *r, struct err *err)
{
	_cleanup_free_ char *id = msg_get_str(in);
	uint8_t status, reason;
	const uint8_t *p;
	size_t len;

	result_init(r);
	if (!uuid_is_valid(id))
		return err_set(err, "a result without a run id");
	memcpy(r->run_id, id, sizeof(r->run_id));
	status = msg_get_u8(in);
	reason = msg_get_u8(in);
	if (status == RESULT_RUNNING || status >= RESULT_STATUS_COUNT ||
		reason >= RESULT_REASON_COUNT || (status == RESULT_SUCCESS) != (reason == 0))
		return err_set(err, "status %u with reason %u", status, reason);
	r->status = status;
	r->reason = reason;
	r->exit_code = (int32_t)msg_get_u32(in);
	r->started_wall_ms = get_count(in);
	r->finished_wall_ms = get_count(in);
	free(r->message);
	r->message = msg_get_str(in);
	r->metrics_mask = msg_get_u32(in) & ((UINT32_C(1) << RESULT_METRIC_COUNT) - 1);
	p = msg_get_bytes(in, &len);
	if (read_doubles(p, len, r->metrics, RESULT_METRIC_COUNT, err) < 0)
		return err_prefix(err, "metrics");
	p = msg_get_bytes(in, &len);
	if (len && read_doubles(p, len, r->quantiles, RESULT_QUANTILES, err) < 0)
		return err_prefix(err, "quantiles");
	r->has_quantiles = len > 0;
	p = msg_get_bytes(in, &len);
	if (read_thresholds(p, len, r, err) < 0)
		return -1;
	r->cpu_ms = get_count(in);
	r->max_rss_bytes = get_count(in);
	r->tmp_bytes = get_count(in);
	free(r->log);
	r->log = msg_get_str(in);
	return in->failed ? err_set(err, "a result that is cut") : 0;
}
