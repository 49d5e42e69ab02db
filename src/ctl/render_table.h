/* SPDX-License-Identifier: MIT */
/* Tables and lines that fit the terminal; with no terminal everything is printed whole. */
#ifndef K6FLEET_CTL_RENDER_TABLE_H
#define K6FLEET_CTL_RENDER_TABLE_H

#include "ctl/ctl.h"

#define TABLE_CELL_MAX 256
#define TABLE_COLUMNS_MAX 12

struct table_column {
	const char *head;
	bool right; /* numbers */
	/* What is too wide is cut down to this, 0: never. */
	unsigned char least;
	/* And if that is not enough, columns are left out, the highest number first; 0: never. */
	unsigned char leave_out;
};

struct table {
	struct ctl *ctl;
	const struct table_column *columns;
	size_t count, rows, room;
	char (*cells)[TABLE_CELL_MAX];
};

/* One cell for each column; copied, with control characters as '?'. */
void table_row(struct table *t, const char *const cells[]);
/* Prints it below its head and frees the rows. */
void table_print(struct table *t);

/* Finds out how wide the terminal is. */
void render_measure(struct ctl *ctl);
/* A line of text, cleaned; on a terminal folded between words. */
void render_line(struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Columns of a terminal that a UTF-8 string takes. */
size_t render_width(const char *s);
/* As many bytes of it as fit into so many columns. */
size_t render_fit(const char *s, size_t columns);

#endif
