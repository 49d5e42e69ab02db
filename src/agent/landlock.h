/* SPDX-License-Identifier: MIT */
/* Landlock, landlock(7): a second wall behind the mount namespace, and the only one against
 * signals and abstract sockets, which belong to no mount. */
#ifndef K6FLEET_LANDLOCK_H
#define K6FLEET_LANDLOCK_H

/* The kernel's ABI version; 0 where Landlock is missing or switched off. */
int landlock_abi(void);
/* For the calling thread and all that it starts, for good: below "/" reading and executing only,
 * below the NULL-terminated list of directories everything but executing and devices, /dev
 * writable; from ABI 6 on no signal to, and no abstract socket of, anybody outside.  Needs
 * no_new_privs.  exe_fd: a file from outside that may be executed, too; -1: none.
 * Async-signal-safe; 0, or -1 with errno. */
int landlock_confine(int abi, const char *const *writable, int exe_fd);

#endif
