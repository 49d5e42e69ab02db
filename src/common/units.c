/* SPDX-License-Identifier: MIT */
/* A text that could mean two things is refused: a duration without a unit, a size with an
 * unknown letter. */
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/limits.h"

static const struct unit {
	const char *name;
	int64_t factor;
} duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", HOUR_MS}, {"d", DAY_MS}};

static const struct unit size_units[] = {{"K", INT64_C(1) << 10}, {"M", INT64_C(1) << 20},
	{"G", INT64_C(1) << 30}, {"T", INT64_C(1) << 40}};

/* Parses the digits at the beginning of text; *rest is the text after them.  Returns -1 if there
 * are none or they are too many for an int64_t. */
static int parse_digits(const char *text, int64_t *out, const char **rest)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	*out = strtoll(text, &end, 10);
	*rest = end;
	return errno ? -1 : 0;
}

int units_parse_int(const char *text, int64_t *out, struct err *err)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	const char *rest;
	int64_t n;

	if (parse_digits(digits, &n, &rest) < 0 || *rest)
		return err_set(err, "\"%s\" is not a whole number", text);
	*out = digits == text ? n : -n;
	return 0;
}

int units_parse_duration(const char *text, int64_t *out_ms, struct err *err)
{
	const char *rest;
	int64_t n;

	if (parse_digits(text, &n, &rest) == 0) {
		if (n == 0 && !*rest) {
			*out_ms = 0;
			return 0;
		}
		for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]); i++) {
			if (strcmp(rest, duration_units[i].name) != 0)
				continue;
			if (__builtin_mul_overflow(n, duration_units[i].factor, out_ms))
				return err_set(err, "\"%s\" is too long a time", text);
			return 0;
		}
	}
	return err_set(err, "\"%s\" is not a duration: write 250ms, 30s, 5m, 1h or 30d", text);
}

int units_parse_size(const char *text, int64_t *out_bytes, struct err *err)
{
	const char *rest;
	int64_t n;

	if (parse_digits(text, &n, &rest) == 0) {
		if (!*rest || !strcmp(rest, "B")) {
			*out_bytes = n;
			return 0;
		}
		for (size_t i = 0; i < sizeof(size_units) / sizeof(size_units[0]); i++) {
			if (rest[0] != size_units[i].name[0])
				continue;
			if (rest[1] && strcmp(rest + 1, "B") != 0 && strcmp(rest + 1, "iB") != 0)
				break;
			if (__builtin_mul_overflow(n, size_units[i].factor, out_bytes))
				return err_set(err, "\"%s\" is too large a size", text);
			return 0;
		}
	}
	return err_set(err, "\"%s\" is not a size: write 4096, 64K, 256M or 1G", text);
}

const char *units_format_duration(int64_t ms, char *buf)
{
	size_t i = sizeof(duration_units) / sizeof(duration_units[0]);

	if (ms == 0)
		return memcpy(buf, "0s", sizeof("0s"));
	while (i-- > 1 && ms % duration_units[i].factor != 0)
		;
	snprintf(buf, UNITS_TEXT_MAX, "%" PRId64 "%s", ms / duration_units[i].factor,
		duration_units[i].name);
	return buf;
}

const char *units_format_size(int64_t bytes, char *buf)
{
	const char *unit = "";

	for (size_t i = 0;
		bytes && i < sizeof(size_units) / sizeof(size_units[0]) && bytes % 1024 == 0; i++) {
		bytes /= 1024;
		unit = size_units[i].name;
	}
	snprintf(buf, UNITS_TEXT_MAX, "%" PRId64 "%s", bytes, unit);
	return buf;
}

const char *units_format_time(int64_t epoch_ms, char *buf)
{
	time_t s = (time_t)(epoch_ms / 1000);
	int64_t ms = epoch_ms % 1000;
	struct tm tm;

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	gmtime_r(&s, &tm);
	/* The moduli do not change the values; they show the compiler that the text fits. */
	snprintf(buf, UNITS_TIME_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		(unsigned)(tm.tm_year + 1900) % 10000U, (unsigned)(tm.tm_mon + 1) % 100U,
		(unsigned)tm.tm_mday % 100U, (unsigned)tm.tm_hour % 100U,
		(unsigned)tm.tm_min % 100U, (unsigned)tm.tm_sec % 100U, (unsigned)ms % 1000U);
	return buf;
}

/* Parses the zone at the end of an RFC 3339 time, Z or +hh:mm, to seconds east of UTC.  Returns
 * 0, or -1. */
static int parse_zone(const char *p, int *out_s)
{
	int hour, min;
	char sign;
	int n = 0;

	if ((p[0] == 'Z' || p[0] == 'z') && !p[1]) {
		*out_s = 0;
		return 0;
	}
	if (sscanf(p, "%c%2d:%2d%n", &sign, &hour, &min, &n) != 3 || p[n] || n != 6 ||
		(sign != '+' && sign != '-') || hour < 0 || hour > 23 || min < 0 || min > 59)
		return -1;
	*out_s = (hour * 3600 + min * 60) * (sign == '-' ? -1 : 1);
	return 0;
}

int units_parse_time(const char *text, int64_t *out_epoch_ms, struct err *err)
{
	struct tm tm = {0};
	int n = 0, zone_s, ms = 0, scale = 100;
	const char *p;
	char sep;

	if (strlen(text) > 40 ||
		sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			&sep, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 7 ||
		n != 19 || !strchr("Tt ", sep))
		goto bad;
	p = text + n;
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			goto bad;
		for (; isdigit((unsigned char)*p); p++, scale /= 10)
			ms += (*p - '0') * scale;
	}
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 ||
		tm.tm_sec < 0 || tm.tm_sec > 60 || tm.tm_year < 1 || parse_zone(p, &zone_s) < 0)
		goto bad;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*out_epoch_ms = ((int64_t)timegm(&tm) - zone_s) * 1000 + ms;
	return 0;
bad:
	return err_set(err, "\"%.40s\" is not an RFC 3339 time such as 2026-01-31T12:00:00Z", text);
}

static int64_t clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t units_now_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t units_now_mono_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}
