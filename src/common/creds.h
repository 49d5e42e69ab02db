/* SPDX-License-Identifier: MIT */
/* Users, capabilities and secrets: what programs started as root do before anything else. */
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

/* Whether this process may become other users: root may not in a container that withholds the
 * capabilities, and is then like any ordinary user. */
bool creds_may_change(void);
/* The named user; the error says how to make it. */
int creds_find(const char *user, struct creds *out, struct err *err);
/* Becomes that user for good: supplementary groups to `groups` (may be empty), then gid, then
 * uid, each checked.  Capabilities go with the uid (capabilities(7)); the bounding set and
 * no_new_privs are cut where the process may. */
int creds_become(const struct creds *to, const gid_t *groups, size_t n, struct err *err);
/* Looks at the bounding set anew and makes what dropping capabilities needs, for this process and
 * those that it forks.  Needed again after something else has changed the bounding set, as
 * unshare(2) with CLONE_NEWUSER does. */
void creds_prepare(void);
/* Drops every capability in every set and sets no_new_privs. */
int creds_drop_all_caps(struct err *err);
/* First line of the file, as the secret.  Refuses one that others may read, an empty one and
 * one over max.  The caller frees and wipes. */
int creds_read_secret(const char *path, size_t max, char **out, struct err *err);
/* Where the service manager has put a credential of that name (systemd.exec(5), "Credentials"); NULL:
 * there is none, or the empty line that the units have in the place of a file that is missing
 * (SetCredential=).  The caller frees. */
char *creds_given(const char *name);

#endif
