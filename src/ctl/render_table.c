/* SPDX-License-Identifier: MIT */
/* Any text may come from a target's label or from k6's output, and a terminal obeys control
 * characters, so they are printed as '?'. */
#include "ctl/render_table.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "common/mem.h"

#define GAP 2

/* Printed in place of the rest of a cell that was cut. */
static const char *ellipsis = "~";

bool render_is_control(const char *s)
{
	unsigned char c = (unsigned char)*s, next = c ? (unsigned char)s[1] : 0;

	/* ECMA-48: C0, DEL, and C1 in UTF-8. */
	return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0);
}

void render_clean(char *s)
{
	for (; *s; s++) {
		if (!render_is_control(s))
			continue;
		if ((unsigned char)*s == 0xc2)
			*s++ = '?';
		*s = '?';
	}
}

void render_measure(struct screen *screen)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size = {0};

	screen->width = screen->rows = 0;
	if (!isatty(STDOUT_FILENO))
		return;
	if (setlocale(LC_CTYPE, "") && !strcmp(nl_langinfo(CODESET), "UTF-8"))
		ellipsis = "\u2026";
	/* Labels are UTF-8 in every locale; wcwidth(3) knows their width in this one. */
	setlocale(LC_CTYPE, "C.UTF-8");
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	screen->rows = size.ws_row ? size.ws_row : 24;
	screen->width = size.ws_col ? size.ws_col : columns ? (size_t)atoi(columns) : 80;
	if (screen->width < 20)
		screen->width = 20;
}

/* Returns the bytes of the character at s, and its columns. */
static size_t step(const char *s, size_t *columns)
{
	wchar_t wc;
	mbstate_t state = {0};
	size_t n;
	int w;

	if ((unsigned char)*s < 0x80) {
		*columns = 1;
		return 1;
	}
	n = mbrtowc(&wc, s, 4, &state);
	w = n == (size_t)-1 || n == (size_t)-2 ? -1 : wcwidth(wc);

	if (w >= 0) {
		*columns = (size_t)w;
		return n;
	}
	/* Without such a locale, or for a broken character: a column for each code point. */
	for (n = 1; ((unsigned char)s[n] & 0xc0) == 0x80; n++)
		;
	*columns = 1;
	return n;
}

size_t render_width(const char *s)
{
	size_t total = 0, columns;

	for (; *s; total += columns)
		s += step(s, &columns);
	return total;
}

size_t render_fit(const char *s, size_t columns)
{
	const char *at = s;
	size_t w;

	while (*at) {
		size_t n = step(at, &w);

		if (w > columns)
			break;
		columns -= w;
		at += n;
	}
	return (size_t)(at - s);
}

/* --- lines -------------------------------------------------------------------------- */

static void end_line(struct screen *screen)
{
	/* ECMA-48, EL: erases the rest of the old line. */
	fputs(screen->drawing ? "\033[K\n" : "\n", stdout);
	screen->row++;
}

void render_screen_begin(struct screen *screen)
{
	render_measure(screen);
	screen->drawing = true;
	screen->row = 0;
	fputs("\033[H", stdout);
}

void render_screen_end(struct screen *screen)
{
	/* ECMA-48, ED: erases the old lines below. */
	fputs("\033[J", stdout);
	screen->drawing = false;
}

/* Returns whether `more` further lines would scroll the screen; the cursor needs the last row. */
static bool is_full(const struct screen *screen, size_t more)
{
	return screen->drawing && screen->row + more >= screen->rows;
}

void render_line(struct screen *screen, const char *fmt, ...)
{
	char text[2048], *at = text;
	size_t indent = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	render_clean(text);
	while (!is_full(screen, 1)) {
		size_t room = screen->width ? screen->width - indent : sizeof(text);
		size_t n = render_fit(at, room), cut = n;

		if (at[n]) {
			while (cut && at[cut] != ' ')
				cut--;
			n = cut ? cut : n;
		}
		printf("%*s%.*s", (int)indent, "", (int)n, at);
		end_line(screen);
		at += n;
		at += strspn(at, " ");
		if (!*at)
			break;
		indent = 2;
	}
}

/* --- tables ------------------------------------------------------------------------- */

