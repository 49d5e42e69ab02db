/* SPDX-License-Identifier: MIT */
/* Turns requests of libmicrohttpd into struct api_request, and struct api_response into
 * responses. */
#include "dashboard/http.h"

#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/httpd.h"
#include "common/mem.h"
#include "dashboard/api.h"
#include "dashboard/http_clients.h"
#include "dashboard/http_stream.h"
#include "dashboard/routes.h"

#define CONNECTION_MEMORY (16 * 1024)
/* A client that is silent for so long, within a request or between two, is closed. */
#define IDLE_S 20
/* https://gnutls.org/manual/html_node/Priority-Strings.html */
static char tls_priorities[] = "SECURE128:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3";

struct http {
	struct http_clients *clients;
	struct MHD_Daemon *daemon;
	struct httpd *httpd;
	struct api *api;
};

/* The part of a request that is kept between the library's calls. */
struct upload {
	char *body;
	size_t len, cap;
	bool too_large;
};

/* MHD_NotifyConnectionCallback */
static void on_connection(void *arg, struct MHD_Connection *c, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *h = arg;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

		*context = http_clients_add(h->clients, info ? info->connect_fd : -1);
	} else if (*context) {
		http_clients_remove(h->clients, *context);
		*context = NULL;
	}
}

/* NULL only after the end of the connection. */
static struct http_client *client_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void take_address(struct MHD_Connection *c, char *out, size_t size)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;
	socklen_t len = sa && sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							: sizeof(struct sockaddr_in);

	if (!sa || getnameinfo(sa, len, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(out, size, "?");
}

static const char *query(const struct api_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->connection, MHD_GET_ARGUMENT_KIND, name);
}

static void add_headers(struct MHD_Response *r, const struct api_response *res)
{
	char text[32];

	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "X-Frame-Options", "DENY");
	MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(r, "Cache-Control",
		res->immutable           ? "public, max-age=31536000, immutable"
			: res->body_kept ? "no-cache"
					 : "no-store");
	if (res->body_kept)
		MHD_add_response_header(r, "Vary", "Accept-Encoding");
	if (res->packed)
		MHD_add_response_header(r, "Content-Encoding", "gzip");
	MHD_add_response_header(r, "Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
		" base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	if (res->disposition)
		MHD_add_response_header(r, "Content-Disposition", res->disposition);
	if (res->body || res->body_kept || res->stream)
		MHD_add_response_header(r, "Content-Type", res->type);
	if (res->allow[0])
		MHD_add_response_header(r, "Allow", res->allow);
	if (res->etag[0])
		MHD_add_response_header(r, "ETag", res->etag);
	if (res->location[0])
		MHD_add_response_header(r, "Location", res->location);
	if (res->www_authenticate_basic)
		MHD_add_response_header(
			r, "WWW-Authenticate", "Basic realm=\"k6fleet\", charset=\"UTF-8\"");
	if (res->www_authenticate_bearer)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"k6fleet\"");
	if (res->retry_after_s) {
		snprintf(text, sizeof(text), "%d", res->retry_after_s);
		MHD_add_response_header(r, "Retry-After", text);
	}
}

static void take_headers(struct MHD_Connection *c, struct api_request *req)
{
#define HEADER(name) MHD_lookup_connection_value(c, MHD_HEADER_KIND, name)
	req->authorization = HEADER("Authorization");
	req->content_type = HEADER("Content-Type");
	req->if_none_match = HEADER("If-None-Match");
	req->accept_encoding = HEADER("Accept-Encoding");
	req->origin = HEADER("Origin");
	req->host_header = HEADER("Host");
	req->last_event_id = HEADER("Last-Event-ID");
#undef HEADER
}

static struct MHD_Response *make_response(struct MHD_Connection *c, const struct api_response *res)
{
	if (res->stream)
		return http_stream_response(c, res->stream, http_clients_stream(client_of(c)));
	if (res->body_kept)
		return MHD_create_response_from_buffer(
			res->body_len, (char *)(uintptr_t)res->body_kept, MHD_RESPMEM_PERSISTENT);
	return MHD_create_response_from_buffer(res->body_len, res->body, MHD_RESPMEM_MUST_FREE);
}

