/* SPDX-License-Identifier: MIT */
/* optab_value.c parses single values into struct target; this file parses lists.  target.h alone
 * says which values are allowed. */
#include "common/conf_target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/fdio.h"
#include "common/hostfs.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"

/* --- lists ------------------------------------------------------------------------ */

/* Returns the text before the separator, which the caller frees; *value is the text behind it
 * and its blanks. */
static char *split(const char *item, const char *separator, const char **value)
{
	*value = separator + 1 + strspn(separator + 1, " \t");
	return x_strndup(item, (size_t)(separator - item));
}

static int full(const struct target_field *f, struct err *err)
{
	return err_set(err, "%s may have %lld members at most", f->key, (long long)f->max);
}

static int add_pair(const struct target_field *f, json_t **map, const char *item, struct err *err)
{
	const char *at = strchr(item, f->separator), *value;
	_cleanup_free_ char *key = NULL;

	if (!at || at == item)
		return err_set(err, "\"%s\" must be written \"%s\"", item,
			f->separator == ':' ? "Name: value" : "key=value");
	key = split(item, at, &value);
	if (!target_is_pair(f, key, value))
		return err_set(err, "\"%.40s\" is not allowed there", key);
	if (json_object_size(*map) >= (size_t)f->max && !json_object_get(*map, key))
		return full(f, err);
	json_object_set_new(*map, key, json_text(value));
	return 0;
}

/* "http_req_duration{status:200}: p(95)<500": in braces the metric may have colons of its own. */
static int add_threshold(
	const struct target_field *f, json_t **map, const char *item, struct err *err)
{
	const char *brace = strchr(item, '}'), *at = strchr(brace ? brace : item, ':'), *value;
	_cleanup_free_ char *metric = NULL;
	json_t *list;

	if (!at || at == item)
		return err_set(err, "\"%s\" must be written \"metric: expression\"", item);
	metric = split(item, at, &value);
	if (!target_is_expression(value))
		return err_set(
			err, "\"%.40s\" has no expression of 1 to %d bytes", item, TARGET_KEY_MAX);
	list = json_object_get(*map, metric);
	if ((list ? json_array_size(list) : json_object_size(*map)) >= (size_t)f->max)
		return full(f, err);
	if (!list)
		json_object_set_new(*map, metric, list = json_array());
	json_array_append_new(list, json_text(value));
	return 0;
}

static int add_status(
	const struct target_field *f, json_t **list, const char *item, struct err *err)
{
	int64_t n;

	if (units_parse_int(item, &n, err) < 0 || !target_is_status(n))
		return err_set(err, "\"%s\" is not an HTTP status (allowed: 100..599)", item);
	if (json_array_size(*list) >= (size_t)f->max)
		return full(f, err);
	json_array_append_new(*list, json_integer(n));
	return 0;
}

static int add_item(const struct opt *row, void *place, const char *item, struct err *err)
{
	const struct target_field *f = row->arg;
	json_t **list = place;

	if (f->kind == TARGET_STATUSES) {
		*list = *list ? *list : json_array();
		return add_status(f, list, item, err);
	}
	*list = *list ? *list : json_object();
	return f->kind == TARGET_MAP ? add_pair(f, list, item, err)
				     : add_threshold(f, list, item, err);
}

static void clear_items(const struct opt *row, void *place)
{
	json_t **list = place;

	(void)row;
	json_decref(*list);
	*list = NULL;
}

static void each_threshold(const json_t *map, void (*print)(void *arg, const char *item), void *arg)
{
	const char *metric;
	json_t *list, *expression;
	size_t i;

	json_object_foreach ((json_t *)(uintptr_t)map, metric, list) {
		json_array_foreach (list, i, expression) {
			_cleanup_free_ char *item =
				x_asprintf("%s: %s", metric, json_string_value(expression));

			print(arg, item);
		}
	}
}

