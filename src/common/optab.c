/* SPDX-License-Identifier: MIT */
/* The only file that knows libconfuse.  Every value is handed over as text and parsed here, so
 * that the file, the environment and the command line obey the same rules. */
#include "common/optab.h"

#include <confuse.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"

/* Stands at the end of what is parsed: libconfuse takes the end of the file for the end of every
 * open section, so a forgotten brace would go unnoticed. */
#define SENTINEL "k6fleet_end_of_file"

/* libconfuse has no user pointer in its callbacks; loading is single-threaded start-up code. */
static struct {
	struct err *err;
	bool failed;
	const struct opt_table *table;
	const char *file;
} load;

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

static bool is_list(const struct opt *opt)
{
	return opt->type == OPT_LIST || opt->type == OPT_ITEMS;
}

static bool is_text(const struct opt *opt)
{
	return opt->type == OPT_STR || opt->type == OPT_PATH || opt->type == OPT_CHECKED;
}

/* Frees what the option owns. */
static void clear(const struct opt *opt, void *conf)
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

/* "allowed: ..." for messages; empty when anything goes. */
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

__attribute__((format(printf, 2, 0))) static void on_confuse_error(
	cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[400];

	/* The first error is the one that the operator must mend. */
	if (load.failed)
		return;
	load.failed = true;
	vsnprintf(text, sizeof(text), fmt, ap);
	if (strstr(text, SENTINEL))
		snprintf(text, sizeof(text), "a section above is not closed with }");
	if (cfg && cfg->line > 0)
		err_set(load.err, "%s:%d: %s", load.file, cfg->line, text);
	else
		err_set(load.err, "%s: %s", load.file, text);
}

static const struct opt *find_opt(
	const struct opt *opts, size_t count, const char *section, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		bool same = section ? opts[i].section && !strcmp(opts[i].section, section)
				    : !opts[i].section;

		if (same && !strcmp(opts[i].key, key))
			return &opts[i];
	}
	return NULL;
}

/* Called by libconfuse right after a value was read, while its line is still known. */
static int on_value(cfg_t *cfg, cfg_opt_t *copt)
{
	const struct opt_table *t = load.table;
	const char *section = strcmp(cfg_name(cfg), "root") != 0 ? cfg_name(cfg) : NULL;
	unsigned int n = cfg_opt_size(copt);
	const char *value = n ? cfg_opt_getnstr(copt, n - 1) : "";
	const struct opt *opt;
	struct err err;
	char scratch[sizeof(struct opt_list) + 64] = {0};
	struct opt at_zero;
	int rc;

	if (t->group && section && !strcmp(section, t->group->name))
		opt = find_opt(t->group->opts, t->group->count, NULL, cfg_opt_name(copt));
	else
		opt = find_opt(t->opts, t->count, section, cfg_opt_name(copt));
	if (!opt || !value)
		return 0;
	at_zero = *opt;
	at_zero.offset = 0;
	rc = optab_set(&at_zero, scratch, value, &err);
	optab_free(&at_zero, 1, scratch);
	if (rc < 0) {
		cfg_error(cfg, "%s%s%s: %s", section ? section : "", section ? "." : "", opt->key,
			err.msg);
		return -1;
	}
	return 0;
}

/* Options of one section as libconfuse wants them; the caller frees the array. */
static cfg_opt_t *confuse_opts(
	const struct opt *opts, size_t count, const char *section, size_t extra, size_t *out_n)
{
	cfg_opt_t *copts = x_calloc(count + extra + 1, sizeof(*copts));
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		bool same = section ? opts[i].section && !strcmp(opts[i].section, section)
				    : !opts[i].section;

		if (!same)
			continue;
		if (is_list(&opts[i]))
			copts[n++] = (cfg_opt_t)CFG_STR_LIST(opts[i].key, NULL, CFGF_NODEFAULT);
		else
			copts[n++] = (cfg_opt_t)CFG_STR(opts[i].key, NULL, CFGF_NODEFAULT);
		copts[n - 1].validcb = on_value;
	}
	*out_n = n;
	return copts;
}

/* Moves what libconfuse has for one section into the caller's struct. */
static int take_values(cfg_t *sec, const struct opt *opts, size_t count, const char *section,
	void *conf, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		bool same = section ? opts[i].section && !strcmp(opts[i].section, section)
				    : !opts[i].section;

		if (!same)
			continue;
		unsigned int n = cfg_size(sec, opts[i].key);
		if (n && is_list(&opts[i]))
			clear(&opts[i], conf);
		for (unsigned int k = 0; k < n; k++) {
			const char *value = cfg_getnstr(sec, opts[i].key, k);

			if (value && optab_set(&opts[i], conf, value, err) < 0)
				return -1;
		}
	}
	return 0;
}

static bool is_first_of_section(const struct opt_table *t, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (t->opts[k].section && !strcmp(t->opts[k].section, t->opts[i].section))
			return false;
	}
	return true;
}

#define SECTIONS_MAX 12
#define CONFIG_MAX_BYTES (64 * 1024 * 1024)

