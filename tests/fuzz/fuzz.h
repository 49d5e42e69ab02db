/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share.  Each target is one file with LLVMFuzzerTestOneInput(), which
 * libFuzzer calls in `make fuzz` and replay.c, with the corpus, in `make check`.
 */
#ifndef K6FLEET_FUZZ_H
#define K6FLEET_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Tries one input.  Returns 0; a property that does not hold ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, and names the place, unless the property holds. */
#define FUZZ_HOLDS(property) \
	do { \
		if (!(property)) { \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, \
				#property); \
			abort(); \
		} \
	} while (0)

#endif
