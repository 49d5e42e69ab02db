/* SPDX-License-Identifier: MIT */
/* Unix stream sockets by path, also where the path is longer than sun_path holds; TCP sockets to
 * listen on. */
#ifndef K6FLEET_SOCK_H
#define K6FLEET_SOCK_H

#include <sys/types.h>

#include "common/err.h"

/* Connected descriptor, or -1 with errno kept (ENOENT, ECONNREFUSED, EACCES ...). */
int sock_connect(const char *path, struct err *err);
/* Bound and listening descriptor with the mode and group given (gid -1: leave it), and by an access
 * control list for a second group (-1: none).  A dead socket file is replaced; where somebody
 * answers, -1 with errno EADDRINUSE.  The parent directory must exist. */
int sock_listen(const char *path, mode_t mode, gid_t gid, gid_t second_gid, struct err *err);
/* Whether value is ADDR:PORT or [ADDR6]:PORT. */
int sock_check_address(const char *value, struct err *err);
/* Bound and listening, non-blocking; -1 with errno kept (EADDRINUSE ...). */
int sock_listen_tcp(const char *address, struct err *err);

#endif
