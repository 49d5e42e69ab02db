/* SPDX-License-Identifier: MIT */
/* How much memory there is for us. */
#ifndef K6FLEET_MEMORY_H
#define K6FLEET_MEMORY_H

#include <stdint.h>

/* Bytes: of the host, or less where a cgroup of ours (v1 or v2) is given less.  To be asked before the
 * host's root is left. */
int64_t memory_available(void);

#endif
