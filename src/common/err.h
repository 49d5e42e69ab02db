/* SPDX-License-Identifier: MIT */
/*
 * The error contract: a function that can fail returns 0 or -1 and takes a struct err last.
 * The lowest layer sets it, each caller may put its context in front, only the top of a
 * program logs it.  Callers decide by the code, never by the text.  Nothing here logs,
 * allocates or exits.
 */
#ifndef K6FLEET_ERR_H
#define K6FLEET_ERR_H

#define ERR_MAX 1024

/* X(name, meaning).  A row is added when a caller has to tell its kind of error from all others. */
#define ERR_CODES(X) \
	X(OTHER, "none of the kinds below; the value of err_set()") \
	X(SYSTEM, "a system call failed with an errno that has no row here") \
	X(NO_SPACE, "the disk or the quota is full") \
	X(IO, "the device failed to read or to write") \
	X(ACCESS, "the permission is missing") \
	X(READ_ONLY, "the file system or the database is read-only") \
	X(NOT_FOUND, "the file or the object does not exist") \
	X(EXISTS, "the file or the object exists already") \
	X(BUSY, "somebody else uses it; a later attempt may succeed") \
	X(CORRUPT, "stored data are damaged") \
	X(NEWER, "stored data were written by a newer version") \
	X(TOO_LARGE, "the data exceed a limit of size") \
	X(MALFORMED, "the input has the wrong type or form") \
	X(OUT_OF_RANGE, "the input is well-formed and its value is not allowed") \
	X(UNKNOWN_FIELD, "the input has a field that does not exist") \
	X(UNSUPPORTED, "the kernel or a library lacks the feature") \
	X(FORBIDDEN, "the configuration forbids it, as allowed_hosts does")

enum err_code {
#define ERR_CODE(name, meaning) ERR_##name,
	ERR_CODES(ERR_CODE)
#undef ERR_CODE
		ERR_CODE_COUNT,
};

struct err {
	enum err_code code; /* valid only after a failure */
	char msg[ERR_MAX];
};

#define _printf_(a, b) __attribute__((format(printf, a, b)))

/* These four set code and message and return -1, so that `return err_set(...)` reads well.  A
 * NULL err is allowed; a text that does not fit is cut. */
/* The code becomes ERR_OTHER. */
int err_set(struct err *err, const char *fmt, ...) _printf_(2, 3);
int err_code_set(struct err *err, enum err_code code, const char *fmt, ...) _printf_(3, 4);
/* Appends ": " and the text of errnum; the code becomes err_code_of_errno(errnum). */
int err_sys(struct err *err, int errnum, const char *fmt, ...) _printf_(3, 4);
/* Puts "context: " in front of the message and keeps the code. */
int err_prefix(struct err *err, const char *fmt, ...) _printf_(2, 3);

/* ERR_NO_SPACE, ERR_IO, ERR_ACCESS ... for an errno; ERR_SYSTEM for one without a row of its
 * own. */
enum err_code err_code_of_errno(int errnum);
/* The name of the row, as in "NO_SPACE"; "?" for a number that is no code.  Static. */
const char *err_code_name(enum err_code code);

#endif
