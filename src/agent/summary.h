/* SPDX-License-Identifier: MIT */
/*
 * Reads k6's end-of-test summary: bytes in, metrics or a precise error out.  Pure.  The bytes
 * are hostile, because any script can forge them in handleSummary(): every type and range is
 * checked before a number is used.
 */
#ifndef K6FLEET_SUMMARY_H
#define K6FLEET_SUMMARY_H

#include <stddef.h>

#include "common/err.h"
#include "common/run.h"

/* A larger summary is refused: its script has thousands of metrics by mistake, and jansson needs
 * ten times the size in memory. */
#define SUMMARY_MAX_BYTES (4 * 1024 * 1024)

/*
 * Reads --summary-export of k6 v0.49 to v2, the data of handleSummary(), or the machine-readable
 * summary of v1 and v2. Fills metrics, quantiles and thresholds of r; a metric that k6 did not
 * report stays absent.  run_s: the seconds that rps is counted over.  Returns 0, or -1 and err
 * with the metrics of r cleared.
 */
int summary_parse(const char *data, size_t len, double run_s, struct run *r, struct err *err);

/* Returns the list for --summary-trend-stats that makes k6 report every quantile; the caller
 * frees it. */
char *summary_trend_stats(void);

#endif
