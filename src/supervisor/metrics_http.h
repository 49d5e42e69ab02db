/* SPDX-License-Identifier: MIT */
/* GET /metrics for Prometheus, on the socket that the keeper keeps. */
#ifndef K6FLEET_METRICS_HTTP_H
#define K6FLEET_METRICS_HTTP_H

struct ev_loop;

/* Makes the body of one response; the caller frees it. */
typedef char *metrics_http_text(void *arg);

/* Serves for the rest of the process's life.  A failure is logged and costs the endpoint only. */
void metrics_http_start(struct ev_loop *loop, int listen_fd, metrics_http_text *text, void *arg);

#endif
