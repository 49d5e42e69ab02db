/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target, without libFuzzer, on each file of its corpus: TAP, a test a file. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/fdio.h"
#include "common/mem.h"

#define SEED_MAX_BYTES (1 << 24)

static int is_file(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* Returns the number of files that were tried, -1 if there is no such directory. */
static int replay(const char *dir, int done)
{
	struct dirent **files;
	int count = scandir(dir, &files, is_file, alphasort);

	for (int i = 0; i < count; i++) {
		_cleanup_free_ char *path = x_asprintf("%s/%s", dir, files[i]->d_name);
		struct err err;
		size_t len;
		_cleanup_free_ char *data = fdio_read_file(path, 0, SEED_MAX_BYTES, &len, &err);
		/* Without the NUL behind it, so that a sanitizer sees who reads too far. */
		_cleanup_free_ uint8_t *exact = x_calloc(len, 1);

		if (!data) {
			printf("Bail out! %s\n", err.msg);
			exit(1);
		}
		memcpy(exact, data, len);
		LLVMFuzzerTestOneInput(exact, len);
		printf("ok %d - %s\n", done + i + 1, files[i]->d_name);
		fflush(stdout);
		free(files[i]);
	}
	if (count >= 0)
		free(files);
	return count;
}

int main(void)
{
	const char *top = getenv("top_srcdir");
	_cleanup_free_ char *dir =
		x_asprintf("%s/tests/fuzz/corpus/%s", top ? top : ".", FUZZ_NAME);
	int count = replay(dir, 0);

	if (count <= 0)
		printf("not ok 1 - %s has no file\n", dir);
	printf("1..%d\n", count > 0 ? count : 1);
	return 0;
}
