/* SPDX-License-Identifier: MIT */
/* Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#ifndef K6FLEET_PROM_H
#define K6FLEET_PROM_H

#include <stdio.h>

/* Writes HELP and TYPE ("counter", "gauge" or "histogram") of a metric; the caller writes its
 * samples next. */
void prom_head(FILE *f, const char *name, const char *type, const char *help);
/* Writes a metric with one sample that has no labels. */
void prom_one(FILE *f, const char *name, const char *type, const char *help, double value);
/* Writes the value of a label with backslash, quote and newline escaped, without the quotes
 * around it. */
void prom_label(FILE *f, const char *text);

#endif
