/* SPDX-License-Identifier: MIT */
/*
 * The names of the sandbox's level and layers, which the keeper decides and every program reports.
 * What the levels and layers do is in agent/sandbox.h.
 */
#ifndef K6FLEET_SANDBOX_LAYERS_H
#define K6FLEET_SANDBOX_LAYERS_H

#include <stdint.h>

struct json_t;

/* Messages carry the level and the layers as numbers: the values are part of the protocol. */
enum sandbox_level {
	SANDBOX_OFF = 0,
	SANDBOX_NAMESPACES = 1,
	SANDBOX_USER_NAMESPACE = 2,
};

/* Bits of the layers word. */
enum sandbox_layer {
	SANDBOX_LAYER_NAMESPACES = 1,
	SANDBOX_LAYER_SECCOMP = 2,
	SANDBOX_LAYER_LANDLOCK = 4,
	SANDBOX_LAYER_CGROUP = 8,
};

/* Returns "namespaces", "user-namespace" or "off"; "off" for a number that is no level.  Static. */
const char *sandbox_level_name(enum sandbox_level level);
/* As sandbox_level_name(), for a process that has these layers: "off" without namespaces,
 * whatever the level of the keeper is.  Static. */
const char *sandbox_layers_level(uint32_t layers, enum sandbox_level level);
/* Returns {"namespaces", "seccomp", "landlock", "cgroup"}, a boolean each; a new reference. */
struct json_t *sandbox_layers_json(uint32_t layers);

#endif
