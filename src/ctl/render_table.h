/* SPDX-License-Identifier: MIT */
/* Tables and lines that fit the terminal; without a terminal everything is printed whole. */
#ifndef K6FLEET_CTL_RENDER_TABLE_H
#define K6FLEET_CTL_RENDER_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/screen.h"

#define TABLE_CELL_MAX 256
#define TABLE_COLUMNS_MAX 12

struct table_column {
	const char *head;
	bool right; /* numbers */
	/* On a narrow terminal the widest column is cut down to so many characters; 0: never
	 * cut. */
	unsigned char least;
	/* If cutting is not enough, columns are left out, the highest number first; 0: never. */
	unsigned char leave_out;
};

/* Starts with screen, columns and their count, and zeroes. */
struct table {
	struct screen *screen;
	const struct table_column *columns;
	size_t count, rows, room;
	char (*cells)[TABLE_CELL_MAX];
};

/* Adds a row: a cell for each column, copied, with control characters as '?'. */
void render_table_row(struct table *t, const char *const cells[]);
/* Prints the rows below their head and frees them. */
void render_table(struct table *t);

/* Finds out how wide and high the terminal is. */
void render_measure(struct screen *screen);
/* Between these two calls, printed lines replace those on the terminal. */
void render_screen_begin(struct screen *screen);
void render_screen_end(struct screen *screen);
/* Prints a line of text, cleaned; on a terminal folded between words. */
void render_line(struct screen *screen, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Returns the columns of a terminal that a UTF-8 string takes. */
size_t render_width(const char *s);
/* Returns how many of its bytes fit into so many columns. */
size_t render_fit(const char *s, size_t columns);
/* Returns whether a terminal would obey the character at s. */
bool render_is_control(const char *s);
/* Replaces such characters by '?'. */
void render_clean(char *s);

#endif
