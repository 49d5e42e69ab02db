/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units as people write them (30s, 256M), and times as records carry them
 * (RFC 3339 UTC with milliseconds).  Pure: no clock but where a name says now.
 */
#ifndef K6FLEET_UNITS_H
#define K6FLEET_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define UNITS_TIME_MAX 32
#define UNITS_TEXT_MAX 32

/* "250ms" "30s" "5m" "1h" "30d"; a bare 0 is zero.  Result in ms. */
int units_parse_duration(const char *text, int64_t *out_ms, struct err *err);
/* "64M" "1G" "512K" "100"; powers of 1024, an optional B or iB after the letter. */
int units_parse_size(const char *text, int64_t *out_bytes, struct err *err);
/* Whole decimal number, nothing before or after it. */
int units_parse_int(const char *text, int64_t *out, struct err *err);
/* Shortest text that parses back to the same value.  buf has UNITS_TEXT_MAX bytes. */
const char *units_format_duration(int64_t ms, char *buf);
const char *units_format_size(int64_t bytes, char *buf);

/* Milliseconds since the epoch <-> "2026-11-23T21:54:00.123Z".  buf has UNITS_TIME_MAX bytes. */
const char *units_format_time(int64_t epoch_ms, char *buf);
/* RFC 3339 with any zone and optional fraction. */
int units_parse_time(const char *text, int64_t *out_epoch_ms, struct err *err);

int64_t units_now_wall_ms(void);
int64_t units_now_mono_ms(void);

#endif
