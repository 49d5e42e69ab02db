/* SPDX-License-Identifier: MIT */
/* Runs as CSV (RFC 4180).  The columns are the rows of common/run.h that have a position there. */
#ifndef K6FLEET_DASHBOARD_RUN_CSV_H
#define K6FLEET_DASHBOARD_RUN_CSV_H

#include <jansson.h>
#include <stdio.h>

/* Writes the line with the names of the columns. */
void run_csv_head(FILE *f);
/* Writes one CSV line for a run; `run` is an item of a list response. */
void run_csv_row(FILE *f, const json_t *run);

#endif
