/* SPDX-License-Identifier: MIT */
/*
 * A target: what to run, how often, on how many agents.  One model for the dashboard (which
 * checks it for its users), the supervisor (which trusts neither the dashboard nor the file) and
 * the worker (which turns it into a k6 script).
 *
 * TARGET_FIELDS is the only list of the fields.  From its rows come struct target, JSON in and
 * out (docs/openapi.yaml is compared with the rows by tests/unit/test_target.c), masking,
 * defaults, copies, and the target block of k6fleetd.conf (conf_target.c).
 */
#ifndef K6FLEET_TARGET_H
#define K6FLEET_TARGET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/limits.h"

#define TARGET_SCRIPT_MAX (1024 * 1024)
#define TARGET_BODY_MAX (256 * 1024)
#define TARGET_TEXT_MAX 8192
#define TARGET_LABEL_MAX 256
#define TARGET_ID_MAX 128
/* Members of a map or list; bytes of a map's key or of a threshold's expression. */
#define TARGET_MEMBERS_MAX 64
#define TARGET_KEY_MAX 256

/* X(kind, member of struct target, name in JSON, key in k6fleetd.conf, the rest of struct
 * target_field). JSON is written in the order of the rows. */
/* clang-format off */
#define TARGET_FIELDS(X) \
	X(TEXT,       label,             "label",            NULL,                .max = TARGET_LABEL_MAX) \
	X(TEXT,       url,               "url",              "url",               .null = true, .max = TARGET_TEXT_MAX, .check = target_check_url) \
	X(NUMBER,     vus,               "vus",              "vus",               .min = 1, .max = LIMIT_VUS, .initial = 1) \
	X(TIME,       duration_ms,       "durationS",        "duration",          .unit_ms = 1000, .min = 1, .max = DAY_S, .initial = 30) \
	X(TIME,       interval_ms,       "runIntervalMs",    "interval",          .unit_ms = 1, .min = 1000, .max = WEEK_MS, .initial = 60000) \
	X(FLAG,       enabled,           "enabled",          "enabled",           .initial = true) \
	X(TEXT,       method,            "method",           "method",            .max = 32, .check = check_method, .text = "GET") \
	X(MAP,        headers,           "headers",          "headers",           .null = true, .max = TARGET_MEMBERS_MAX, .separator = ':', .pair = is_header, .hidden_from = TARGET_FOR_PUBLIC) \
	X(TEXT,       body,              "body",             "body",              .null = true, .max = TARGET_BODY_MAX, .hidden_from = TARGET_FOR_PUBLIC) \
	X(STATUSES,   expected_statuses, "expectedStatuses", "expected_statuses", .null = true, .max = TARGET_MEMBERS_MAX) \
	X(CHOICE,     checks,            "checks",           "checks",            .choices = checks_names) \
	X(TEXT,       script,            "script",           "script",            .null = true, .max = TARGET_SCRIPT_MAX, .hidden_from = TARGET_FOR_PUBLIC, .of_file = true) \
	X(PATH,       script_file,       NULL,               "script_file",       .null = true) \
	X(THRESHOLDS, thresholds,        "thresholds",       "thresholds",        .null = true, .max = TARGET_MEMBERS_MAX) \
	X(NUMBER,     max_agents,        "maxAgents",        "max_agents",        .null = true, .min = 1, .max = LIMIT_AGENTS) \
	X(TIME,       timeout_ms,        "timeoutS",         "timeout",           .null = true, .unit_ms = 1000, .min = 1, .max = WEEK_S) \
	X(MAP,        tags,              "tags",             "tags",              .null = true, .max = TARGET_MEMBERS_MAX, .separator = '=')
/* clang-format on */

/* The kinds of fields: the member's type in C, the type in JSON. */
enum target_kind {
	TARGET_TEXT,   /* char *, string */
	TARGET_PATH,   /* char *; only in k6fleetd.conf */
	TARGET_NUMBER, /* int64_t, integer */
	TARGET_TIME,   /* int64_t in ms, integer in unit_ms; a duration in k6fleetd.conf */
	TARGET_FLAG,   /* bool, boolean */
	TARGET_CHOICE, /* int, string: the index in choices */
	/* json_t *, object of strings; a list of "key: value" or "key=value" in k6fleetd.conf */
	TARGET_MAP,
	/* json_t *, object metric -> array of expressions; a list of "metric: expression" */
	TARGET_THRESHOLDS,
	TARGET_STATUSES, /* json_t *, array of HTTP statuses */
};

