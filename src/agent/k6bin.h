/* SPDX-License-Identifier: MIT */
/* The k6 that runs are made with: one opened file, known by what it was when k6 told its version. */
#ifndef K6FLEET_K6BIN_H
#define K6FLEET_K6BIN_H

#include <stdbool.h>
#include <sys/stat.h>

struct k6bin {
	int fd;     /* O_PATH; -1: none */
	bool by_fd; /* another one than lies in the agents' root: executed by its descriptor */
	bool has_es_modules; /* k6version_has_es_modules() */
	/* What it was when it told its version. */
	dev_t dev;
	ino_t inode;
	off_t size;
	struct timespec modified;
};

/* Remembers what the file behind fd, which is taken over, is now. */
int k6bin_note(struct k6bin *k6, int fd, bool by_fd);
/* Whether the file is still what it was: one that is overwritten in place may be another version. */
bool k6bin_is_unchanged(const struct k6bin *k6);
/* Whether both are the same file with the same contents. */
bool k6bin_is_same(const struct k6bin *a, const struct k6bin *b);

#endif
