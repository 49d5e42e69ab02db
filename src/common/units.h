/* SPDX-License-Identifier: MIT */
/*
 * Parses and prints durations (30s), sizes (256M) and times (RFC 3339 UTC with milliseconds).
 * Pure, except for the two functions with "now" in their names.  The parsers return 0, or -1 and
 * err, which quotes the text.
 */
#ifndef K6FLEET_UNITS_H
#define K6FLEET_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define UNITS_TIME_MAX 32
#define UNITS_TEXT_MAX 32

/* "250ms", "30s", "5m", "1h", "30d" or "0". */
int units_parse_duration(const char *text, int64_t *out_ms, struct err *err);
/* "100", "512K", "64M", "1G", "1T": powers of 1024.  A B or iB may follow the letter. */
int units_parse_size(const char *text, int64_t *out_bytes, struct err *err);
/* Parses a decimal integer with an optional minus sign; text behind it is an error.  Returns 0,
 * or -1 and err. */
int units_parse_int(const char *text, int64_t *out, struct err *err);
/* Write the shortest text that the parser reads back to the same value.  Return buf, which has
 * UNITS_TEXT_MAX bytes. */
const char *units_format_duration(int64_t ms, char *buf);
const char *units_format_size(int64_t bytes, char *buf);

/* Writes milliseconds since the epoch as "2026-11-23T21:54:00.123Z".  Returns buf, which has
 * UNITS_TIME_MAX bytes. */
const char *units_format_time(int64_t epoch_ms, char *buf);
/* Parses an RFC 3339 time with any zone; a fraction of a second is optional and cut to
 * milliseconds. */
int units_parse_time(const char *text, int64_t *out_epoch_ms, struct err *err);

/* CLOCK_REALTIME and CLOCK_MONOTONIC in milliseconds. */
int64_t units_now_wall_ms(void);
int64_t units_now_mono_ms(void);

#endif
