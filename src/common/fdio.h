/* SPDX-License-Identifier: MIT */
/* Whole reads and writes on blocking descriptors, directories with their parents, and sealed
 * memfds. */
#ifndef K6FLEET_FDIO_H
#define K6FLEET_FDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* Writes all len bytes, over interruptions and short writes.  Returns 0, or -1 with errno. */
int fdio_write_all(int fd, const void *data, size_t len);
/* Reads until len bytes, the end, or an error.  Returns how many bytes it read; errno is set
 * only after an error, so a caller that has to tell an error from the end clears errno first, or
 * takes fdio_read_all(). */
size_t fdio_read_upto(int fd, void *buf, size_t len);
/* Reads all that the descriptor has: a regular file or memfd from its beginning, wherever its
 * offset is, a pipe to its end.  Returns the bytes with a NUL behind them, which *len (may be
 * NULL) does not count; the caller frees.  NULL and err, which calls the descriptor `name`, if
 * reading fails or there are more than max bytes (ERR_TOO_LARGE). */
char *fdio_read_all(int fd, const char *name, size_t max, size_t *len, struct err *err);
/* fdio_read_all() of a file, opened with these flags of open(2) besides O_RDONLY and O_CLOEXEC. */
char *fdio_read_file(const char *path, int flags, size_t max, size_t *len, struct err *err);

/* Makes the directory with this mode, and its missing parents with 0755, as `mkdir -p` does.  If
 * it makes the directory, it gives it to uid and gid; -1 for either leaves that one as it is
 * (chown(2)).  A directory that exists is left as it is.  Returns 0, or -1 and err. */
int fdio_mkdir_parents(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err);

/* Returns a sealed memfd with these bytes, which the caller closes: whoever receives it can read
 * it and nobody can change it.  -1 and err, which calls it `name`. */
int fdio_seal(const char *name, const void *data, size_t len, struct err *err);

/* Closes the descriptors from first to last, both included, however many there are.  With
 * unshare the process, if it shares its table of descriptors (CLONE_FILES), first gets its own
 * copy, made without these. Returns 0, or -1 with errno.  It calls close_range(2) itself: some C
 * libraries do not declare it. */
int fdio_close_range(unsigned first, unsigned last, bool unshare);

#endif
