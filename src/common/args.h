/* SPDX-License-Identifier: MIT */
/* What the command lines of the daemons have in common, behind getopt_long(3). */
#ifndef K6FLEET_ARGS_H
#define K6FLEET_ARGS_H

/* The default of a switch over getopt_long()'s value c: 'V' prints the version and 'h' the
 * usage, both exit with 0; anything else prints where the help is and exits with 2. */
_Noreturn void args_end(int c, const char *program, const char *usage);
/* Returns if no word is left behind the options, else names it and exits with 2. */
void args_none_left(int argc, char **argv, const char *program);

#endif
