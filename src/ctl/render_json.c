/* SPDX-License-Identifier: MIT */
/* JSON for programs: the data of k6fleetd, unchanged. */
#include "ctl/render.h"

#include <stdio.h>

#include "common/json.h"
#include "common/mem.h"

void render_json(const json_t *value)
{
	_cleanup_free_ char *text = json_compact(value);

	puts(text);
}
