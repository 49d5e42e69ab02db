/* SPDX-License-Identifier: MIT */
/* The target block of k6fleetd.conf: reads and writes struct target by the rows of
 * TARGET_FIELDS.  conf.c knows where the block stands in the file, this file what stands in it. */
#ifndef K6FLEET_CONF_TARGET_H
#define K6FLEET_CONF_TARGET_H

#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"
#include "common/optab.h"
#include "common/target.h"

/* The options of the block, stored in a struct target.  Static. */
const struct opt *conf_target_options(size_t *count);
/* A target with the defaults of the table, named by the title of its block.  The caller frees
 * it. */
struct target *conf_target_new(const char *title);
/* Checks a block that was read to its end, and reads script_file unless the script is there
 * already. Returns 0, or -1 and err. */
int conf_target_end(struct target *t, struct err *err);
/* Writes the block in a form that reads back to the same target; the content of script_file only
 * with scripts. */
void conf_target_print(const struct target *t, bool scripts, FILE *out);

#endif
