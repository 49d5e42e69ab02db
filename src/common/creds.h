/* SPDX-License-Identifier: MIT */
/* Changes user and capabilities of a process, and reads secrets. */
#ifndef K6FLEET_CREDS_H
#define K6FLEET_CREDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

struct creds {
	uid_t uid;
	gid_t gid;
};

/* Whether the process can become another user.  Root cannot in a container that withholds the
 * capabilities; it is then treated as an ordinary user. */
bool creds_may_change(void);
/* Fills out with the ids of the user.  Returns 0, or -1 and err, which says how to make the
 * user. */
int creds_find(const char *user, struct creds *out, struct err *err);
/* Becomes the user for good: sets the supplementary groups to `groups` (may be empty), then gid,
 * then uid, and checks each.  All capabilities are lost with the uid (capabilities(7)); the
 * bounding set is emptied if the process may, and no_new_privs is set.  Returns 0, or -1 and
 * err; after an error the process must end. */
int creds_become(const struct creds *to, const gid_t *groups, size_t n, struct err *err);
/* Reads the bounding set once and allocates the memory for dropping capabilities, so that this
 * process and its forks need not.  Must be called again after another change of the bounding
 * set, as by unshare(2) with CLONE_NEWUSER. */
void creds_prepare(void);
/* Drops all capabilities from all sets and sets no_new_privs.  Returns 0, or -1 and err. */
int creds_drop_all_caps(struct err *err);
/* *out gets the first line of the file, which the caller wipes and frees.  Returns 0, or -1 and
 * err if the file cannot be read, others may read it, or the line is empty or over max bytes. */
int creds_read_secret(const char *path, size_t max, char **out, struct err *err);
/* Returns the path of a credential of the service manager (systemd.exec(5), "Credentials"),
 * which the caller frees.  NULL: there is none, or it is the empty line that the units set if
 * the file is missing (SetCredential=). */
char *creds_given(const char *name);

#endif
