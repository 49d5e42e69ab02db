/* SPDX-License-Identifier: MIT */
/* Asks the k6 binary for its version, once, inside a sandbox like a worker's. */
#ifndef K6FLEET_PROBE_H
#define K6FLEET_PROBE_H

#include "agent/k6bin.h"
#include "agent/sandbox.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/k6version.h"

/* Runs `k6 version` and waits for it, 10 s at most.  Returns 0 with the version, and with
 * k6->has_es_modules set; or -1 and err, which says why the binary cannot be used. */
int probe_k6(const struct sandbox *sb, const struct conf *conf, struct k6bin *k6,
	char version[K6VERSION_MAX], struct err *err);

#endif
