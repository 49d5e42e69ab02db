/* SPDX-License-Identifier: MIT */
/* The terminal that standard output is: how wide it is, and whether it is drawn over. */
#ifndef K6FLEET_CTL_SCREEN_H
#define K6FLEET_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Starts as zeroes: standard output is no terminal, everything is printed whole. */
struct screen {
	size_t width; /* in columns; 0: no terminal */
	size_t rows;
	size_t row;   /* lines printed since the drawing began */
	bool drawing; /* over the lines that are on it */
	bool color;
};

#endif
