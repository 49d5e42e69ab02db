/* SPDX-License-Identifier: MIT */
/* Whole reads and writes on blocking descriptors, and sealed memfds. */
#ifndef K6FLEET_FDIO_H
#define K6FLEET_FDIO_H

#include <stddef.h>

#include "common/err.h"

/* All of it, over interruptions and short writes; 0, or -1 with errno. */
int fdio_write_all(int fd, const void *data, size_t len);
/* Up to len bytes, until the end or an error; how many it got. */
size_t fdio_read_all(int fd, void *buf, size_t len);
/* A whole file of up to max bytes with a NUL behind it, opened with these flags of open(2) besides reading;
 * the caller frees.  NULL and err. */
char *fdio_read_file(const char *path, int flags, size_t max, size_t *len, struct err *err);
/* A sealed memfd with these bytes, which the caller closes: who it is handed to can read it and
 * nobody change it.  -1 and err, which calls it `name`. */
int fdio_seal(const char *name, const void *data, size_t len, struct err *err);

#endif
