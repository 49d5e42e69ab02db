/* SPDX-License-Identifier: MIT */
/* Walks the directory of the pages once. A file that changes later is not noticed. */
#include "dashboard/assets.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/mem.h"

#define FILES_MAX 256
#define FILE_MAX_BYTES (1024 * 1024)

struct assets {
	struct asset list[FILES_MAX];
	size_t count;
};

static const char *type_of(const char *path)
{
	static const struct {
		const char *suffix, *type;
	} types[] = {
		{".html", "text/html; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},
		{".svg", "image/svg+xml"},
		{".json", "application/json"},
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(types); i++) {
		if (!strcmp(dot, types[i].suffix))
			return types[i].type;
	}
	return "text/plain; charset=utf-8";
}

static int add(struct assets *a, const char *dir, const char *file, struct err *err)
{
	_cleanup_free_ char *packed = x_asprintf("%s.gz", file);
	struct asset *new = &a->list[a->count];

	if (a->count == FILES_MAX)
		return err_set(err, "there are more than %d files in %s", FILES_MAX, dir);
	new->text = fdio_read_file(file, O_NOFOLLOW, FILE_MAX_BYTES, &new->len, err);
	if (!new->text)
		return -1;
	new->path = x_strdup(file + strlen(dir));
	new->type = type_of(new->path);
	etag_make(new->text, new->etag);
	a->count++;
	if (access(packed, F_OK) < 0)
		return 0;
	new->gzip = fdio_read_file(packed, O_NOFOLLOW, FILE_MAX_BYTES, &new->gzip_len, err);
	return new->gzip ? 0 : -1;
}

static bool is_packed(const char *file)
{
	size_t len = strlen(file);

	return len > 3 && !strcmp(file + len - 3, ".gz");
}

struct assets *assets_load(const char *dir, struct err *err)
{
	char *const paths[] = {(char *)(uintptr_t)dir, NULL};
	struct assets *a = x_calloc(1, sizeof(*a));
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *e;
	int rc = 0;

	while (rc == 0 && tree && (e = fts_read(tree))) {
		if (e->fts_info == FTS_F && !is_packed(e->fts_path))
			rc = add(a, dir, e->fts_path, err);
	}
	if (tree)
		fts_close(tree);
	if (rc == 0 && !assets_find(a, "/index.html"))
		rc = err_set(err, "there is no index.html in %s", dir);
	if (rc == 0)
		return a;
	assets_free(a);
	return NULL;
}

void assets_free(struct assets *a)
{
	for (size_t i = 0; a && i < a->count; i++) {
		free(a->list[i].path);
		free(a->list[i].text);
		free(a->list[i].gzip);
	}
	free(a);
}

const struct asset *assets_find(const struct assets *a, const char *path)
{
	for (size_t i = 0; i < a->count; i++) {
		if (!strcmp(a->list[i].path, path))
			return &a->list[i];
	}
	return NULL;
}
