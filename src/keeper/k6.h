/* SPDX-License-Identifier: MIT */
/* Finds the k6 binary by its name, at the start and again at each reload. */
#ifndef K6FLEET_KEEPER_K6_H
#define K6FLEET_KEEPER_K6_H

#include "agent/k6bin.h"
#include "common/err.h"
#include "common/found.h"
#include "common/k6version.h"
#include "keeper/keeper.h"

/* Whether the fleet may run without a k6: true if k6.binary is the path of its package, which
 * may be installed later. */
bool k6_is_optional(const struct conf *conf);
/* Opens the file at k6.binary on the host.  by_fd: it will be executed by its descriptor, which
 * is necessary once the keeper is in the agents' root.  Returns 0, and the caller closes
 * out->fd; or -1 and err if there is no executable file. */
int k6_find(const struct conf *conf, bool by_fd, struct k6bin *out, struct err *err);
/* Looks whether the file at k6.binary has changed, and asks a changed one for its version, which
 * takes up to some seconds.  FOUND: a supported k6 other than the one in use; the caller closes
 * out->fd.  NOT_FOUND: nothing has changed. */
enum found k6_look_again(const struct keeper *k, const struct conf *conf, struct k6bin *out,
	char version[K6VERSION_MAX], struct err *err);
/* Takes over k6 for all new workers, makes the living ones stale and tells the supervisor. */
void k6_use(struct keeper *k, const struct k6bin *k6, const char *version);

#endif
