/* SPDX-License-Identifier: MIT */
/* The headers that cmocka needs before it, and helpers of all unit tests. */
#ifndef K6FLEET_TEST_H
#define K6FLEET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/mem.h"

/* TEST='*cut*' in the environment runs only the tests of a program whose names match the
 * pattern. */
static __attribute__((constructor)) void filter_tests(void)
{
	const char *pattern = getenv("TEST");

	if (pattern)
		cmocka_set_test_filter(pattern);
}

/* Returns the content of a fixture with a NUL behind it and its length in *len; the caller frees
 * it. */
static inline char *read_fixture(const char *name, size_t *len)
{
	_cleanup_free_ char *path = x_asprintf("%s/%s", FIXTURES, name);
	_cleanup_file_ FILE *f = fopen(path, "re");
	char *buf = x_calloc(1, 1 << 20);

	if (!f)
		fail_msg("cannot open %s", path);
	*len = fread(buf, 1, (1 << 20) - 1, f);
	return buf;
}

/* Compares doubles that came by the same arithmetic. */
static inline void assert_near(double a, double b, double tolerance)
{
	if (a - b > tolerance || b - a > tolerance)
		fail_msg("%.12g is not %.12g", a, b);
}

#endif
