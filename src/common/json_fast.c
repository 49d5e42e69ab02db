/* SPDX-License-Identifier: MIT */
/* Exact where it is quick, and strtod() where it is not. */
#include "common/json_fast.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define EXACT_DIGITS 15 /* a mantissa of up to 15 digits is exact in a double, */
#define EXACT_TENS 22   /* and so is 10^22: one division rounds once (IEEE 754) */
#define NUMBER_MAX 40

static bool is_digit(const char *p, const char *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

struct scan {
	uint64_t mantissa; /* of the first EXACT_DIGITS */
	int digits, decimals;
};

/* Returns the place behind one or more digits; NULL: there are none.  Inlined, so that the scan
 * stays in registers: an upload of a large fleet has 100000 numbers. */
__attribute__((always_inline)) static inline const char *scan_digits(
	const char *p, const char *end, struct scan *s)
{
	if (!is_digit(p, end))
		return NULL;
	for (; is_digit(p, end); p++, s->digits++) {
		if (s->digits < EXACT_DIGITS)
			s->mantissa = 10 * s->mantissa + (uint64_t)(*p - '0');
	}
	return p;
}

/* Returns the place behind the mantissa at p, integer and fraction; NULL: there is none. */
__attribute__((always_inline)) static inline const char *scan_mantissa(
	const char *p, const char *end, struct scan *s)
{
	const char *behind;

	if (p < end && *p == '0' && is_digit(p + 1, end))
		return NULL;
	p = scan_digits(p, end, s);
	if (!p || p == end || *p != '.')
		return p;
	behind = scan_digits(p + 1, end, s);
	if (behind)
		s->decimals = (int)(behind - p - 1);
	return behind;
}

/* p is behind the 'e'. */
static const char *scan_exponent(const char *p, const char *end)
{
	struct scan ignored = {0};

	if (p < end && (*p == '+' || *p == '-'))
		p++;
	return scan_digits(p, end, &ignored);
}

const char *json_fast_number(const char *p, const char *end, double *out)
{
	static const double tens[EXACT_TENS + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8,
		1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	const char *begin = p;
	struct scan s = {0};
	char copy[NUMBER_MAX + 1];
	bool exponent;

	p = scan_mantissa(p, end, &s);
	if (!p)
		return NULL;
	exponent = p < end && (*p == 'e' || *p == 'E');
	if (!exponent && s.digits <= EXACT_DIGITS && s.decimals <= EXACT_TENS) {
		*out = (double)s.mantissa / tens[s.decimals];
		return p;
	}
	if (exponent)
		p = scan_exponent(p + 1, end);
	if (!p || p - begin > NUMBER_MAX)
		return NULL;
	memcpy(copy, begin, (size_t)(p - begin));
	copy[p - begin] = '\0';
	*out = strtod(copy, NULL);
	return isfinite(*out) ? p : NULL;
}

json_t *json_short_real(double value, int digits)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*g", digits, value);
	return json_real(strtod(text, NULL));
}

char *json_fast_data(const char *line)
{
	static const char head[] = "{\"ok\":true,\"data\":";
	size_t len = strlen(line);

	if (len <= sizeof(head) || strncmp(line, head, sizeof(head) - 1) != 0 ||
		line[len - 1] != '}')
		return NULL;
	return x_strndup(line + sizeof(head) - 1, len - sizeof(head));
}
