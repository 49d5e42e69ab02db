/* SPDX-License-Identifier: MIT */
/* How a process ended, in words. */
#ifndef K6FLEET_EXIT_STATUS_H
#define K6FLEET_EXIT_STATUS_H

#define EXIT_STATUS_TEXT_MAX 64

/* Writes "signal 9 (Killed)" or "exit status 1" for a status of waitpid(2) into buf, and returns
 * buf. */
const char *exit_status_text(int wait_status, char buf[EXIT_STATUS_TEXT_MAX]);

#endif