void render_table_row(struct table *t, const char *const cells[])
{
	if (t->rows == t->room) {
		t->room = t->room ? 2 * t->room : 16;
		t->cells = x_realloc(t->cells, t->room * t->count, sizeof(*t->cells));
	}
	for (size_t i = 0; i < t->count; i++) {
		char *cell = t->cells[t->rows * t->count + i];
		size_t len = strnlen(cells[i], TABLE_CELL_MAX - 1);

		memcpy(cell, cells[i], len);
		cell[len] = '\0';
		render_clean(cell);
	}
	t->rows++;
}

static const char *colour_of(const char *cell)
{
	static const char *const table[][2] = {{"success", "32"}, {"running", "36"},
		{"failed", "33"}, {"error", "31"}, {"backoff", "31"}, {"draining", "33"}};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!strcmp(cell, table[i][0]))
			return table[i][1];
	}
	return NULL;
}

static void natural_widths(const struct table *t, size_t *widths)
{
	for (size_t c = 0; c < t->count; c++)
		widths[c] = strlen(t->columns[c].head);
	for (size_t i = 0; i < t->rows * t->count; i++) {
		size_t w = render_width(t->cells[i]);

		if (w > widths[i % t->count])
			widths[i % t->count] = w;
	}
}

static size_t total_width(const struct table *t, const size_t *widths)
{
	size_t total = 0;

	for (size_t c = 0; c < t->count; c++)
		total += widths[c] ? widths[c] + GAP : 0;
	return total - GAP;
}

/* Makes the widest column that may be cut narrower by one character; false if none may be cut. */
static bool cut_widest(const struct table *t, size_t *widths)
{
	size_t widest = t->count;

	for (size_t c = 0; c < t->count; c++) {
		if (t->columns[c].least && widths[c] > t->columns[c].least &&
			(widest == t->count || widths[c] > widths[widest]))
			widest = c;
	}
	if (widest == t->count)
		return false;
	widths[widest]--;
	return true;
}

/* Leaves out the least important column; false if no column may be left out. */
static bool leave_out(const struct table *t, bool *left_out)
{
	size_t last = t->count;

	for (size_t c = 0; c < t->count; c++) {
		if (!left_out[c] && t->columns[c].leave_out &&
			(last == t->count || t->columns[c].leave_out > t->columns[last].leave_out))
			last = c;
	}
	if (last == t->count)
		return false;
	left_out[last] = true;
	return true;
}

/* Computes the widths of the columns; 0: the column is left out. */
static void fit(const struct table *t, size_t *widths)
{
	bool left_out[TABLE_COLUMNS_MAX] = {false};

	do {
		natural_widths(t, widths);
		for (size_t c = 0; c < t->count; c++)
			widths[c] = left_out[c] ? 0 : widths[c];
		while (t->screen->width && total_width(t, widths) > t->screen->width &&
			cut_widest(t, widths))
			;
	} while (t->screen->width && total_width(t, widths) > t->screen->width &&
		leave_out(t, left_out));
}

static void print_cell(const struct table *t, size_t c, const char *cell, size_t columns,
	const char *colour, bool last)
{
	size_t w = render_width(cell), bytes = strlen(cell), pad;
	bool is_cut = w > columns;

	if (is_cut) {
		bytes = render_fit(cell, columns - 1);
		w = columns;
	}
	pad = columns - w;
	if (t->columns[c].right)
		printf("%*s", (int)pad, "");
	if (colour)
		printf("\033[%sm", colour);
	printf("%.*s%s", (int)bytes, cell, is_cut ? ellipsis : "");
	if (colour)
		fputs("\033[0m", stdout);
	if (!last)
		printf("%*s", (int)((t->columns[c].right ? 0 : pad) + GAP), "");
}

/* Row -1 is the head. */
static void print_row(const struct table *t, const size_t *widths, ssize_t row)
{
	size_t last = t->count - 1;

	while (last && !widths[last])
		last--;
	for (size_t c = 0; c <= last; c++) {
		const char *cell =
			row < 0 ? t->columns[c].head : t->cells[(size_t)row * t->count + c];
		const char *colour = !t->screen->color ? NULL : row < 0 ? "1" : colour_of(cell);

		if (widths[c])
			print_cell(t, c, cell, widths[c], colour, c == last);
	}
	end_line(t->screen);
}

void render_table(struct table *t)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0};

	fit(t, widths);
	print_row(t, widths, -1);
	for (size_t r = 0; r < t->rows; r++) {
		if (is_full(t->screen, 2) && r + 1 < t->rows) {
			render_line(t->screen, "... and %zu more", t->rows - r);
			break;
		}
		print_row(t, widths, (ssize_t)r);
	}
	free(t->cells);
}
