/* SPDX-License-Identifier: MIT */
/*
 * The error contract: a function that can fail returns 0 or -1 and takes a struct err last.
 * The lowest layer sets it, each caller may put its context in front, only the top of a
 * program logs it.  Nothing here logs, allocates or exits.
 */
#ifndef K6FLEET_ERR_H
#define K6FLEET_ERR_H

#define ERR_MAX 1024

struct err {
	char msg[ERR_MAX];
};

#define _printf_(a, b) __attribute__((format(printf, a, b)))

/* Each returns -1, so that `return err_set(...)` reads well.  A NULL err is allowed. */
int err_set(struct err *err, const char *fmt, ...) _printf_(2, 3);
/* As err_set, with ": " and the text of errnum appended. */
int err_sys(struct err *err, int errnum, const char *fmt, ...) _printf_(3, 4);
/* Puts "context: " in front of what the err already says. */
int err_prefix(struct err *err, const char *fmt, ...) _printf_(2, 3);

#endif
