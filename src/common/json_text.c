/* SPDX-License-Identifier: MIT */
/* The formats are those of jansson's dump.c and strconv.c (version 2.14). */
#include "common/json_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/utf8.h"

static void append(struct json_text *t, const char *p, size_t n)
{
	if (t->len + n + 1 > t->cap) {
		t->cap = 2 * (t->len + n + 1);
		t->text = x_realloc(t->text, t->cap, 1);
	}
	memcpy(t->text + t->len, p, n);
	t->len += n;
	t->text[t->len] = '\0';
}

void json_text_raw(struct json_text *t, const char *s)
{
	append(t, s, strlen(s));
}

static void append_escaped(struct json_text *t, unsigned char c)
{
	static const char letters[] = {['"'] = '"',
		['\\'] = '\\',
		['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't'};
	char escaped[8];
	int n;

	if (c < sizeof(letters) && letters[c])
		n = snprintf(escaped, sizeof(escaped), "\\%c", letters[c]);
	else
		n = snprintf(escaped, sizeof(escaped), "\\u%04X", c);
	append(t, escaped, (size_t)n);
}

void json_text_string(struct json_text *t, const char *s)
{
	size_t left = s ? strlen(s) : 0, n;

	if (!s) {
		json_text_raw(t, "null");
		return;
	}
	append(t, "\"", 1);
	for (; left; s += n, left -= n) {
		/* As much as needs no change. */
		for (n = 0; n < left && (unsigned char)s[n] >= 0x20 && (unsigned char)s[n] < 0x80 &&
			s[n] != '"' && s[n] != '\\';)
			n++;
		if (n) {
			append(t, s, n);
			continue;
		}
		n = utf8_length(s, left);
		if (n > 1) {
			append(t, s, n);
		} else if (n == 1) {
			append_escaped(t, (unsigned char)*s);
		} else {
			append(t, "\xef\xbf\xbd", 3);
			n = 1;
		}
	}
	append(t, "\"", 1);
}

void json_text_int(struct json_text *t, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)v);

	append(t, text, (size_t)n);
}

/* "%g" gives "1e-07" and "1e+21", JSON here "1e-7" and "1e21", and "1.0" instead of "1". */
static void append_g(struct json_text *t, char *text)
{
	char *e = strchr(text, 'e'), *digits;

	if (e) {
		append(t, text, (size_t)(e - text + 1));
		if (e[1] == '-')
			append(t, "-", 1);
		for (digits = e + 1; *digits == '-' || *digits == '+' || *digits == '0';)
			digits++;
		json_text_raw(t, digits);
		return;
	}
	json_text_raw(t, text);
	if (!strchr(text, '.'))
		append(t, ".0", 2);
}

void json_text_real(struct json_text *t, double v)
{
	char text[40];

	if (!isfinite(v)) {
		json_text_raw(t, "null");
		return;
	}
	snprintf(text, sizeof(text), "%.15g", v);
	append_g(t, text);
}

void json_text_short_real(struct json_text *t, double v)
{
	char text[40];

	snprintf(text, sizeof(text), "%.9g", v);
	/* For a value of nine digits %.15g prints these nine digits, too.  The texts differ only
	 * for large values, where %.9g changes to an exponent earlier, and for subnormals, which
	 * have fewer than 15 exact digits. */
	if (v == 0 || (fabs(v) < 1e8 && fabs(v) > 1e-300))
		append_g(t, text);
	else
		json_text_real(t, strtod(text, NULL));
}
