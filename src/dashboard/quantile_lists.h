/* SPDX-License-Identifier: MIT */
/*
 * The lists of 101 numbers in a body of runs, read without a JSON object for each number: they are most of the body,
 * and those objects were half of the work of taking a run in.  Pure.
 */
#ifndef K6FLEET_DASHBOARD_QUANTILE_LISTS_H
#define K6FLEET_DASHBOARD_QUANTILE_LISTS_H

#include <stdbool.h>
#include <stddef.h>

struct quantile_lists {
	char *text; /* the body with its number in `lists` in place of each list */
	size_t len;
	double **lists; /* 101 numbers each that do not fall; who takes one leaves NULL */
	size_t count, cap;
};

/*
 * False when the body has to be read as it is: something in it could be taken for such a number.  A list that is
 * not well-formed stays where it is, for the reader of JSON to complain about; so does everything else.
 */
bool quantile_lists_lift(struct quantile_lists *l, const char *body, size_t len);
/* The list of that number, the caller's to free, or NULL. */
double *quantile_lists_take(struct quantile_lists *l, long long number);
void quantile_lists_free(struct quantile_lists *l);

#endif
