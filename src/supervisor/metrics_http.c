/* SPDX-License-Identifier: MIT */
/* The only file of the supervisor that uses libmicrohttpd.  The daemon is never stopped, because
 * that would shut down the listening socket, which the next supervisor uses. */
#include "supervisor/metrics_http.h"

#include <microhttpd.h>
#include <string.h>

#include "common/httpd.h"
#include "common/log.h"
#include "common/mem.h"

#define CONNECTIONS_MAX 32
#define CONNECTION_MEMORY (8 * 1024)
#define IDLE_S 10

static struct {
	metrics_http_text *text;
	void *arg;
} source;

static enum MHD_Result respond(
	struct MHD_Connection *c, unsigned int status, const char *type, char *text)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result rc;

	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	rc = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
	const char *method, const char *version, const char *body, size_t *len, void **state)
{
	static const char plain[] = "text/plain; charset=utf-8";

	(void)arg;
	(void)version;
	(void)body;
	/* The first call has the head only.  A body is read and ignored. */
	if (!*state) {
		*state = &source;
		return MHD_YES;
	}
	if (*len) {
		*len = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return respond(c, MHD_HTTP_METHOD_NOT_ALLOWED, plain, x_strdup("only GET\n"));
	if (strcmp(path, "/metrics") != 0)
		return respond(c, MHD_HTTP_NOT_FOUND, plain, x_strdup("see /metrics\n"));
	return respond(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
		source.text(source.arg));
}

void metrics_http_start(struct ev_loop *loop, int listen_fd, metrics_http_text *text, void *arg)
{
	struct err err;
	struct MHD_Daemon *daemon;

	source.text = text;
	source.arg = arg;
	daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
		NULL, MHD_OPTION_EXTERNAL_LOGGER, httpd_log, NULL, MHD_OPTION_LISTEN_SOCKET,
		listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_S, MHD_OPTION_END);

	if (!httpd_attach(loop, daemon, &err))
		log_warn("metrics", "%s; going on without the endpoint", err.msg);
}
