/* SPDX-License-Identifier: MIT */
/* The allocators write their message without stdio, which may allocate. */
#include "config.h"

#include "common/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static void *or_die(void *p)
{
	if (!p) {
		static const char msg[] = "k6fleet: out of memory\n";

		if (write(STDERR_FILENO, msg, sizeof(msg) - 1) < 0)
			_exit(71);
		abort();
	}
	return p;
}

void *x_calloc(size_t n, size_t size)
{
	return or_die(calloc(n ? n : 1, size ? size : 1));
}

void *x_realloc(void *p, size_t n, size_t size)
{
	return or_die(reallocarray(p, n ? n : 1, size ? size : 1));
}

char *x_strdup(const char *s)
{
	return or_die(strdup(s));
}

char *x_strndup(const char *s, size_t n)
{
	return or_die(strndup(s, n));
}

char *x_asprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return or_die(n < 0 ? NULL : s);
}

void mem_return_blocks(void)
{
#ifdef HAVE_MALLOPT
	mallopt(M_MMAP_THRESHOLD, 8192);
#endif
}

void mem_trim(void)
{
#ifdef HAVE_MALLOC_TRIM
	malloc_trim(0);
#endif
}

void mem_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

void *mem_unshared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		p = NULL;
	else
		madvise(p, size, MADV_DONTFORK);
	return or_die(p);
}
