/* SPDX-License-Identifier: MIT */
/* cgroups(7): the lowest limit of the cgroup and all its parents counts. */
#include "keeper/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

/* Returns the number in the file; INT64_MAX for "max" or if there is no file. */
static int64_t read_limit(const char *dir, const char *file)
{
	_cleanup_free_ char *path = x_asprintf("%s/%s", dir, file);
	_cleanup_file_ FILE *f = fopen(path, "re");
	long long n;

	return f && fscanf(f, "%lld", &n) == 1 && n > 0 ? n : INT64_MAX;
}

static int64_t tightest(const char *mount, const char *path, const char *file)
{
	_cleanup_free_ char *dir = x_asprintf("%s%s", mount, path);
	size_t stop = strlen(mount);
	int64_t least = INT64_MAX;

	for (;;) {
		int64_t n = read_limit(dir, file);
		char *slash;

		if (n < least)
			least = n;
		slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < stop)
			return least;
		*slash = '\0';
	}
}

int64_t memory_available(void)
{
	int64_t least = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	_cleanup_file_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096];

	/* "4:memory:/PATH" is v1, "0::/PATH" is v2. */
	while (f && fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':'), *path = NULL;
		int64_t n = INT64_MAX;

		line[strcspn(line, "\n")] = '\0';
		if (controllers)
			path = strchr(++controllers, ':');
		if (!path)
			continue;
		*path++ = '\0';
		if (!strncmp(line, "0:", 2)) {
			n = tightest("/sys/fs/cgroup", path, "memory.max");
		} else if (!strcmp(controllers, "memory")) {
			/* In a container the path is that of the host, and the mount shows the
			 * container's cgroup at its top. */
			int64_t own = read_limit("/sys/fs/cgroup/memory", "memory.limit_in_bytes");

			n = tightest("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
			n = own < n ? own : n;
		}
		if (n < least)
			least = n;
	}
	return least;
}
