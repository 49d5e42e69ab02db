/* SPDX-License-Identifier: MIT */
/* Help texts, made from the table of verbs. */
#ifndef K6FLEET_CTL_HELP_H
#define K6FLEET_CTL_HELP_H

#include <stdio.h>

#include "ctl/options.h"

/* Prints the verb's help on standard output. */
void ctl_help_verb(const struct verb *verb);
/* Prints the verbs' part of --help: a synopsis and a sentence each. */
void ctl_help_verbs(FILE *out, const struct verb *verbs, size_t count);
/* Returns the name of the verb that was probably meant; NULL: no name is near. */
const char *ctl_help_guess(const struct verb *verbs, size_t count, const char *typed);

#endif