#define TARGET_TYPE_TEXT char *
#define TARGET_TYPE_PATH char *
#define TARGET_TYPE_NUMBER int64_t
#define TARGET_TYPE_TIME int64_t
#define TARGET_TYPE_FLAG bool
#define TARGET_TYPE_CHOICE int
#define TARGET_TYPE_MAP json_t *
#define TARGET_TYPE_THRESHOLDS json_t *
#define TARGET_TYPE_STATUSES json_t *

/* A field that may be null and is not set: NULL for a text, 0 for a number, an empty object or
 * array. */
struct target {
	char *id; /* made by the dashboard, or "file:NAME"; never NULL */
#define TARGET_MEMBER(kind, member, ...) TARGET_TYPE_##kind member;
	TARGET_FIELDS(TARGET_MEMBER)
#undef TARGET_MEMBER
};

enum target_checks { TARGET_CHECKS_COUNT, TARGET_CHECKS_IGNORE };

/* Who reads a target as JSON, the most trusted first. */
enum target_reader {
	TARGET_FOR_HOST,   /* stores, supervisors and workers */
	TARGET_FOR_ADMIN,  /* callers with the admin's credentials */
	TARGET_FOR_PUBLIC, /* callers without credentials */
};

struct target_field {
	enum target_kind kind;
	size_t offset;    /* in struct target */
	const char *name; /* NULL: not in JSON */
	const char *key;  /* NULL: not in k6fleetd.conf */
	/* NUMBER, TIME: the range in JSON's unit.  TEXT: max is in bytes.  MAP, THRESHOLDS,
	 * STATUSES: max is the number of members. */
	int64_t min, max;
	int64_t unit_ms;
	int64_t initial;  /* default of NUMBER, TIME (in JSON's unit), FLAG, CHOICE */
	const char *text; /* default of TEXT; NULL: "", or null where that is allowed */
	bool null;        /* JSON may be null, which unsets the field */
	/* The content of a file: in k6fleetd.conf only between keeper and supervisor. */
	bool of_file;
	char separator;             /* MAP: between key and value in k6fleetd.conf */
	const char *const *choices; /* CHOICE: ends with NULL */
	/* This reader, and less trusted ones, see "…" instead of the value. */
	enum target_reader hidden_from;
	/* TEXT: 0, or -1 and err. */
	int (*check)(const char *value, struct err *err);
	/* MAP: whether the pair is allowed, beside the limits of all maps. */
	bool (*pair)(const char *key, const char *value);
};

#define TARGET_ONE(...) +1
enum { TARGET_FIELD_COUNT = 0 TARGET_FIELDS(TARGET_ONE) };
#undef TARGET_ONE
extern const struct target_field target_fields[TARGET_FIELD_COUNT];

/* Codes: ERR_MALFORMED (wrong type), ERR_OUT_OF_RANGE, ERR_UNKNOWN_FIELD. */
struct target_error {
	char field[64]; /* the name in JSON; "" when no single field is to blame */
	struct err err;
};

/* A target with the defaults of the table and the id "".  The caller frees it with
 * target_free(). */
struct target *target_new(void);
void target_free(struct target *t);
/* A copy with the same id, which the caller frees. */
struct target *target_copy(const struct target *t);
/* Whether all fields are equal; ids and paths of files are not compared. */
bool target_equal(const struct target *a, const struct target *b);
/* Sets the members of the object in t.  strict refuses members that are no field; id, createdAt
 * and updatedAt are ignored.  Returns 0, or -1 and err; then t is good for target_free() only. */
int target_apply_json(
	struct target *t, const json_t *object, bool strict, struct target_error *err);
/* Checks t as a whole: exactly one of url and script is set.  Returns 0, or -1 and err. */
int target_validate(const struct target *t, struct target_error *err);
/* The target as the reader may see it.  New reference. */
json_t *target_to_json(const struct target *t, enum target_reader reader);
/* Returns 0 for "http://" or "https://" with a host, else -1 and err. */
int target_check_url(const char *url, struct err *err);

/* --- for readers of other forms (conf_target.c) --------------------------------- */

/* The place of a field in a target, of the type that its kind says. */
static inline void *target_place(const struct target_field *f, const struct target *t)
{
	return (char *)(uintptr_t)t + f->offset;
}

/* Whether a MAP may have this pair. */
bool target_is_pair(const struct target_field *f, const char *key, const char *value);
/* Whether k6 could take the text for a threshold; k6 itself judges its syntax. */
bool target_is_expression(const char *expression);
bool target_is_status(int64_t status);

#endif
