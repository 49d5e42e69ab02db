/* SPDX-License-Identifier: MIT */
/*
 * System call filters, seccomp(2).  Built with libseccomp once, exported as a sorted BPF program,
 * and loaded wherever it is needed with one system call: building one in each child would cost
 * more than the rest of its start.
 */
#ifndef K6FLEET_FILTER_H
#define K6FLEET_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#include "common/err.h"

enum filter_kind {
	/* k6fleet-supervisor: network, files, threads; no exec, no child process */
	FILTER_SUPERVISOR,
	/* a worker and, since filters are inherited, everything below it */
	FILTER_AGENT,
	/* k6: what FILTER_AGENT allows, less what only the worker needs to put k6 in its cage */
	FILTER_K6,
	/* the child that reads a summary: memory, one file, one pipe */
	FILTER_PARSER,
	FILTER_KINDS,
};

/* Owned by the caller; filter_free() gives it back. */
struct filter {
	struct sock_filter *code;
	size_t len; /* instructions; 0: none */
};

/* An error when the kernel or the library cannot do it. */
int filter_build(enum filter_kind kind, struct filter *out, struct err *err);
void filter_free(struct filter *f);
/* For the calling thread and all that it starts, for good.  Needs no_new_privs.
 * Async-signal-safe; 0, or -1 with errno. */
int filter_load(const struct filter *f);

/* Builds a filter and loads it for the calling thread and all threads that it starts later.  Returns 0, or
 * -1 and err: ERR_UNSUPPORTED if the kernel or libseccomp cannot make filters, so that nothing was
 * loaded and the caller may choose to go on without one. */
int filter_confine_self(enum filter_kind kind, struct err *err);

#endif
