/* SPDX-License-Identifier: MIT */
/* Looking things up in the documents: docs/openapi.yaml line by line, each property on a line of
 * its own. */
#ifndef K6FLEET_TEST_DOCUMENTS_H
#define K6FLEET_TEST_DOCUMENTS_H

#include "test.h"

#include <stdbool.h>

#define OPENAPI TOP_SRCDIR "/docs/openapi.yaml"
#define SCHEMA TOP_SRCDIR "/docs/k6fleetctl.schema.json"

/* The text of the file between two lines: behind `begin`, before `end`.  The caller frees. */
static inline char *read_between(const char *path, const char *begin, const char *end)
{
	_cleanup_file_ FILE *f = fopen(path, "r");
	_cleanup_free_ char *text = x_calloc(1 << 20, 1);
	char *start, *stop;

	if (!f)
		fail_msg("%s cannot be read", path);
	if (fread(text, 1, (1 << 20) - 1, f) == 0)
		fail_msg("%s is empty", path);
	start = strstr(text, begin);
	if (!start)
		fail_msg("%s has no \"%s\"", path, begin);
	start += strlen(begin);
	stop = strstr(start, end);
	return x_strndup(start, stop ? (size_t)(stop - start) : strlen(start));
}

/* The schema `name` of openapi.yaml, up to the next one. */
static inline char *read_schema(const char *name)
{
	_cleanup_free_ char *begin = x_asprintf("\n    %s:\n", name);
	_cleanup_free_ char *all = read_between(OPENAPI, begin, "\nend of file");

	for (char *p = all; (p = strchr(p, '\n')); p++) {
		if (!strncmp(p, "\n    ", 5) && p[5] != ' ')
			return x_strndup(all, (size_t)(p - all) + 1);
	}
	return x_strdup(all);
}

/* The line of a property must begin so; more may follow in its braces. */
static inline void want_property(const char *schema_name, const char *schema, const char *wanted)
{
	_cleanup_free_ char *line = x_asprintf("        %s", wanted);
	const char *at = strstr(schema, line);

	if (!at || (at != schema && at[-1] != '\n') || !strchr(",}", at[strlen(line)]))
		fail_msg(
			"docs/openapi.yaml, schema %s, must have the line\n%s}", schema_name, line);
}

/* Every property (a line "        name:") must be known. */
static inline void only_known(
	const char *schema_name, const char *schema, bool (*known)(const char *name, size_t len))
{
	for (const char *p = schema; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		size_t len;

		if (strncmp(p, "        ", 8) != 0 || p[8] == ' ' || p[8] == '-')
			continue;
		len = strcspn(p + 8, ":");
		if (!known(p + 8, len))
			fail_msg(
				"docs/openapi.yaml, schema %s: nothing in the sources is called \"%.*s\"",
				schema_name, (int)len, p + 8);
	}
}

static inline bool is_one_of(const char *name, size_t len, const char *const list[])
{
	for (size_t i = 0; list[i]; i++) {
		if (strlen(list[i]) == len && !strncmp(list[i], name, len))
			return true;
	}
	return false;
}

#endif
