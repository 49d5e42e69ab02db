/* SPDX-License-Identifier: MIT */
/*
 * k6's end-of-test summary: bytes in, metrics or a precise error out.  Pure.  The bytes are
 * hostile: any script can forge them through handleSummary(), so every type and range is
 * checked before a number is believed.
 */
#ifndef K6FLEET_SUMMARY_H
#define K6FLEET_SUMMARY_H

#include <stddef.h>

#include "common/err.h"
#include "common/run.h"

/* Larger ones are refused: thousands of metrics are a mistake of the script, and jansson needs
 * ten times the text in memory. */
#define SUMMARY_MAX_BYTES (4 * 1024 * 1024)

/*
 * Reads --summary-export of k6 v0.49 to v2, the data of handleSummary(), or the machine-readable
 * summary of v1 and v2.  Fills r's metrics, quantiles and thresholds; what k6 did not report
 * stays absent.  run_s are the seconds that rps is counted over.  On error r's metrics are
 * cleared and err says what is wrong.
 */
int summary_parse(const char *data, size_t len, double run_s, struct run *r, struct err *err);

/* The list for --summary-trend-stats that gives every quantile; the caller frees it. */
char *summary_trend_stats(void);

#endif
