/* SPDX-License-Identifier: MIT */
/* Tells whether a file is still the one that it was: by device, inode, size and time of change,
 * as make(1) and package managers do. */
#ifndef K6FLEET_FILESTAMP_H
#define K6FLEET_FILESTAMP_H

#include <stdbool.h>
#include <sys/stat.h>

struct filestamp {
	dev_t dev;
	ino_t inode;
	off_t size;
	struct timespec modified;
};

/* Fills out with the stamp of the open file.  Returns 0, or -1 with errno and *out as it was. */
int filestamp_take(int fd, struct filestamp *out);
bool filestamp_is_same(const struct filestamp *a, const struct filestamp *b);
/* Whether the open file has this stamp; false also if it cannot be looked at. */
bool filestamp_fits(const struct filestamp *stamp, int fd);

#endif
