/* SPDX-License-Identifier: MIT */
/* Unix stream sockets by path, which may be longer than sun_path; listening TCP sockets. */
#ifndef K6FLEET_SOCK_H
#define K6FLEET_SOCK_H

#include <sys/types.h>

#include "common/err.h"

/* Returns a connected socket, which the caller closes; or -1 with err (which may be NULL) and
 * errno (ENOENT, ECONNREFUSED, EACCES ...). */
int sock_connect(const char *path, struct err *err);
/* Returns a listening socket, which the caller closes.  Its file has this mode and group (gid
 * -1: the process's), and an access control list for a second group (-1: none).  A socket file
 * that nobody listens on is replaced; if somebody does, returns -1 with errno EADDRINUSE.  Other
 * failures: -1 and err.  The parent directory must exist. */
int sock_listen(const char *path, mode_t mode, gid_t gid, gid_t second_gid, struct err *err);
/* Returns 0 if value is ADDR:PORT or [ADDR6]:PORT, else -1 and err. */
int sock_check_address(const char *value, struct err *err);
/* Returns a listening, non-blocking socket, which the caller closes; or -1 with err and errno
 * (EADDRINUSE ...). */
int sock_listen_tcp(const char *address, struct err *err);

#endif
