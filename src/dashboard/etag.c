/* SPDX-License-Identifier: MIT */
/* A tag is a hash of the body, so two bodies with one tag are possible and harmless: a page
 * would be shown late. */
#include "dashboard/etag.h"

#include <stdio.h>
#include <string.h>

#include "common/hash.h"

void etag_make(const char *body, char *out)
{
	snprintf(out, ETAG_MAX, "\"%016llx\"", (unsigned long long)hash_text(HASH_START, body));
}

bool etag_matches(const char *header, const char *etag)
{
	return header && (!strcmp(header, "*") || strstr(header, etag) != NULL);
}
