/* SPDX-License-Identifier: MIT */
/* What the keeper keeps of root's powers. */
#ifndef K6FLEET_PRIVS_H
#define K6FLEET_PRIVS_H

#include "common/err.h"

/* Cuts the capability sets and the bounding set, of root or of the user namespace that an ordinary
 * user's keeper has made, to what it needs from then on, and forbids gaining more by exec. */
int privs_limit(struct err *err);
/* Before an execve() of the keeper's own next image: what privs_limit() left survives it, also for
 * a user who is not root.  The image calls privs_limit() again. */
int privs_pass_on(struct err *err);
/* NOFILE as high as the hard limit allows; error when `need` is more than that. */
int privs_raise_files(unsigned long need, struct err *err);

#endif
