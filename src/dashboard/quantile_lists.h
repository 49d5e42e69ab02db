/* SPDX-License-Identifier: MIT */
/*
 * Reads the lists of 101 numbers in a body of runs without a JSON object for each number.  The
 * lists are most of the body, and these objects were half of the work of taking a run in.  Pure.
 */
#ifndef K6FLEET_DASHBOARD_QUANTILE_LISTS_H
#define K6FLEET_DASHBOARD_QUANTILE_LISTS_H

#include <stdbool.h>
#include <stddef.h>

struct quantile_lists {
	char *text; /* the body, each list replaced by its index in `lists` */
	size_t len;
	double **lists; /* each has 101 ascending numbers; NULL: the list was taken */
	size_t count, cap;
};

/*
 * Lifts the lists out of a body.  Returns true with l filled, which quantile_lists_free()
 * empties.  Returns false, with nothing to free, when the body must be parsed as it is, because
 * something in it could be mistaken for an index.  A list that is not well-formed stays in the
 * text, for the JSON parser to refuse.
 */
bool quantile_lists_lift(struct quantile_lists *l, const char *body, size_t len);
/* Returns the list with this index, which the caller frees; NULL when there is none or it was
 * taken. */
double *quantile_lists_take(struct quantile_lists *l, long long number);
void quantile_lists_free(struct quantile_lists *l);

#endif
