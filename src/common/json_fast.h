/* SPDX-License-Identifier: MIT */
/*
 * Three places where jansson takes most of a program's time or most of its bytes, measured with
 * a thousand agents and 101 quantiles a run: it reads a real with strtod() into a heap object,
 * it writes one with 17 digits, and it parses a response that is only printed again.  What these
 * functions cannot do quickly they leave to jansson.
 */
#ifndef K6FLEET_JSON_FAST_H
#define K6FLEET_JSON_FAST_H

#include <jansson.h>

/* Reads a number of RFC 8259 without a sign that begins at p and ends before `end`.  Returns the
 * place behind it, with the same double in *out that strtod() gives; NULL if there is none, or
 * one that is too long or too large for this function. */
const char *json_fast_number(const char *p, const char *end, double *out);
/* Returns the value rounded to so many significant digits, new reference: nine are a nanosecond
 * in a second, better than latencies are known, seven are what a float holds.  Such a number is
 * written and read in half the time. */
json_t *json_short_real(double value, int digits);
/* Returns the data of the response {"ok":true,"data":...} as text, as k6fleetd writes it,
 * without parsing it; the caller frees.  NULL if the line has another form: then it has to be
 * parsed. */
char *json_fast_data(const char *line);

#endif
