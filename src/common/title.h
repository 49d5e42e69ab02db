/* SPDX-License-Identifier: MIT */
/*
 * The process title that ps(1) shows.  It is written over the memory of argv and the
 * environment, so title_init() first moves the environment to the heap.  Not with libbsd's
 * setproctitle(): that has no means to make room for a longer title, and would be another
 * library for 130 lines.
 */
#ifndef K6FLEET_TITLE_H
#define K6FLEET_TITLE_H

#include "common/err.h"

/* Must be called first in main().  If the memory is too small for a useful title, the program
 * executes itself once more with padding in the environment; argv stays as it was. */
void title_init(int argc, char **argv);
/* Sets the title, all of it, and the short name comm (15 bytes), which ps -e shows. */
void title_set(const char *comm, const char *fmt, ...) _printf_(2, 3);
/* Removes a variable with a secret from the environment and overwrites its value.  The first
 * title_set() overwrites the original bytes. */
void title_forget_env(const char *name);

#endif
