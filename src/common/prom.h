/* SPDX-License-Identifier: MIT */
/* Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#ifndef K6FLEET_PROM_H
#define K6FLEET_PROM_H

#include <stdio.h>

/* Writes the HELP and TYPE lines of a metric (type: "counter", "gauge" or "histogram").  The
 * caller then writes the samples. */
void prom_head(FILE *f, const char *name, const char *type, const char *help);
/* Writes a metric with one sample that has no labels. */
void prom_one(FILE *f, const char *name, const char *type, const char *help, double value);
/* Writes the value of a label with backslash, quote and newline escaped, without the quotes
 * around it. */
void prom_label(FILE *f, const char *text);

#endif
