/* SPDX-License-Identifier: MIT */
/* Small additions to jansson; see json.h. */
#include "common/json.h"

#include <string.h>

#include "common/mem.h"
#include "common/units.h"
#include "common/utf8.h"

json_t *json_text_n(const char *s, size_t len)
{
	json_t *value = json_stringn(s, len);
	_cleanup_free_ char *clean = NULL;
	size_t out = 0;

	if (value)
		return value;
	clean = x_calloc(len * 3 + 1, 1);
	for (size_t i = 0; i < len;) {
		size_t n = utf8_length(s + i, len - i);

		if (n) {
			memcpy(clean + out, s + i, n);
			out += n;
			i += n;
		} else {
			memcpy(clean + out, "\xef\xbf\xbd", 3);
			out += 3;
			i++;
		}
	}
	return json_stringn(clean, out);
}

json_t *json_text(const char *s)
{
	return json_text_n(s, strlen(s));
}

const char *json_get_text(const json_t *object, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : fallback;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t fallback)
{
	const json_t *v = json_object_get(object, key);

	return json_is_integer(v) ? json_integer_value(v) : fallback;
}

json_t *json_time(int64_t epoch_ms)
{
	char buf[UNITS_TIME_MAX];

	return epoch_ms ? json_string(units_format_time(epoch_ms, buf)) : json_null();
}

char *json_compact(const json_t *value)
{
	char *s = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	return s ? s : x_strdup("null");
}
