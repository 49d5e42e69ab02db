/* SPDX-License-Identifier: MIT */
/* sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. */
#ifndef K6FLEET_NOTIFY_H
#define K6FLEET_NOTIFY_H

#include <stdbool.h>

#include "common/err.h"

/* Looks at NOTIFY_SOCKET and connects to it, while its path can still be seen. */
void notify_open(void);
/* Whether a service manager listens. */
bool notify_is_open(void);
/* The connected socket, or -1; and going on with one that an earlier process image had. */
int notify_fd(void);
void notify_use(int fd);
/* Without NOTIFY_SOCKET it does nothing; a failure is nobody's concern. */
void notify_send(const char *fmt, ...) _printf_(1, 2);

#endif
