/* SPDX-License-Identifier: MIT */
/* The files of the web pages, read once at the start: index.html, and all below assets/, whose names change with
 * what is in them (contrib/stage-www.sh), so that browsers may keep them for good. */
#ifndef K6FLEET_DASHBOARD_ASSETS_H
#define K6FLEET_DASHBOARD_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "dashboard/etag.h"

struct asset {
	char *path;        /* "/index.html", "/assets/…" */
	const char *type;  /* Content-Type */
	char *text, *gzip; /* gzip: NULL where there is no FILE.gz beside it */
	size_t len, gzip_len;
	char etag[ETAG_MAX];
};

struct assets;

/* NULL: with what is wrong.  Links are not followed. */
struct assets *assets_load(const char *dir, struct err *err);
void assets_free(struct assets *a);
const struct asset *assets_find(const struct assets *a, const char *path);

#endif
