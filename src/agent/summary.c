/* SPDX-License-Identifier: MIT */
/* The three shapes of a summary differ in the place of the values and in the form of a crossed
 * threshold; find_metric(), find_values() and take_thresholds_of() know the shape, and little
 * else does. */
#include "agent/summary.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/script.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/quantiles.h"

enum shape { SHAPE_EXPORT, SHAPE_HANDLE, SHAPE_MACHINE };

struct doc {
	enum shape shape;
	const json_t *metrics; /* object by name, or array with "name" in SHAPE_MACHINE */
	const json_t *check_metrics;
	struct err *err;
};

/* The values of a trend metric; -1: not reported. */
struct trend {
	bool present, has_quantiles;
	double count, avg, med, p95, p99, max;
	double q[QUANTILES];
};

static const json_t *in_list(const json_t *list, const char *name)
{
	const json_t *m;
	size_t i;

	json_array_foreach (list, i, m) {
		if (!strcmp(json_get_text(m, "name", ""), name))
			return m;
	}
	return NULL;
}

static const json_t *find_metric(const struct doc *d, const char *name)
{
	if (d->shape != SHAPE_MACHINE)
		return json_object_get(d->metrics, name);
	const json_t *m = in_list(d->metrics, name);
	return m ? m : in_list(d->check_metrics, name);
}

/* One metric of a summary. */
struct metric {
	const struct doc *d;
	const char *name;
	const json_t
		*values; /* the object that holds its numbers; NULL: k6 did not report the metric */
};

static int find_values(const struct doc *d, const char *name, struct metric *out)
{
	const json_t *m = find_metric(d, name);

	*out = (struct metric){.d = d, .name = name};
	if (!m)
		return 0;
	if (!json_is_object(m))
		return err_set(d->err, "metric %s is not an object", name);
	if (d->shape == SHAPE_EXPORT) {
		out->values = m;
		return 0;
	}
	out->values = json_object_get(m, "values");
	if (!json_is_object(out->values))
		return err_set(d->err, "metric %s has no values", name);
	return 0;
}

/* Reads one number, 0 to max.  *found: whether it is there.  Returns 0, or -1 and err. */
static int get_number(const struct metric *m, const char *key, double max, double *out, bool *found)
{
	const json_t *v = json_object_get(m->values, key);

	*found = false;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_number(v))
		return err_set(m->d->err, "%s.%s is not a number", m->name, key);
	*out = json_number_value(v);
	if (!isfinite(*out) || *out < 0 || *out > max)
		return err_set(m->d->err, "%s.%s is %g, which cannot be", m->name, key, *out);
	*found = true;
	return 0;
}

/* 2^53: a double holds every whole number up to here. */
#define COUNT_MAX 9007199254740992.0

/* Reads a number that must be whole and must be there if the metric is. */
static int get_count(
	const struct doc *d, const char *name, const char *key, double *out, bool *found)
{
	struct metric m;

	*found = false;
	if (find_values(d, name, &m) < 0)
		return -1;
	if (!m.values)
		return 0;
	if (get_number(&m, key, COUNT_MAX, out, found) < 0)
		return -1;
	if (*found && *out != floor(*out))
		return err_set(d->err, "%s.%s is %g, not a whole number", name, key, *out);
	if (!*found)
		return err_set(d->err, "%s has no %s", name, key);
	return 0;
}

#define DAYS_MS (366.0 * 86400e3)

static int get_quantiles(const struct metric *m, struct trend *t)
{
	bool found;
	char key[16];

	for (int i = 0; i < QUANTILES; i++) {
		snprintf(key, sizeof(key), m->d->shape == SHAPE_MACHINE ? "p%d" : "p(%d)", i);
		if (get_number(m, key, DAYS_MS, &t->q[i], &found) < 0)
			return -1;
		if (!found)
			return 0;
		/* k6 interpolates in floating point: equal neighbours may differ in the last
		 * bits. */
		if (i && t->q[i] < t->q[i - 1]) {
			if (t->q[i] < t->q[i - 1] * (1 - 1e-9))
				return err_set(
					m->d->err, "%s: p(%d) is below p(%d)", m->name, i, i - 1);
			t->q[i] = t->q[i - 1];
		}
	}
	t->has_quantiles = true;
	return 0;
}

