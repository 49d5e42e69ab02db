/* SPDX-License-Identifier: MIT */
/* The files of the web pages, read once at the start: index.html, and all files below assets/.
 * The path of an asset changes with its content (contrib/stage-www.sh), so browsers may cache it
 * for ever. */
#ifndef K6FLEET_DASHBOARD_ASSETS_H
#define K6FLEET_DASHBOARD_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "dashboard/etag.h"

struct asset {
	char *path;        /* "/index.html", "/assets/…" */
	const char *type;  /* Content-Type */
	char *text, *gzip; /* gzip: the content of FILE.gz, NULL without such a file */
	size_t len, gzip_len;
	char etag[ETAG_MAX];
};

struct assets;

/* Reads all files below dir; symbolic links are not followed.  Returns NULL with err;
 * assets_free() frees them. */
struct assets *assets_load(const char *dir, struct err *err);
/* NULL is allowed. */
void assets_free(struct assets *a);
/* Returns the file of a path like "/assets/…/app.js", or NULL.  Valid until assets_free(). */
const struct asset *assets_find(const struct assets *a, const char *path);

#endif
