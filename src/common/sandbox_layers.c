/* SPDX-License-Identifier: MIT */
#include "common/sandbox_layers.h"

#include <jansson.h>

const char *sandbox_level_name(enum sandbox_level level)
{
	switch (level) {
	case SANDBOX_NAMESPACES: return "namespaces";
	case SANDBOX_USER_NAMESPACE: return "user-namespace";
	case SANDBOX_OFF: break;
	}
	return "off";
}

const char *sandbox_layers_level(uint32_t layers, enum sandbox_level level)
{
	if (!(layers & SANDBOX_LAYER_NAMESPACES))
		return sandbox_level_name(SANDBOX_OFF);
	return sandbox_level_name(
		level == SANDBOX_USER_NAMESPACE ? SANDBOX_USER_NAMESPACE : SANDBOX_NAMESPACES);
}

struct json_t *sandbox_layers_json(uint32_t layers)
{
	return json_pack("{s:b, s:b, s:b, s:b}", "namespaces",
		(layers & SANDBOX_LAYER_NAMESPACES) != 0, "seccomp",
		(layers & SANDBOX_LAYER_SECCOMP) != 0, "landlock",
		(layers & SANDBOX_LAYER_LANDLOCK) != 0, "cgroup",
		(layers & SANDBOX_LAYER_CGROUP) != 0);
}
