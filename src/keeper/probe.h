/* SPDX-License-Identifier: MIT */
/* Asks the k6 binary for its version, once, inside a sandbox like a worker's. */
#ifndef K6FLEET_PROBE_H
#define K6FLEET_PROBE_H

#include <stddef.h>

#include "agent/sandbox.h"
#include "common/conf.h"
#include "common/err.h"

/* First bytes of what `k6 version` printed into out, unparsed.  An error only when the binary
 * cannot be executed at all. */
int probe_k6(const struct sandbox *sb, const struct conf *conf, int k6_fd, char *out, size_t size,
	struct err *err);

#endif
