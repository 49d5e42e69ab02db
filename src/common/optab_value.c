/* SPDX-License-Identifier: MIT */
/* One option and its value: parsed from text, checked, printed, copied, freed.  Where the text
 * comes from is optab.c's. */
#include "common/optab.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"

static void *field(const struct opt *opt, void *conf)
{
	return (char *)conf + opt->offset;
}

void opt_list_add(struct opt_list *list, const char *item)
{
	list->items = x_realloc(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = x_strdup(item);
}

void opt_list_clear(struct opt_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct opt_list){0};
}

bool optab_is_list(const struct opt *opt)
{
	return opt->type == OPT_LIST || opt->type == OPT_ITEMS;
}

static bool is_text(const struct opt *opt)
{
	return opt->type == OPT_STR || opt->type == OPT_PATH || opt->type == OPT_CHECKED;
}

void optab_clear(const struct opt *opt, void *conf)
{
	void *place = field(opt, conf);

	if (is_text(opt)) {
		free(*(char **)place);
		*(char **)place = NULL;
	} else if (opt->type == OPT_LIST) {
		opt_list_clear(place);
	} else if (opt->type == OPT_ITEMS) {
		opt->items->clear(opt, place);
	}
}

/* Writes the range for messages, as in "1..10"; "" if there is no limit. */
static void describe_range(const struct opt *opt, char *buf, size_t size)
{
	char lo[UNITS_TEXT_MAX], hi[UNITS_TEXT_MAX];

	buf[0] = '\0';
	if (!opt->max)
		return;
	if (opt->type == OPT_DURATION) {
		units_format_duration(opt->min, lo);
		units_format_duration(opt->max, hi);
	} else if (opt->type == OPT_SIZE) {
		units_format_size(opt->min, lo);
		units_format_size(opt->max, hi);
	} else {
		snprintf(lo, sizeof(lo), "%lld", (long long)opt->min);
		snprintf(hi, sizeof(hi), "%lld", (long long)opt->max);
	}
	snprintf(buf, size, "%s..%s", lo, hi);
}

static int set_number(const struct opt *opt, void *place, const char *value, struct err *err)
{
	char range[2 * UNITS_TEXT_MAX + 4];
	int64_t n;
	int rc;

	if (opt->type == OPT_DURATION)
		rc = units_parse_duration(value, &n, err);
	else if (opt->type == OPT_SIZE)
		rc = units_parse_size(value, &n, err);
	else
		rc = units_parse_int(value, &n, err);
	describe_range(opt, range, sizeof(range));
	if (rc < 0) {
		_cleanup_free_ char *why = x_strdup(err->msg);

		return *range ? err_set(err, "%.400s (allowed: %s)", why, range) : -1;
	}
	if (n < opt->min || (opt->max && n > opt->max) || n < 0)
		return err_set(err, "\"%s\" is out of range (allowed: %s)", value,
			*range ? range : "0 or more");
	*(int64_t *)place = n;
	return 0;
}

static int set_choice(const struct opt *opt, void *place, const char *value, struct err *err)
{
	char all[256] = "";

	for (int i = 0; opt->choices[i]; i++) {
		if (!strcmp(opt->choices[i], value)) {
			*(int *)place = i;
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "",
			opt->choices[i]);
	}
	return err_set(err, "\"%s\" is not one of %s", value, all);
}

static int set_bool(void *place, const char *value, struct err *err)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(words[i], value)) {
			*(bool *)place = i & 1;
			return 0;
		}
	}
	return err_set(err, "\"%s\" is neither true nor false", value);
}

static int check_text(const struct opt *opt, const char *value, struct err *err)
{
	if (opt->max && strlen(value) > (size_t)opt->max)
		return err_set(err, "it has %zu bytes (allowed: up to %lld)", strlen(value),
			(long long)opt->max);
	if (opt->type != OPT_CHECKED || opt->check(value, err) == 0)
		return 0;
	return opt->quote ? err_prefix(err, "\"%.300s\"", value) : -1;
}

int optab_set(const struct opt *opt, void *conf, const char *value, struct err *err)
{
	void *place = field(opt, conf);

	switch (opt->type) {
	case OPT_INT:
	case OPT_DURATION:
	case OPT_SIZE: return set_number(opt, place, value, err);
	case OPT_BOOL: return set_bool(place, value, err);
	case OPT_CHOICE: return set_choice(opt, place, value, err);
	case OPT_LIST:
		if (opt->check && opt->check(value, err) < 0)
			return -1;
		opt_list_add(place, value);
		return 0;
	case OPT_PATH:
		if (value[0] && value[0] != '/')
			return err_set(err, "\"%s\" is not an absolute path (it must begin with /)",
				value);
		break;
	case OPT_ITEMS: return opt->items->add(opt, place, value, err);
	case OPT_CHECKED:
	case OPT_STR:
		if (check_text(opt, value, err) < 0)
			return -1;
		break;
	}
	free(*(char **)place);
	*(char **)place = x_strdup(value);
	return 0;
}

