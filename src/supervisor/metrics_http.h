/* SPDX-License-Identifier: MIT */
/* GET /metrics for Prometheus, on the socket that the keeper keeps. */
#ifndef K6FLEET_METRICS_HTTP_H
#define K6FLEET_METRICS_HTTP_H

#include "supervisor/supervisor.h"

/* A failure is said and costs the endpoint only. */
void metrics_http_start(struct supervisor *sup, int listen_fd);

#endif