static void each_item(const struct opt *row, const void *place,
	void (*print)(void *arg, const char *item), void *arg)
{
	const struct target_field *f = row->arg;
	json_t *list = *(json_t *const *)place, *value;
	const char *key;
	size_t i;

	if (f->kind == TARGET_THRESHOLDS)
		each_threshold(list, print, arg);
	if (f->kind == TARGET_MAP) {
		json_object_foreach (list, key, value) {
			_cleanup_free_ char *item = x_asprintf("%s%s%s", key,
				f->separator == ':' ? ": " : "=", json_string_value(value));

			print(arg, item);
		}
	}
	json_array_foreach (list, i, value) {
		_cleanup_free_ char *item =
			x_asprintf("%lld", (long long)json_integer_value(value));

		print(arg, item);
	}
}

static const struct opt_items items = {add_item, clear_items, each_item};

/* --- the options ------------------------------------------------------------------- */

static struct opt option_of(const struct target_field *f)
{
	int64_t unit = f->kind == TARGET_TIME ? f->unit_ms : 1;
	struct opt opt = {.key = f->key, .offset = f->offset, .arg = f};

	switch (f->kind) {
	case TARGET_TEXT:
		opt.type = f->check ? OPT_CHECKED : OPT_STR;
		opt.check = f->check;
		opt.quote = true;
		opt.max = f->max;
		break;
	case TARGET_PATH: opt.type = OPT_PATH; break;
	case TARGET_NUMBER:
	case TARGET_TIME:
		opt.type = f->kind == TARGET_TIME ? OPT_DURATION : OPT_INT;
		opt.min = f->min * unit;
		opt.max = f->max * unit;
		opt.zero_is_unset = f->null;
		break;
	case TARGET_FLAG: opt.type = OPT_BOOL; break;
	case TARGET_CHOICE:
		opt.type = OPT_CHOICE;
		opt.choices = f->choices;
		break;
	case TARGET_MAP:
	case TARGET_THRESHOLDS:
	case TARGET_STATUSES:
		opt.type = OPT_ITEMS;
		opt.items = &items;
		break;
	}
	return opt;
}

const struct opt *conf_target_options(size_t *count)
{
	static struct opt options[TARGET_FIELD_COUNT];
	static size_t known;
	static bool filled;

	/* Only the main thread reads configurations. */
	for (size_t i = 0; !filled && i < TARGET_FIELD_COUNT; i++) {
		if (target_fields[i].key)
			options[known++] = option_of(&target_fields[i]);
	}
	filled = true;
	*count = known;
	return options;
}

struct target *conf_target_new(const char *title)
{
	struct target *t = target_new();

	free(t->label);
	t->label = x_strdup(title);
	free(t->id);
	t->id = x_asprintf("file:%s", title);
	return t;
}

static int read_script(struct target *t, struct err *err)
{
	_cleanup_fd_ int fd = hostfs_open(t->script_file, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (fd < 0)
		return err_sys(err, errno, "script_file %s", t->script_file);
	text = fdio_read_all(fd, t->script_file, TARGET_SCRIPT_MAX, &len, err);
	if (!text && err->code != ERR_TOO_LARGE)
		return err_prefix(err, "script_file");
	if (!text || !len || memchr(text, 0, len))
		return err_set(
			err, "script_file %s: a script is text of 1 byte to 1 MiB", t->script_file);
	t->script = steal_ptr(text);
	return 0;
}

int conf_target_end(struct target *t, struct err *err)
{
	if (!t->label[0] || strlen(t->label) > TARGET_LABEL_MAX)
		return err_set(err, "a target's name has 1 to %d bytes", TARGET_LABEL_MAX);
	if (!t->url == !(t->script_file || t->script))
		return err_set(err, "a target needs url or script_file, not both");
	return t->script_file && !t->script ? read_script(t, err) : 0;
}

void conf_target_print(const struct target *t, bool scripts, FILE *out)
{
	size_t count;
	const struct opt *options = conf_target_options(&count);

	fputs("target ", out);
	optab_print_quoted(t->label, out);
	fputs(" {\n", out);
	for (size_t i = 0; i < count; i++) {
		const struct target_field *f = options[i].arg;

		if (scripts || !f->of_file)
			optab_print(&options[i], 1, t, "\t", out);
	}
	fputs("}\n", out);
}