static int get_trend(const struct doc *d, const char *name, struct trend *t)
{
	const bool machine = d->shape == SHAPE_MACHINE;
	bool avg, med, p95, p99, count, max;
	struct metric m;

	memset(t, 0, sizeof(*t));
	t->avg = t->med = t->p95 = t->p99 = t->count = t->max = -1;
	if (find_values(d, name, &m) < 0)
		return -1;
	if (!m.values)
		return 0;
	if (get_number(&m, "avg", DAYS_MS, &t->avg, &avg) < 0 ||
		get_number(&m, "med", DAYS_MS, &t->med, &med) < 0 ||
		get_number(&m, machine ? "p95" : "p(95)", DAYS_MS, &t->p95, &p95) < 0 ||
		get_number(&m, machine ? "p99" : "p(99)", DAYS_MS, &t->p99, &p99) < 0 ||
		get_number(&m, "max", DAYS_MS, &t->max, &max) < 0 ||
		get_number(&m, "count", COUNT_MAX, &t->count, &count) < 0 ||
		get_quantiles(&m, t) < 0)
		return -1;
	if ((med && p95 && t->med > t->p95 * (1 + 1e-9)) ||
		(p95 && p99 && t->p95 > t->p99 * (1 + 1e-9)))
		return err_set(d->err, "%s: the percentiles are out of order", name);
	t->present = avg || med;
	return 0;
}

/* Returns the share of samples that are at most x, by linear interpolation between the
 * percentiles. */
static double rank_of(const double *q, double x)
{
	int lo = 0, hi = QUANTILES - 1;

	if (x < q[0])
		return 0;
	if (x >= q[hi])
		return 1;
	while (hi - lo > 1) {
		int mid = (lo + hi) / 2;

		if (q[mid] <= x)
			lo = mid;
		else
			hi = mid;
	}
	return (lo + (x - q[lo]) / (q[hi] - q[lo])) / (QUANTILES - 1);
}

/*
 * Corrects the interval of percentiles between unanswered and answered samples.  If all
 * unanswered samples lie below the answered ones (refused: 0 ms) or above them (timed out), one
 * interval spans the gap between the two and has no sample inside.  The answered samples at the
 * end of the interval are assumed to have the density of the next interval.
 */
static void step_over_gap(
	const struct trend *all, double n, const struct trend *none, double n0, double *out)
{
	const int last = QUANTILES - 1;
	const double step = (n - 1) / last; /* ranks from one percentile to the next */
	int above = (int)ceil(n0 / step), below = (int)floor((n - n0 - 1) / step);

	if (above < last && none->q[last] < all->q[above]) {
		double slope = (all->q[above + 1] - all->q[above]) / step;

		for (int i = last; i >= 0; i--) {
			double rank = n0 + (double)i / last * (n - n0 - 1);

			if (rank < above * step)
				out[i] = fmax(none->q[last],
					all->q[above] - (above * step - rank) * slope);
		}
	} else if (below > 0 && none->q[0] > all->q[below]) {
		double slope = (all->q[below] - all->q[below - 1]) / step;

		for (int i = 0; i <= last; i++) {
			double rank = (double)i / last * (n - n0 - 1);

			if (rank > below * step)
				out[i] = fmin(
					none->q[0], all->q[below] + (rank - below * step) * slope);
		}
	}
}

/*
 * Removes the unanswered samples from the distribution of all.  k6 counts a refused connection
 * as 0 ms and a timed-out request by its waiting time; neither is a latency.  The distribution
 * of the answered samples is (n F(x) - n0 F0(x)) / (n - n0), inverted by bisection at each
 * percentile.  k6's percentiles are exact at whole ranks, so the error is at most one percentile
 * of the rank among all.  Used only if some requests, but not all, are unanswered, and there are
 * too many to reconstruct each sample (quantiles_subtract()).
 */
static void subtract_unanswered(
	const struct trend *all, double n, const struct trend *none, double n0, double *out)
{
	double floor_ms = 0;

	for (int i = 0; i < QUANTILES; i++) {
		double want = (double)i / (QUANTILES - 1);
		double lo = floor_ms, hi = all->q[QUANTILES - 1];

		for (int step = 0; step < 60 && hi - lo > 1e-9; step++) {
			double mid = (lo + hi) / 2;
			double rank =
				(n * rank_of(all->q, mid) - n0 * rank_of(none->q, mid)) / (n - n0);

			/* p0: the largest value with no sample below it. */
			if (i == 0 ? rank <= 0 : rank < want)
				lo = mid;
			else
				hi = mid;
		}
		out[i] = i == 0 ? hi : fmax(hi, out[i - 1]);
		floor_ms = lo;
	}
	step_over_gap(all, n, none, n0, out);
}

