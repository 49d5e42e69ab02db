/* SPDX-License-Identifier: MIT */
/*
 * System call filters, seccomp(2).  A filter is built once with libseccomp and exported as a BPF
 * program, which a process loads with one system call.  Building it in each child would take
 * longer than the rest of the child's start.
 */
#ifndef K6FLEET_FILTER_H
#define K6FLEET_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#include "common/err.h"

enum filter_kind {
	/* k6fleet-supervisor: network, files, threads; no exec, no child process */
	FILTER_SUPERVISOR,
	/* a worker and, because filters are inherited, all its descendants */
	FILTER_AGENT,
	/* k6: as FILTER_AGENT, without the calls by which the worker confines k6 */
	FILTER_K6,
	/* the child that reads a summary: memory, one file, one pipe */
	FILTER_PARSER,
	FILTER_KINDS,
};

/* Freed with filter_free(). */
struct filter {
	struct sock_filter *code;
	size_t len; /* instructions; 0: none */
};

/* Builds a filter into out, which the caller frees.  Returns 0, or -1 and err if the kernel or
 * libseccomp cannot. */
int filter_build(enum filter_kind kind, struct filter *out, struct err *err);
void filter_free(struct filter *f);
/* Loads the filter for the calling thread and all threads and processes that it starts later,
 * for good.  Needs no_new_privs.  Async-signal-safe.  Returns 0, or -1 with errno. */
int filter_load(const struct filter *f);

/* Builds a filter and loads it for the calling thread and all threads that it starts later.
 * Returns 0, or -1 and err: ERR_UNSUPPORTED if the kernel or libseccomp cannot make filters, so
 * that nothing was loaded and the caller may choose to go on without one. */
int filter_confine_self(enum filter_kind kind, struct err *err);

#endif
