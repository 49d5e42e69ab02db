/* SPDX-License-Identifier: MIT */
/* The only file that knows libconfuse, which splits the file into keys and texts.  optab_value.c
 * parses the texts, so that the file, the environment and the command line obey the same rules. */
#include "common/optab.h"

#include <confuse.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/units.h"

/* A key behind the end of the file: libconfuse closes every open section at the end, so it would
 * not notice a missing brace. */
#define SENTINEL "k6fleet_end_of_file"

/* The callbacks of libconfuse have no user pointer.  Only one thread loads configurations. */
static struct {
	struct err *err;
	bool failed;
	const struct opt_table *table;
	const char *file;
} load;

__attribute__((format(printf, 2, 0))) static void on_confuse_error(
	cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[400];

	/* The operator needs the first error; later ones may follow from it. */
	if (load.failed)
		return;
	load.failed = true;
	vsnprintf(text, sizeof(text), fmt, ap);
	/* libconfuse has no codes.  Its message quotes our own sentinel if a section reaches to
	 * the end of the file. */
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

/* libconfuse calls this after each value, while it knows the line: parses the value for the sake
 * of the error. */
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

/* Returns the options of a section (NULL: top level) in libconfuse's form, with room for `extra`
 * more; the caller frees the array. */
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
		if (optab_is_list(&opts[i]))
			copts[n++] = (cfg_opt_t)CFG_STR_LIST(opts[i].key, NULL, CFGF_NODEFAULT);
		else
			copts[n++] = (cfg_opt_t)CFG_STR(opts[i].key, NULL, CFGF_NODEFAULT);
		copts[n - 1].validcb = on_value;
	}
	*out_n = n;
	return copts;
}

/* Parses the values that libconfuse has for a section into the caller's struct. */
static int take_values(cfg_t *sec, const struct opt *opts, size_t count, const char *section,
	void *conf, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		bool same = section ? opts[i].section && !strcmp(opts[i].section, section)
				    : !opts[i].section;

		if (!same)
			continue;
		unsigned int n = cfg_size(sec, opts[i].key);
		if (n && optab_is_list(&opts[i]))
			optab_clear(&opts[i], conf);
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

/* Returns the whole file followed by the sentinel; the caller frees. */
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
		/* A variable such as POLL_INTERVAL_MS is a number of milliseconds. */
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