/* Fills out with the percentiles of the answered requests. */
static void find_answered(
	const struct trend *all, double n, const struct trend *none, double n0, double *out)
{
	struct quantiles a = {.count = n}, b = {.count = n0}, left;

	memcpy(a.q, all->q, sizeof(a.q));
	memcpy(b.q, none->q, sizeof(b.q));
	if (quantiles_subtract(&a, &b, &left))
		memcpy(out, left.q, sizeof(left.q));
	else
		subtract_unanswered(all, n, none, n0, out);
}

/* Fills the latencies of answered requests in r. */
static int take_latency(const struct doc *d, double reqs, struct run *r)
{
	struct trend all, none;
	double n0;

	if (get_trend(d, "http_req_duration", &all) < 0 ||
		get_trend(d, SCRIPT_UNANSWERED, &none) < 0)
		return -1;
	if (!all.present || reqs <= 0)
		return 0;
	n0 = none.present && none.count > 0 ? none.count : 0;
	/* A script in CommonJS has no such sub-metric.  No response takes 0 ms: if the slowest
	 * request did, all are unanswered. */
	if (!none.present && all.max == 0)
		n0 = reqs;
	if (n0 > reqs)
		return err_set(
			d->err, "more unanswered requests (%g) than requests (%g)", n0, reqs);
	r->http_reqs_answered = reqs - n0;
	if (n0 >= reqs)
		return 0;
	if (n0 > 0 && all.has_quantiles && none.has_quantiles) {
		r->quantiles = x_calloc(QUANTILES, sizeof(*r->quantiles));
		find_answered(&all, reqs, &none, n0, r->quantiles);
		all.med = r->quantiles[50];
		all.p95 = r->quantiles[95];
		all.p99 = r->quantiles[99];
		if (all.avg >= 0 && none.avg >= 0)
			all.avg = fmax(0, (all.avg * reqs - none.avg * n0) / (reqs - n0));
	} else if (all.has_quantiles) {
		r->quantiles = x_calloc(QUANTILES, sizeof(*r->quantiles));
		memcpy(r->quantiles, all.q, sizeof(all.q));
	}
	if (all.med >= 0)
		r->p50_ms = all.med;
	if (all.p95 >= 0)
		r->p95_ms = all.p95;
	if (all.p99 >= 0)
		r->p99_ms = all.p99;
	if (all.avg >= 0)
		r->avg_ms = all.avg;
	return 0;
}

static int take_counts(const struct doc *d, double run_s, double *reqs, struct run *r)
{
	struct metric m;
	double v;
	bool found;

	*reqs = 0;
	if (get_count(d, "http_reqs", "count", &v, &found) < 0)
		return -1;
	if (found) {
		*reqs = v;
		r->http_reqs = v;
		if (run_s > 0)
			r->rps = v / run_s;
	}
	if (get_count(d, "data_received", "count", &v, &found) < 0)
		return -1;
	if (found)
		r->data_received_bytes = v;
	if (get_count(d, "iterations", "count", &v, &found) < 0)
		return -1;
	if (found)
		r->iterations = v;
	if (find_values(d, "http_req_failed", &m) < 0)
		return -1;
	if (m.values) {
		if (get_number(&m, d->shape == SHAPE_EXPORT ? "value" : "rate", 1, &v, &found) < 0)
			return -1;
		if (found)
			r->error_rate = v;
	}
	/* In a run of less than a second k6 reports no vus: absent, not 0. */
	if (find_values(d, "vus_max", &m) < 0)
		return -1;
	if (m.values && get_number(&m, "max", 1e9, &v, &found) < 0)
		return -1;
	if (m.values && found)
		r->vus = v;
	return 0;
}

