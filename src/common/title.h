/* SPDX-License-Identifier: MIT */
/*
 * The process title that ps(1) shows.  Overwrites the area of argv and the environment, which
 * is why title_init() first moves the environment to the heap.
 */
#ifndef K6FLEET_TITLE_H
#define K6FLEET_TITLE_H

#include "common/err.h"

/* Call first thing in main().  If the area is too small for a useful title the program starts
 * itself again once, with padding in the environment; argv stays as it was. */
void title_init(int argc, char **argv);
/* "k6fleetd: " is the caller's to write.  Also sets the short name, which ps -e shows. */
void title_set(const char *comm, const char *fmt, ...) _printf_(2, 3);
/* Removes a variable that held a secret and overwrites its value.  The original bytes of the
 * environment are overwritten by the first title_set(). */
void title_forget_env(const char *name);

#endif
