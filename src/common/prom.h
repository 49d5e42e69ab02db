/* SPDX-License-Identifier: MIT */
/* Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#ifndef K6FLEET_PROM_H
#define K6FLEET_PROM_H

#include <stdio.h>

/* HELP and TYPE ("counter", "gauge", "histogram") of a metric whose samples follow. */
void prom_head(FILE *f, const char *name, const char *type, const char *help);
/* A metric of one sample without labels. */
void prom_one(FILE *f, const char *name, const char *type, const char *help, double value);
/* A label's value, escaped. */
void prom_label(FILE *f, const char *text);

#endif
