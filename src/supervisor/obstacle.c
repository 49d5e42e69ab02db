/* SPDX-License-Identifier: MIT */
#include "supervisor/obstacle.h"

#include "common/mem.h"

enum msg_obstacle obstacle_find(const struct obstacle_sources *from)
{
	if (!from->host->k6_version[0])
		return MSG_OBSTACLE_K6;
	if (fleet_store_state(from->store) != FLEET_STORE_OK)
		return MSG_OBSTACLE_STORAGE;
	return desired_is_paused(from->desired) ? MSG_OBSTACLE_PAUSED : MSG_OBSTACLE_NONE;
}

const char *obstacle_to_run(const struct obstacle_sources *from)
{
	if (desired_is_stopping(from->desired))
		return "k6fleetd is stopping";
	switch (obstacle_find(from)) {
	case MSG_OBSTACLE_NONE: break;
	case MSG_OBSTACLE_PAUSED: return "the fleet is paused; go on with: k6fleetctl resume";
	case MSG_OBSTACLE_STORAGE:
		return "the local store cannot be read or written, so the run's record would be lost; "
		       "k6fleetctl status says why";
	case MSG_OBSTACLE_K6:
		return "there is no k6 on this host; k6fleetctl status says what to do";
	}
	return NULL;
}

char *obstacle_no_k6(const struct host_facts *host, const struct conf *conf)
{
	if (host->k6_version[0])
		return NULL;
	return x_asprintf(
		"there is no k6 at %s, so no runs are started; install k6 "
		"(https://grafana.com/docs/k6/latest/set-up/install-k6/), then: k6fleetctl "
		"reload",
		conf->k6.binary);
}
