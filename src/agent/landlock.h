/* SPDX-License-Identifier: MIT */
/* landlock(7): a second barrier behind the mount namespace, and the only one for signals and
 * abstract sockets, which belong to no mount. */
#ifndef K6FLEET_LANDLOCK_H
#define K6FLEET_LANDLOCK_H

/* Returns the kernel's ABI version; 0 if Landlock is missing or switched off. */
int landlock_abi(void);
/* Confines the calling thread and all processes that it starts, for good.  Below "/" they may
 * read and execute only; below the directories of the NULL-terminated list they may do
 * everything but execute and make devices; /dev is writable.  From ABI 6 on they cannot send
 * signals to processes outside, or connect to their abstract sockets.  Needs no_new_privs.
 * exe_fd: a file from outside that may be executed, too; -1: none.  Async-signal-safe.  Returns
 * 0, or -1 with errno. */
int landlock_confine(int abi, const char *const *writable, int exe_fd);

#endif
