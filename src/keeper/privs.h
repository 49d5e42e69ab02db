/* SPDX-License-Identifier: MIT */
/* Limits the capabilities of the keeper and raises its limit of open files. */
#ifndef K6FLEET_PRIVS_H
#define K6FLEET_PRIVS_H

#include "common/err.h"

/* Reduces the capability sets and the bounding set to the capabilities that a running keeper
 * needs, and forbids gaining more by exec.  An ordinary user's keeper has them in its own user
 * namespace.  Returns 0, or -1 and err. */
int privs_limit(struct err *err);
/* Makes the capabilities that privs_limit() left survive an execve() of the keeper's next image,
 * also for a user who is not root.  The next image calls privs_limit() again.  Returns 0, or -1
 * and err. */
int privs_pass_on(struct err *err);
/* Raises RLIMIT_NOFILE to the hard limit.  Returns 0, or -1 and err if the hard limit is below
 * `need`. */
int privs_raise_files(unsigned long need, struct err *err);

#endif
