/* SPDX-License-Identifier: MIT */
/*
 * Ownership of memory and descriptors: cleanup attributes for locals, steal_*() to move
 * ownership, and allocators that end the process instead of returning NULL.  A daemon that
 * cannot get a few hundred bytes cannot report the failure either; its parent restarts it.
 */
#ifndef K6FLEET_MEM_H
#define K6FLEET_MEM_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Never NULL: without memory they print a line to standard error and abort(3).  The caller
 * frees. */
void *x_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *x_realloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *x_strdup(const char *s) __attribute__((malloc, returns_nonnull, nonnull));
char *x_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull, nonnull));
char *x_asprintf(const char *fmt, ...)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 2)));
/* Returns zeroed memory that children do not inherit (madvise(2), MADV_DONTFORK): a page that
 * the parent writes after a fork would otherwise be kept twice.  The caller frees with
 * munmap(2). */
void *mem_unshared(size_t size) __attribute__((malloc, returns_nonnull));
/* Makes free() return blocks of 8 KiB and more to the kernel at once, where the C library can
 * (mallopt(3)). To be called first, because it touches the whole heap. */
void mem_return_blocks(void);
/* Returns the heap's free pages to the kernel, where the C library can (malloc_trim(3)). */
void mem_trim(void);
/* Overwrites a secret; the compiler may not optimise this away. */
void mem_wipe(void *p, size_t n);

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_fd_ _cleanup_(cleanup_fd)
#define _cleanup_file_ _cleanup_(cleanup_file)

/* clang-format off */
/* Returns the pointer and leaves NULL in its place. */
#define steal_ptr(p)                                                                               \
	({                                                                                         \
		__typeof__(p) stolen_ = (p);                                                       \
		(p) = NULL;                                                                        \
		stolen_;                                                                           \
	})
/* clang-format on */

/* Returns the descriptor and leaves -1 in its place. */
static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* Closes *fd if it is open, and sets it to -1. */
static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