static void wipe(char *secret)
{
	if (secret)
		mem_wipe(secret, strlen(secret));
	MHD_free(secret);
}

static enum MHD_Result respond(struct http *h, struct MHD_Connection *c, const char *path,
	const char *method, struct upload *up)
{
	struct api_response res = {.status = 500, .type = "application/json"};
	char *password = NULL, *user = MHD_basic_auth_get_username_password(c, &password);
	struct api_request req = {
		.api = h->api,
		.method = method,
		.path = path,
		.user = user,
		.password = password,
		.body = up->body,
		.body_len = up->len,
		.too_large = up->too_large,
		.query = query,
		.connection = c,
	};
	struct MHD_Response *r;
	enum MHD_Result rc;

	http_clients_set_waiting(client_of(c), true);
	take_headers(c, &req);
	take_address(c, req.address, sizeof(req.address));
	routes_handle(&req, &res);
	wipe(user);
	wipe(password);
	r = make_response(c, &res);
	if (!r) {
		free(res.body);
		return MHD_NO;
	}
	add_headers(r, &res);
	rc = MHD_queue_response(c, (unsigned int)res.status, r);
	MHD_destroy_response(r);
	return rc;
}

/* A body that is too long is read to its end and dropped, because a client reads the 413 only
 * after it has sent all. */
static void add_to_body(struct upload *up, const char *data, size_t size)
{
	if (up->len + size > API_BODY_MAX) {
		up->too_large = true;
		free(up->body);
		up->body = NULL;
		up->len = up->cap = 0;
	}
	if (up->too_large)
		return;
	if (up->len + size + 1 > up->cap) {
		up->cap = (up->len + size + 1) * 2;
		up->body = x_realloc(up->body, up->cap, 1);
	}
	memcpy(up->body + up->len, data, size);
	up->len += size;
}

/* MHD_AccessHandlerCallback: called for the head of a request, for each part of its body, and
 * once more. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	struct upload *up = *state;

	(void)version;
	if (!up) {
		*state = x_calloc(1, sizeof(*up));
		return MHD_YES;
	}
	if (!*size)
		return respond(arg, c, path, method, up);
	add_to_body(up, data, *size);
	*size = 0;
	return MHD_YES;
}

/* MHD_RequestCompletedCallback */
static void on_completed(
	void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	struct upload *up = *state;

	(void)arg;
	(void)code;
	http_clients_set_waiting(client_of(c), false);
	if (up)
		free(up->body);
	free(up);
	*state = NULL;
}

/* MHD_UnescapeCallback: called for the path and for each name and value of the query.  The path
 * is not decoded here: routes.c decodes each segment, so that %2F does not split one. */
static size_t unescape(void *arg, struct MHD_Connection *c, char *s)
{
	(void)arg;
	(void)c;
	return s[0] == '/' ? strlen(s) : MHD_http_unescape(s);
}

struct http *http_start(struct ev_loop *loop, int listen_fd, const char *cert, const char *key,
	struct api *api, struct err *err)
{
	struct http *h = x_calloc(1, sizeof(*h));
	/* clang-format off */
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities},
		{MHD_OPTION_END, 0, NULL},
	};
	/* clang-format on */

	h->api = api;
	h->clients = http_clients_new(loop);
	if (!cert)
		tls[0].option = MHD_OPTION_END;
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			(cert ? MHD_USE_TLS : 0),
		0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, httpd_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)HTTP_CLIENTS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_S,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, h, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_ARRAY,
		tls, MHD_OPTION_END);
	h->httpd = httpd_attach(loop, h->daemon, err);
	if (!h->httpd) {
		if (h->daemon)
			MHD_stop_daemon(h->daemon);
		http_clients_free(h->clients);
		free(h);
		return NULL;
	}
	return h;
}

void http_stop(struct http *h)
{
	if (!h)
		return;
	http_clients_end_streams(h->clients);
	MHD_run(h->daemon);
	httpd_detach(h->httpd);
	MHD_stop_daemon(h->daemon);
	http_clients_free(h->clients);
	free(h);
}
