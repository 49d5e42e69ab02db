/* SPDX-License-Identifier: MIT */
/* Which k6 is run: found by its name at the start and again at each reload. */
#ifndef K6FLEET_KEEPER_K6_H
#define K6FLEET_KEEPER_K6_H

#include "agent/k6bin.h"
#include "common/err.h"
#include "common/k6version.h"
#include "keeper/keeper.h"

/* Whether the fleet may be up without one: it is looked for where its package puts it. */
bool k6_is_optional(const struct conf *conf);
/* What lies at k6.binary on the host.  Out of the agents' root it can only be executed by its
 * descriptor.  -1 and err when it is no executable file. */
int k6_find(const struct conf *conf, bool by_fd, struct k6bin *out, struct err *err);
/* Looks again, for this configuration.  1: another file lies there, or other contents, and it is a k6
 * that is supported, with its version; 0: the same as before; -1 and err.  Changes nothing. */
int k6_look_again(const struct keeper *k, const struct conf *conf, struct k6bin *out,
	char version[K6VERSION_MAX], struct err *err);
/* New workers run it from now on, idle ones are to be replaced, the supervisor is told. */
void k6_use(struct keeper *k, const struct k6bin *k6, const char *version);

#endif
