/* SPDX-License-Identifier: MIT */
/* Strict on purpose: a host that two programs could read differently is refused. */
#include "common/allow.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

#define MAPPED_BITS 96
#define HOST_MAX 253 /* RFC 1035, as text */

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool allow_parse_block(const char *text, struct allow_block *out)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char address[INET6_ADDRSTRLEN];
	unsigned int base = 0, own = 128;
	char *end;

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, out->address + 12) == 1) {
		memcpy(out->address, mapped_prefix, sizeof(mapped_prefix));
		base = MAPPED_BITS;
		own = 32;
	} else if (inet_pton(AF_INET6, address, out->address) != 1) {
		return false;
	}
	if (slash) {
		unsigned long bits = strtoul(slash + 1, &end, 10);

		if (!isdigit((unsigned char)slash[1]) || *end || bits > own)
			return false;
		own = (unsigned int)bits;
	}
	out->bits = base + own;
	/* Bits behind the prefix have no meaning. */
	for (unsigned int i = out->bits; i < 128; i++)
		out->address[i / 8] &= (uint8_t) ~(0x80 >> (i % 8));
	return true;
}

static bool is_name(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > HOST_MAX || *s == '.' || *s == '-')
		return false;
	for (const char *p = s; *p; p++) {
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_' &&
			!(*p == '.' && p[1] != '.'))
			return false;
	}
	return true;
}

const char *allow_suffix(const char *entry)
{
	return entry[0] == '*' && entry[1] == '.' ? entry + 1 : NULL;
}

int allow_check(const char *entry, struct err *err)
{
	struct allow_block block;
	const char *suffix = allow_suffix(entry);

	if (suffix ? is_name(suffix + 1) : is_name(entry) || allow_parse_block(entry, &block))
		return 0;
	return err_set(err,
		"\"%s\" must be a host name, *.suffix, an address or a CIDR such as 10.0.0.0/8",
		entry);
}

/* Whether block a contains block b: they agree in the first a->bits bits. */
static bool covers(const struct allow_block *a, const struct allow_block *b)
{
	unsigned int whole = a->bits / 8, rest = a->bits % 8;

	if (b->bits < a->bits || memcmp(a->address, b->address, whole) != 0)
		return false;
	return !rest || !((a->address[whole] ^ b->address[whole]) & (0xff << (8 - rest) & 0xff));
}

bool allow_host(const char *const entries[], size_t count, const char *host)
{
	struct allow_block own, block;
	bool is_address = allow_parse_block(host, &own);
	size_t len = strlen(host);

	if (strchr(host, '/'))
		return false;
	if (len && host[len - 1] == '.')
		len--;
	for (size_t i = 0; i < count; i++) {
		const char *suffix = allow_suffix(entries[i]);
		size_t tail = suffix ? strlen(suffix) : 0;

		if (is_address) {
			if (!suffix && allow_parse_block(entries[i], &block) &&
				covers(&block, &own))
				return true;
		} else if (suffix) {
			if (len > tail && !strncasecmp(host + len - tail, suffix, tail))
				return true;
		} else if (strlen(entries[i]) == len && !strncasecmp(entries[i], host, len)) {
			return true;
		}
	}
	return false;
}

/* Passes the block to the caller as text. */
static void say_block(const struct allow_block *b, void (*block)(void *, const char *), void *arg)
{
	char address[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];
	bool mapped =
		b->bits >= MAPPED_BITS && !memcmp(b->address, mapped_prefix, sizeof(mapped_prefix));

	if (!inet_ntop(mapped ? AF_INET : AF_INET6, b->address + (mapped ? 12 : 0), address,
		    sizeof(address)))
		return;
	snprintf(text, sizeof(text), "%s/%u", address, b->bits - (mapped ? MAPPED_BITS : 0));
	block(arg, text);
}

/* Reports the addresses of `from` that are not allowed.  Halves the block until a part is
 * allowed as a whole or not at all. */
static void invert(const struct allow_block *from, const struct allow_block *allowed, size_t count,
	void (*block)(void *, const char *), void *arg)
{
	bool touched = false;
	struct allow_block half = *from;

	for (size_t i = 0; i < count; i++) {
		if (covers(&allowed[i], from))
			return;
		touched = touched || covers(from, &allowed[i]);
	}
	if (!touched) {
		say_block(from, block, arg);
		return;
	}
	half.bits++;
	invert(&half, allowed, count, block, arg);
	half.address[from->bits / 8] |= (uint8_t)(0x80 >> (from->bits % 8));
	invert(&half, allowed, count, block, arg);
}

void allow_invert(const struct allow_block *allowed, size_t count,
	void (*block)(void *arg, const char *cidr), void *arg)
{
	struct allow_block v4 = {.bits = MAPPED_BITS}, all = {.bits = 0};
	struct allow_block *with_v4 = x_calloc(count + 1, sizeof(*with_v4));

	memcpy(v4.address, mapped_prefix, sizeof(mapped_prefix));
	invert(&v4, allowed, count, block, arg);
	/* k6 compares an IPv4 address with IPv4 blocks only, also an address that is written as
	 * IPv6.  So the IPv4-mapped part of the IPv6 space is done. */
	for (size_t i = 0; i < count; i++)
		with_v4[i] = allowed[i];
	with_v4[count] = v4;
	invert(&all, with_v4, count + 1, block, arg);
	free(with_v4);
}

char *allow_url_host(const char *url)
{
	const char *p = strstr(url, "://"), *end, *at, *host;
	struct allow_block block;
	char *out;

	if (!p)
		return NULL;
	p += 3;
	/* Some programs read a backslash as a slash and some do not: a URL with one is refused. */
	end = p + strcspn(p, "/?#\\");
	if (*end == '\\')
		return NULL;
	for (host = p; (at = memchr(host, '@', (size_t)(end - host))) != NULL; host = at + 1)
		;
	if (host < end && *host == '[') {
		const char *close = memchr(host, ']', (size_t)(end - host));

		if (!close || (close + 1 < end && close[1] != ':'))
			return NULL;
		out = x_strndup(host + 1, (size_t)(close - host - 1));
	} else {
		const char *colon = memchr(host, ':', (size_t)(end - host));

		out = x_strndup(host, (size_t)((colon ? colon : end) - host));
	}
	for (char *c = out; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (!is_name(out) && (strchr(out, '/') || !allow_parse_block(out, &block))) {
		free(out);
		return NULL;
	}
	return out;
}