static int take_checks(const struct doc *d, struct run *r)
{
	double passed = 0, failed = 0, total = 0;
	bool found;

	if (d->shape == SHAPE_MACHINE) {
		if (!find_metric(d, "checks_succeeded"))
			return 0;
		if (get_count(d, "checks_succeeded", "matches", &passed, &found) < 0 ||
			get_count(d, "checks_succeeded", "total", &total, &found) < 0)
			return -1;
		if (passed > total)
			return err_set(d->err, "more checks passed than there were");
		failed = total - passed;
	} else {
		if (!find_metric(d, "checks"))
			return 0;
		if (get_count(d, "checks", "passes", &passed, &found) < 0 ||
			get_count(d, "checks", "fails", &failed, &found) < 0)
			return -1;
	}
	r->checks_passed = passed;
	r->checks_failed = failed;
	return 0;
}

static int take_thresholds_of(
	const struct doc *d, const char *name, const json_t *metric, struct run *r)
{
	json_t *list = json_object_get(metric, "thresholds"), *v;
	const char *expression;

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_object(list))
		return err_set(d->err, "%s.thresholds is not an object", name);
	json_object_foreach (list, expression, v) {
		/* The export has true for crossed, handleSummary {"ok": true} for passed. */
		const json_t *flag = d->shape == SHAPE_EXPORT ? v : json_object_get(v, "ok");

		if (!json_is_boolean(flag))
			return err_set(d->err, "%s: threshold %.60s is neither true nor false",
				name, expression);
		run_add_threshold(r, name, expression,
			d->shape == SHAPE_EXPORT ? json_is_false(flag) : json_is_true(flag));
	}
	return 0;
}

static int take_thresholds(const struct doc *d, struct run *r)
{
	const char *name;
	json_t *m;
	size_t i;

	if (d->shape == SHAPE_MACHINE) {
		json_array_foreach (d->metrics, i, m) {
			if (take_thresholds_of(d, json_get_text(m, "name", ""), m, r) < 0)
				return -1;
		}
		return 0;
	}
	json_object_foreach ((json_t *)(uintptr_t)d->metrics, name, m) {
		if (take_thresholds_of(d, name, m, r) < 0)
			return -1;
	}
	return 0;
}

static int find_shape(struct doc *d, const json_t *root)
{
	const json_t *results = json_object_get(root, "results");
	json_t *m;
	const char *name;

	if (json_is_object(results) && json_is_array(json_object_get(results, "metrics"))) {
		d->shape = SHAPE_MACHINE;
		d->metrics = json_object_get(results, "metrics");
		d->check_metrics = json_object_get(json_object_get(results, "checks"), "metrics");
		return 0;
	}
	d->metrics = json_object_get(root, "metrics");
	if (!json_is_object(d->metrics))
		return err_set(d->err, "there is no metrics object");
	d->shape = SHAPE_EXPORT;
	json_object_foreach ((json_t *)(uintptr_t)d->metrics, name, m) {
		if (json_is_object(json_object_get(m, "values"))) {
			d->shape = SHAPE_HANDLE;
			break;
		}
	}
	return 0;
}

static int take_all(const struct doc *d, double run_s, struct run *r)
{
	double reqs;

	if (take_counts(d, run_s, &reqs, r) < 0 || take_latency(d, reqs, r) < 0 ||
		take_checks(d, r) < 0 || take_thresholds(d, r) < 0)
		return -1;
	return 0;
}

int summary_parse(const char *data, size_t len, double run_s, struct run *r, struct err *err)
{
	_cleanup_json_ json_t *root = NULL;
	struct doc d = {.err = err};
	json_error_t jerr;

	if (len == 0)
		return err_set(err, "the summary is empty");
	if (len > SUMMARY_MAX_BYTES)
		return err_set(err, "the summary has more than %d MiB", SUMMARY_MAX_BYTES >> 20);
	root = json_loadb(data, len, JSON_REJECT_DUPLICATES, &jerr);
	if (!root)
		return err_set(err, "the summary is not complete JSON: %s at line %d", jerr.text,
			jerr.line);
	if (find_shape(&d, root) < 0 || take_all(&d, run_s, r) < 0) {
		run_clear_group(r, RUN_METRICS);
		free(r->quantiles);
		r->quantiles = NULL;
		return err_prefix(err, "the summary makes no sense");
	}
	return 0;
}

char *summary_trend_stats(void)
{
	char *list = NULL;
	size_t size;
	FILE *f = open_memstream(&list, &size);

	if (!f)
		return x_strdup("avg,min,med,max,p(95),p(99),count");
	fputs("avg,min,med,max,count", f);
	for (int i = 0; i < QUANTILES; i++)
		fprintf(f, ",p(%d)", i);
	fclose(f);
	return list;
}
