/* SPDX-License-Identifier: MIT */
/* sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. */
#ifndef K6FLEET_NOTIFY_H
#define K6FLEET_NOTIFY_H

#include <stdbool.h>

#include "common/err.h"

/* Connects to $NOTIFY_SOCKET, if it is set.  Must be called before the process leaves the host's
 * root, where the path leads to the socket. */
void notify_open(void);
/* Whether the process has a connected socket. */
bool notify_is_open(void);
/* Returns the connected socket, which stays notify's, or -1. */
int notify_fd(void);
/* Takes over the socket that an earlier image of this process connected; -1: none. */
void notify_use(int fd);
/* Sends the text, as sd_notify(3) has it.  Does nothing without a socket; a failure is ignored. */
void notify_send(const char *fmt, ...) _printf_(1, 2);

#endif
