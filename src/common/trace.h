/* SPDX-License-Identifier: MIT */
/*
 * Static probes (USDT) of k6fleetd, for bpftrace, perf, SystemTap and gdb; provider k6fleet.
 * Built where configure finds sys/sdt.h.  A probe that nobody has attached to is one nop; its
 * arguments are values that the caller has anyway, in a register or on the stack.  HACKING.md
 * shows how to attach.
 */
#ifndef K6FLEET_TRACE_H
#define K6FLEET_TRACE_H

#include "config.h"

#ifdef HAVE_PROBES
#include <sys/sdt.h>
#define TRACE3(name, a, b, c) DTRACE_PROBE3(k6fleet, name, a, b, c)
#define TRACE4(name, a, b, c, d) DTRACE_PROBE4(k6fleet, name, a, b, c, d)
#else
#define TRACE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define TRACE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

/* In the keeper: a worker was forked.  unsigned slot, uint64_t generation, int pid. */
#define TRACE_SPAWN(slot, generation, pid) TRACE3(spawn, slot, generation, pid)
/* In the keeper: a worker was reaped.  unsigned slot, uint64_t generation, int pid, int status
 * of waitpid(2). */
#define TRACE_EXITED(slot, generation, pid, status) TRACE4(exited, slot, generation, pid, status)
/* In the worker: its k6 was executed.  unsigned slot, const char *run id, int pid of k6 in the
 * worker's namespace. */
#define TRACE_RUN_BEGIN(slot, run_id, pid) TRACE3(run_begin, slot, run_id, pid)
/* In the worker: a run is over and its result is about to be sent.  unsigned slot, const char
 * *run id, int status of waitpid(2) of k6.  Without a run_begin before it k6 could not be
 * executed. */
#define TRACE_RUN_END(slot, run_id, status) TRACE3(run_end, slot, run_id, status)

#endif