void optab_print_quoted(const char *value, FILE *out)
{
	fputc('\'', out);
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputc('\'', out);
}

struct printing {
	FILE *out;
	size_t count;
};

static void print_item(void *arg, const char *item)
{
	struct printing *p = arg;

	fputs(p->count++ ? ", " : "", p->out);
	optab_print_quoted(item, p->out);
}

static void each_item(
	const struct opt *opt, const void *place, void (*f)(void *arg, const char *item), void *arg)
{
	const struct opt_list *list = place;

	if (opt->type == OPT_ITEMS) {
		opt->items->each(opt, place, f, arg);
		return;
	}
	for (size_t i = 0; i < list->count; i++)
		f(arg, list->items[i]);
}

static void print_value(const struct opt *opt, const void *place, FILE *out)
{
	struct printing printing = {out, 0};
	char buf[UNITS_TEXT_MAX];

	switch (opt->type) {
	case OPT_INT: fprintf(out, "%lld", (long long)*(const int64_t *)place); break;
	case OPT_BOOL: fputs(*(const bool *)place ? "true" : "false", out); break;
	case OPT_DURATION: fputs(units_format_duration(*(const int64_t *)place, buf), out); break;
	case OPT_SIZE: fputs(units_format_size(*(const int64_t *)place, buf), out); break;
	case OPT_CHOICE: fputs(opt->choices[*(const int *)place], out); break;
	case OPT_LIST:
	case OPT_ITEMS:
		fputc('{', out);
		each_item(opt, place, print_item, &printing);
		fputc('}', out);
		break;
	case OPT_STR:
	case OPT_PATH:
	case OPT_CHECKED: optab_print_quoted(*(char *const *)place, out); break;
	}
}

static bool is_unset(const struct opt *opt, const void *place)
{
	return (is_text(opt) && !*(char *const *)place) ||
		(opt->zero_is_unset && !*(const int64_t *)place);
}

void optab_print(
	const struct opt *opts, size_t count, const void *conf, const char *indent, FILE *out)
{
	const char *open = NULL;

	for (size_t i = 0; i < count; i++) {
		const void *place = (const char *)conf + opts[i].offset;

		if (open && (!opts[i].section || strcmp(open, opts[i].section) != 0)) {
			fprintf(out, "%s}\n", indent);
			open = NULL;
		}
		if (!open && opts[i].section) {
			open = opts[i].section;
			fprintf(out, "%s%s {\n", indent, open);
		}
		if (is_unset(&opts[i], place))
			continue;
		fprintf(out, "%s%s%s = ", indent, open ? "\t" : "", opts[i].key);
		print_value(&opts[i], place, out);
		fputc('\n', out);
	}
	if (open)
		fprintf(out, "%s}\n", indent);
}

char *optab_text(const struct opt *opt, const void *conf)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		fatal(1, "out of memory");
	print_value(opt, (const char *)conf + opt->offset, f);
	fclose(f);
	return text;
}

static size_t plain_size(enum opt_type type)
{
	switch (type) {
	case OPT_BOOL: return sizeof(bool);
	case OPT_CHOICE: return sizeof(int);
	default: return sizeof(int64_t);
	}
}

struct copying {
	const struct opt *opt;
	void *place;
};

static void copy_item(void *arg, const char *item)
{
	const struct copying *c = arg;

	/* It was accepted once. */
	if (c->opt->type == OPT_ITEMS)
		c->opt->items->add(c->opt, c->place, item, NULL);
	else
		opt_list_add(c->place, item);
}

void optab_copy(const struct opt *opt, void *to, const void *from)
{
	const void *source = (const char *)from + opt->offset;
	void *place = field(opt, to);

	if (is_text(opt)) {
		optab_clear(opt, to);
		*(char **)place = *(char *const *)source ? x_strdup(*(char *const *)source) : NULL;
	} else if (optab_is_list(opt)) {
		optab_clear(opt, to);
		each_item(opt, source, copy_item, &(struct copying){opt, place});
	} else {
		memcpy(place, source, plain_size(opt->type));
	}
}

void optab_free(const struct opt *opts, size_t count, void *conf)
{
	for (size_t i = 0; i < count; i++)
		optab_clear(&opts[i], conf);
}
