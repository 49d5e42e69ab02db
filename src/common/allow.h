/* SPDX-License-Identifier: MIT */
/*
 * allowed_hosts: names, "*.suffix", addresses and CIDRs that targets may aim at.  Pure.  k6 has
 * lists of what is blocked only, so the list is turned inside out for it: every address that is not
 * allowed, as the fewest CIDRs (RFC 4632).
 */
#ifndef K6FLEET_ALLOW_H
#define K6FLEET_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* An address block; IPv4 ones as IPv4-mapped IPv6 (RFC 4291), so bits counts from 96 there. */
struct allow_block {
	uint8_t address[16];
	unsigned int bits;
};

/* Checks one entry of the list as written. */
int allow_check(const char *entry, struct err *err);
/* Whether the host, a name or an address without brackets, is on the list. */
bool allow_host(const char *const entries[], size_t count, const char *host);
/* "10.0.0.0/8", "::1"; false for anything else, a name for example. */
bool allow_parse_block(const char *text, struct allow_block *out);
/* "*.example.org" -> ".example.org"; NULL for other entries. */
const char *allow_suffix(const char *entry);
/* Calls block() with each CIDR of what no block of `allowed` covers. */
void allow_invert(const struct allow_block *allowed, size_t count,
	void (*block)(void *arg, const char *cidr), void *arg);
/* The host of an http(s) URL in lower case, without user, brackets and port; NULL when it has none
 * that k6 would understand.  The caller frees it. */
char *allow_url_host(const char *url);

#endif