/* The whole file with the sentinel behind it; the caller frees. */
static char *read_all(FILE *f, struct err *err)
{
	char *text = NULL;
	size_t len = 0, cap = 0;

	do {
		if (cap - len < 4096) {
			cap = cap ? cap * 2 : 16384;
			text = x_realloc(text, cap, 1);
		}
		len += fread(text + len, 1, cap - len - 64, f);
	} while (!feof(f) && !ferror(f) && len < CONFIG_MAX_BYTES);
	if (ferror(f) || memchr(text, 0, len) || len >= CONFIG_MAX_BYTES) {
		err_set(err, "%s: cannot be read, or is no text", load.file);
		free(text);
		return NULL;
	}
	memcpy(text + len, "\n" SENTINEL " = 1\n", sizeof("\n" SENTINEL " = 1\n"));
	return text;
}

static int take_groups(cfg_t *cfg, const struct opt_table *t, void *conf, struct err *err)
{
	const struct opt_group *g = t->group;

	for (unsigned int k = 0; g && k < cfg_size(cfg, g->name); k++) {
		cfg_t *sec = cfg_getnsec(cfg, g->name, k);
		void *item = g->begin(conf, cfg_title(sec));

		if (take_values(sec, g->opts, g->count, NULL, item, err) < 0 ||
			g->end(conf, item, err) < 0)
			return err_prefix(err, "%s: %s \"%s\"", load.file, g->name, cfg_title(sec));
	}
	return 0;
}

static int load_file(const struct opt_table *t, void *conf, FILE *f, struct err *err)
{
	_cleanup_free_ char *text = read_all(f, err);
	cfg_opt_t *subs[SECTIONS_MAX + 1] = {0}, *top;
	const char *names[SECTIONS_MAX];
	size_t n, sub_n, sections = 0, i;
	cfg_t *cfg;
	int rc = -1;

	if (!text)
		return -1;
	top = confuse_opts(t->opts, t->count, NULL, SECTIONS_MAX + 2, &n);
	top[n++] = (cfg_opt_t)CFG_STR(SENTINEL, NULL, CFGF_NODEFAULT);
	for (i = 0; i < t->count; i++) {
		if (!t->opts[i].section || !is_first_of_section(t, i) || sections == SECTIONS_MAX)
			continue;
		names[sections] = t->opts[i].section;
		subs[sections] = confuse_opts(t->opts, t->count, names[sections], 0, &sub_n);
		top[n++] = (cfg_opt_t)CFG_SEC(names[sections], subs[sections], CFGF_NONE);
		sections++;
	}
	if (t->group) {
		subs[sections] = confuse_opts(t->group->opts, t->group->count, NULL, 0, &sub_n);
		top[n++] = (cfg_opt_t)CFG_SEC(t->group->name, subs[sections],
			CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	}
	cfg = cfg_init(top, CFGF_NONE);
	cfg_set_error_function(cfg, on_confuse_error);
	cfg->filename = strdup(load.file);
	if (cfg_parse_buf(cfg, text) != CFG_SUCCESS || load.failed) {
		if (!load.failed)
			err_set(err, "%s: cannot be parsed", load.file);
		goto out;
	}
	if (take_values(cfg, t->opts, t->count, NULL, conf, err) < 0)
		goto out;
	for (i = 0; i < sections; i++) {
		if (take_values(cfg_getsec(cfg, names[i]), t->opts, t->count, names[i], conf, err) <
			0)
			goto out;
	}
	rc = take_groups(cfg, t, conf, err);
out:
	cfg_free(cfg);
	for (i = 0; i < ARRAY_SIZE(subs); i++)
		free(subs[i]);
	free(top);
	return rc;
}

static int load_environment(const struct opt_table *t, void *conf, struct err *err)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct opt *opt = &t->opts[i];
		const char *value = opt->env ? getenv(opt->env) : NULL;
		char with_unit[64];

		if (!value)
			continue;
		/* POLL_INTERVAL_MS and its like are plain milliseconds. */
		if (opt->type == OPT_DURATION && strlen(opt->env) > 3 &&
			!strcmp(opt->env + strlen(opt->env) - 3, "_MS")) {
			int64_t ms;

			if (units_parse_int(value, &ms, err) < 0)
				return err_prefix(err, "environment variable %s", opt->env);
			snprintf(with_unit, sizeof(with_unit), "%lldms", (long long)ms);
			value = with_unit;
		}
		if (optab_set(opt, conf, value, err) < 0)
			return err_prefix(err, "environment variable %s", opt->env);
	}
	return 0;
}

int optab_load(const struct opt_table *t, void *conf, FILE *f, const char *name,
	bool with_environment, struct err *err)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->opts[i].fallback &&
			optab_set(&t->opts[i], conf, t->opts[i].fallback, err) < 0)
			return err_prefix(err, "default of %s", t->opts[i].key);
	}
	load.err = err;
	load.failed = false;
	load.table = t;
	load.file = name;
	if (f && load_file(t, conf, f, err) < 0)
		return -1;
	return with_environment ? load_environment(t, conf, err) : 0;
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
		clear(opt, to);
		*(char **)place = *(char *const *)source ? x_strdup(*(char *const *)source) : NULL;
	} else if (is_list(opt)) {
		clear(opt, to);
		each_item(opt, source, copy_item, &(struct copying){opt, place});
	} else {
		memcpy(place, source, plain_size(opt->type));
	}
}

void optab_free(const struct opt *opts, size_t count, void *conf)
{
	for (size_t i = 0; i < count; i++)
		clear(&opts[i], conf);
}
