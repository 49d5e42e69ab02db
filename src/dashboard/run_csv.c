/* SPDX-License-Identifier: MIT */
/* Quotes every text. Numbers are written as JSON has them. */
#include "dashboard/run_csv.h"

#include <string.h>

#include "common/mem.h"
#include "common/run.h"

/* A text that a spreadsheet would take for a formula gets an apostrophe in front. */
static void put_cell(FILE *f, const char *text)
{
	fputc('"', f);
	if (*text && strchr("=+-@\t\r", *text))
		fputc('\'', f);
	for (;;) {
		size_t n = strcspn(text, "\"");

		fwrite(text, 1, n, f);
		if (!text[n])
			break;
		fputs("\"\"", f);
		text += n + 1;
	}
	fputc('"', f);
}

static void put_value(FILE *f, const json_t *v)
{
	if (json_is_string(v))
		put_cell(f, json_string_value(v));
	else if (json_is_integer(v))
		fprintf(f, "%lld", (long long)json_integer_value(v));
	else if (json_is_number(v))
		fprintf(f, "%.9g", json_number_value(v));
}

/* Returns the number of columns; they are found once. */
static size_t find_columns(const struct run_field *const **columns)
{
	static const struct run_field *found[RUN_FIELD_MAX];
	static size_t n;

	if (!n)
		n = run_order(offsetof(struct run_field, csv), found);
	*columns = found;
	return n;
}

void run_csv_head(FILE *f)
{
	const struct run_field *const *columns;
	size_t n = find_columns(&columns);

	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s%s", i ? "," : "", columns[i]->name);
	fputs("\r\n", f);
}

void run_csv_row(FILE *f, const json_t *run)
{
	const json_t *groups[RUN_GROUP_COUNT] = {[RUN_TOP] = run};
	const struct run_field *const *columns;
	size_t n = find_columns(&columns);

	for (int i = RUN_TOP + 1; i < RUN_GROUP_COUNT; i++)
		groups[i] = json_object_get(run, run_group_names[i]);
	for (size_t i = 0; i < n; i++) {
		if (i)
			fputc(',', f);
		put_value(f, json_object_get(groups[columns[i]->group], columns[i]->name));
	}
	fputs("\r\n", f);
}
