/* SPDX-License-Identifier: MIT */
/*
 * Configuration files by a table of options: a row has the keyword, the name in the environment,
 * the default, the type and the limits.  optab_load() reads a file with libconfuse, then the
 * environment, into the caller's struct.  Each error names file and line, the key, the value and
 * what is allowed. The tables themselves are in conf.c and conf_target.c (k6fleetd) and in the
 * dashboard's settings.c.
 */
#ifndef K6FLEET_OPTAB_H
#define K6FLEET_OPTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"

enum opt_type {
	OPT_STR,      /* char * */
	OPT_PATH,     /* char *, absolute or empty */
	OPT_INT,      /* int64_t */
	OPT_BOOL,     /* bool */
	OPT_DURATION, /* int64_t, ms */
	OPT_SIZE,     /* int64_t, bytes */
	OPT_CHOICE,   /* int, index into choices */
	OPT_LIST,     /* struct opt_list */
	OPT_CHECKED,  /* char * that opt.check has accepted */
	OPT_ITEMS,    /* a list that the caller keeps in a form of its own, by opt.items */
};

struct opt_list {
	char **items;
	size_t count;
};

struct opt;

/* How a list of type OPT_ITEMS is kept.  The functions get the row, so that row->arg tells lists
 * apart. */
struct opt_items {
	/* Appends one item as written.  A place of zero bytes is an empty list.  Returns 0, or
	 * -1 and err. */
	int (*add)(const struct opt *row, void *place, const char *item, struct err *err);
	/* Empties the list; add() may be called again. */
	void (*clear)(const struct opt *row, void *place);
	/* Calls print() for each item, in the form that add() takes. */
	void (*each)(const struct opt *row, const void *place,
		void (*print)(void *arg, const char *item), void *arg);
};

struct opt {
	const char *section; /* NULL: top level */
	const char *key;
	const char *
		env; /* NULL: none; a duration whose name ends in _MS is a number of milliseconds */
	enum opt_type type;
	size_t offset; /* in the caller's struct */
	const char *fallback;
	/* Of INT, DURATION (ms), SIZE (bytes); both 0: any from 0.  max of STR, CHECKED: bytes;
	 * 0: any. */
	int64_t min, max;
	const char *const *choices;
	int (*check)(const char *value, struct err *err); /* returns 0, or -1 and err */
	int64_t effect; /* the caller's own: when a change takes effect */
	const struct opt_items *items;
	const void *arg;    /* the caller's own, for items */
	bool zero_is_unset; /* INT, DURATION: 0 is no value, and is not printed */
	bool hidden;        /* the caller's own: messages do not show the value */
	/* The caller's own: whether the difference between two of its structs cannot come into
	 * effect in a running program; NULL: it always can. */
	bool (*fixed)(const void *running, const void *now);
	bool quote; /* errors of check() get the value in front */
};

/* A titled section that may be repeated: target "name" { ... }.  begin() returns the struct that
 * takes the options of the section, and owns it; end() checks it as a whole and returns 0, or -1
 * and err.  ctx is the caller's struct. */
struct opt_group {
	const char *name;
	const struct opt *opts;
	size_t count;
	void *(*begin)(void *ctx, const char *title);
	int (*end)(void *ctx, void *item, struct err *err);
};

struct opt_table {
	const struct opt *opts;
	size_t count;
	const struct opt_group *group; /* NULL: none */
};

/* Sets the defaults, reads f (NULL: no file), which messages call `name`, and with_environment
 * the environment. Returns 0, or -1 and err; the caller frees what conf owns in either case.
 * For one thread at a time. */
int optab_load(const struct opt_table *table, void *conf, FILE *f, const char *name,
	bool with_environment, struct err *err);
/* Prints the options in a form that optab_load() reads back to the same values; texts that are
 * NULL, and 0 where it is no value, are left out. */
void optab_print(
	const struct opt *opts, size_t count, const void *conf, const char *indent, FILE *out);
/* The value as optab_print() writes it; the caller frees. */
char *optab_text(const struct opt *opt, const void *conf);
/* Replaces the value in `to` with a copy of that in `from`. */
void optab_copy(const struct opt *opt, void *to, const void *from);
/* Frees all values. */
void optab_free(const struct opt *opts, size_t count, void *conf);
/* Frees one value; its place is then empty. */
void optab_clear(const struct opt *opt, void *conf);
/* Returns whether the option is a list. */
bool optab_is_list(const struct opt *opt);
/* Parses one value into its place; a list gets one more item.  Returns 0, or -1 and err with the
 * place unchanged. */
int optab_set(const struct opt *opt, void *conf, const char *value, struct err *err);

void opt_list_add(struct opt_list *list, const char *item);
void opt_list_clear(struct opt_list *list);
/* Prints the value in single quotes, escaped for libconfuse. */
void optab_print_quoted(const char *value, FILE *out);

#endif
