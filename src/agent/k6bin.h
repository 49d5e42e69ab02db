/* SPDX-License-Identifier: MIT */
/* The k6 that workers run: an open file, with the stamp that it had when it told its version. */
#ifndef K6FLEET_K6BIN_H
#define K6FLEET_K6BIN_H

#include <stdbool.h>

#include "common/filestamp.h"

struct k6bin {
	int fd;     /* O_PATH; -1: there is no k6 */
	bool by_fd; /* not the one that lies in the agents' root: executed by its descriptor */
	bool has_es_modules;    /* k6version_has_es_modules() */
	struct filestamp stamp; /* a file that was overwritten in place may be another version */
};

#endif
