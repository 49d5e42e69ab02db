/* SPDX-License-Identifier: MIT */
/*
 * The files that the keeper has handed over, by number (enum handover_fd of keeper/handover.h):
 * whether each exists, and the content of the configuration and of the secret.
 */
#ifndef K6FLEET_HANDED_H
#define K6FLEET_HANDED_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/msg.h"

/* The first act of the process: a number without a file gets /dev/null, so that nothing else is
 * opened there and a reload can bring the file later.  Ends the process if a number is taken by
 * something else. */
void handed_reserve_numbers(void);
/* Whether the keeper has handed over the file of this number. */
bool handed_has(int fd);
/* Returns the configuration, which the caller frees with conf_free(); NULL and err if it is
 * missing or cannot be read.  Paths of TLS files in it lead to the handed-over copies. */
struct conf *handed_read_config(struct err *err);
/* Returns the dashboard's secret, NULL if there is none; the caller wipes and frees it.  Ends
 * the process if it cannot be read. */
char *handed_read_secret(void);
/* KEEPER_FILE: fd takes the place of the file of that number and is closed.  Ends the process if
 * the number is not one of these files' or the file cannot be kept. */
void handed_take(const struct msg_keeper_file *m, int fd);

#endif
