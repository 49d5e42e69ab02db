/* SPDX-License-Identifier: MIT */
/* How much memory k6fleet may use. */
#ifndef K6FLEET_MEMORY_H
#define K6FLEET_MEMORY_H

#include <stdint.h>

/* Returns bytes: the memory of the host, or the limit of the process's cgroup (v1 or v2) if that
 * is lower.  Must be called before the process leaves the host's root, because it reads /proc
 * and /sys. */
int64_t memory_available(void);

#endif
