/* SPDX-License-Identifier: MIT */
/*
 * allowed_hosts: the names, "*.suffix" patterns, addresses and CIDRs that targets may aim at.
 * Pure.
 *
 * k6 has options for blocked addresses only.  So this file also computes the complement of the
 * list: all addresses that are not allowed, as the fewest CIDRs (RFC 4632).
 */
#ifndef K6FLEET_ALLOW_H
#define K6FLEET_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* A block of addresses.  An IPv4 block is stored as IPv4-mapped IPv6 (RFC 4291): its bits are 96
 * to 128. */
struct allow_block {
	uint8_t address[16];
	unsigned int bits;
};

/* Checks an entry of the list as written in the configuration.  Returns 0, or -1 and err. */
int allow_check(const char *entry, struct err *err);
/* Whether the list allows the host, which is a name or an address without brackets. */
bool allow_host(const char *const entries[], size_t count, const char *host);
/* Parses an address or a CIDR: "10.0.0.0/8", "::1".  Returns false for any other text, for
 * example a name. */
bool allow_parse_block(const char *text, struct allow_block *out);
/* Returns ".example.org" of "*.example.org", borrowed; NULL if the entry is no such pattern. */
const char *allow_suffix(const char *entry);
/* Calls block() for each CIDR of the complement: the addresses that are in no block of
 * `allowed`. */
void allow_invert(const struct allow_block *allowed, size_t count,
	void (*block)(void *arg, const char *cidr), void *arg);
/* Returns the host of an http(s) URL in lower case, without user, brackets and port; the caller
 * frees it.  Returns NULL if the URL has no host that k6 would understand. */
char *allow_url_host(const char *url);

#endif
