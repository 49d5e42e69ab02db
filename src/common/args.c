/* SPDX-License-Identifier: MIT */
/* Before there is a log: plain lines on standard output and standard error. */
#include "config.h"

#include "common/args.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_BAD_USAGE 2

void args_end(int c, const char *program, const char *usage)
{
	if (c == 'V') {
		printf("%s %s\n", program, PACKAGE_VERSION);
		exit(0);
	}
	if (c == 'h') {
		fputs(usage, stdout);
		exit(0);
	}
	fprintf(stderr, "Try '%s --help'.\n", program);
	exit(EXIT_BAD_USAGE);
}

void args_none_left(int argc, char **argv, const char *program)
{
	if (optind >= argc)
		return;
	fprintf(stderr, "%s: unexpected argument \"%s\"\nTry '%s --help'.\n", program, argv[optind],
		program);
	exit(EXIT_BAD_USAGE);
}
