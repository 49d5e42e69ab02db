/* SPDX-License-Identifier: MIT */
/* The dashboard's use of libmicrohttpd: requests with their bodies in, answers of the API out. */
#include "dashboard/http.h"

#include <errno.h>
#include <ev.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/httpd.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"

#define CONNECTIONS_MAX 2000
#define CONNECTION_MEMORY (16 * 1024)
/* A client that says nothing for so long, in the middle of a request or between two, is cut. */
#define IDLE_S 20
#define STREAM_BLOCK (4 * 1024)
/* https://gnutls.org/manual/html_node/Priority-Strings.html */
static char tls_priorities[] = "SECURE128:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3";

/* A client; it has so long to get a request through, however slowly it drips. */
#define REQUEST_MAX_MS 60000
#define SWEEP_S 5.
/* With three quarters of the places taken, whoever has nothing to ask makes room for others. */
#define CROWDED (CONNECTIONS_MAX / 4 * 3)
#define CROWDED_SWEEP_S 0.5
#define CROWDED_IDLE_MS 2000

struct client {
	struct client *next, **prev;
	int fd;
	int64_t since_ms; /* the connection, or the end of its last request */
	bool answering;
	struct holder *holder; /* its answer has no end yet, NULL: it is an ordinary one */
};

struct holder {
	struct api_stream *stream;
	struct MHD_Connection *connection;
	struct client *client;
	bool suspended;
	bool gone; /* nobody reads any more */
};

struct http {
	struct client *clients;
	unsigned int client_count;
	struct ev_loop *loop;
	ev_timer sweep;
	struct MHD_Daemon *daemon;
	struct httpd *httpd;
	struct api *api;
};

/* What is kept of one request between the library's calls. */
struct upload {
	char *body;
	size_t len, cap;
	bool too_large;
};

/* --- clients that take their time ----------------------------------------------------- */

static bool is_crowded(const struct http *h)
{
	return h->client_count > CROWDED;
}

/* A timer for as long as there is somebody, a faster one in a crowd. */
static void watch_clients(struct http *h)
{
	double pause = is_crowded(h) ? CROWDED_SWEEP_S : SWEEP_S;

	if (ev_is_active(&h->sweep) && h->sweep.repeat <= pause)
		return;
	h->sweep.repeat = pause;
	ev_timer_again(h->loop, &h->sweep);
}

static void on_connection(void *arg, struct MHD_Connection *c, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *h = arg;
	struct client *cl = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

		cl = x_calloc(1, sizeof(*cl));
		cl->fd = info ? info->connect_fd : -1;
		cl->since_ms = units_now_mono_ms();
		cl->next = h->clients;
		cl->prev = &h->clients;
		if (cl->next)
			cl->next->prev = &cl->next;
		h->clients = cl;
		h->client_count++;
		*context = cl;
		watch_clients(h);
	} else if (cl) {
		h->client_count--;
		*cl->prev = cl->next;
		if (cl->next)
			cl->next->prev = cl->prev;
		free(cl);
		*context = NULL;
	}
}

static struct client *client_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* The library does not look at a connection that sleeps. */
static void wake_if_gone(struct client *cl)
{
	char byte;
	ssize_t n;

	if (!cl->holder || !cl->holder->suspended || cl->fd < 0)
		return;
	n = recv(cl->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	cl->holder->gone = true;
	api_stream_wake(cl->holder->stream);
}

/* From the first byte of the answer to its last; then its time begins anew. */
static void set_answering(struct MHD_Connection *c, bool answering)
{
	struct client *cl = client_of(c);

	if (!cl)
		return;
	cl->answering = answering;
	cl->since_ms = units_now_mono_ms();
}

/* The library cuts who is silent; who sends a byte now and then is cut here.  Only the socket is shut down: the
 * library finds that and closes it. */
static void on_sweep(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct http *h = timer->data;
	int64_t limit = units_now_mono_ms() - (is_crowded(h) ? CROWDED_IDLE_MS : REQUEST_MAX_MS);

	(void)revents;
	for (struct client *cl = h->clients; cl; cl = cl->next) {
		if (!cl->answering && cl->since_ms < limit && cl->fd >= 0)
			shutdown(cl->fd, SHUT_RDWR);
		wake_if_gone(cl);
	}
	timer->repeat = is_crowded(h) ? CROWDED_SWEEP_S : SWEEP_S;
	if (!h->clients)
		ev_timer_stop(loop, timer);
}

/* --- answers without an end -------------------------------------------------------- */

/* MHD_ContentReaderCallback: nothing at the moment is said by suspending the connection.  After an error the library
 * closes it without the last, empty chunk (RFC 9112 7.1). */
static ssize_t read_stream(void *arg, uint64_t position, char *buf, size_t size)
{
	struct holder *holder = arg;
	ssize_t n = holder->gone ? API_STREAM_END
				 : holder->stream->read(holder->stream->state, buf, size);

	(void)position;
	if (n == API_STREAM_CUT)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0 && holder->stream->waits) {
		holder->suspended = true;
		MHD_suspend_connection(holder->connection);
	}
	return n;
}

static void free_stream(void *arg)
{
	struct holder *holder = arg;

	holder->stream->close(holder->stream->state);
	if (holder->client)
		holder->client->holder = NULL;
	free(holder);
}

void api_stream_wake(struct api_stream *stream)
{
	struct holder *holder = stream->holder;

	if (!holder || !holder->suspended)
		return;
	holder->suspended = false;
	MHD_resume_connection(holder->connection);
}

static struct MHD_Response *stream_response(struct MHD_Connection *c, struct api_stream *stream)
{
	struct holder *holder = x_calloc(1, sizeof(*holder));

	*holder = (struct holder){.stream = stream, .connection = c, .client = client_of(c)};
	if (holder->client)
		holder->client->holder = holder;
	stream->holder = holder;
	return MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, holder, free_stream);
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

static enum MHD_Result answer(struct http *h, struct MHD_Connection *c, const char *path,
	const char *method, struct upload *up)
{
#define HEADER(name) MHD_lookup_connection_value(c, MHD_HEADER_KIND, name)
	struct api_request req = {
		.api = h->api,
		.method = method,
		.path = path,
		.authorization = HEADER("Authorization"),
		.content_type = HEADER("Content-Type"),
		.if_none_match = HEADER("If-None-Match"),
		.accept_encoding = HEADER("Accept-Encoding"),
		.origin = HEADER("Origin"),
		.host_header = HEADER("Host"),
		.last_event_id = HEADER("Last-Event-ID"),
		.body = up->body,
		.body_len = up->len,
		.too_large = up->too_large,
		.query = query,
		.connection = c,
	};
#undef HEADER
	struct api_response res = {.status = 500, .type = "application/json"};
	struct MHD_Response *r;
	enum MHD_Result rc;

	set_answering(c, true);
	take_address(c, req.address, sizeof(req.address));
	api_handle(&req, &res);
	r = res.stream ? stream_response(c, res.stream)
		       : MHD_create_response_from_buffer(res.body_len,
				 res.body_kept ? (char *)(uintptr_t)res.body_kept : res.body,
				 res.body_kept ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(res.body);
		return MHD_NO;
	}
	add_headers(r, &res);
	rc = MHD_queue_response(c, (unsigned int)res.status, r);
	MHD_destroy_response(r);
	return rc;
}

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
		return answer(arg, c, path, method, up);
	/* More than allowed is read and thrown away, so that the client gets its 413. */
	if (up->len + *size > API_BODY_MAX) {
		up->too_large = true;
		free(up->body);
		up->body = NULL;
		up->len = up->cap = 0;
	}
	if (!up->too_large) {
		if (up->len + *size + 1 > up->cap) {
			up->cap = (up->len + *size + 1) * 2;
			up->body = x_realloc(up->body, up->cap, 1);
		}
		memcpy(up->body + up->len, data, *size);
		up->len += *size;
	}
	*size = 0;
	return MHD_YES;
}

static void on_completed(
	void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	struct upload *up = *state;

	(void)arg;
	(void)code;
	set_answering(c, false);
	if (up)
		free(up->body);
	free(up);
	*state = NULL;
}

/* Called for the path and for each name and value of the query.  The path stays as it came: the
 * router decodes its segments, so that %2F stays inside one. */
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
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities},
		{MHD_OPTION_END, 0, NULL},
	};

	h->api = api;
	h->loop = loop;
	ev_init(&h->sweep, on_sweep);
	h->sweep.repeat = SWEEP_S;
	h->sweep.data = h;
	if (!cert)
		tls[0].option = MHD_OPTION_END;
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			(cert ? MHD_USE_TLS : 0),
		0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, httpd_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_S,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, h, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_ARRAY,
		tls, MHD_OPTION_END);
	h->httpd = httpd_attach(loop, h->daemon, err);
	if (!h->httpd) {
		if (h->daemon)
			MHD_stop_daemon(h->daemon);
		free(h);
		return NULL;
	}
	return h;
}

void http_stop(struct http *h)
{
	if (!h)
		return;
	ev_timer_stop(h->loop, &h->sweep);
	/* MHD_stop_daemon(3) may not find connections asleep. */
	for (struct client *cl = h->clients; cl; cl = cl->next) {
		if (cl->holder && cl->holder->suspended) {
			cl->holder->gone = true;
			api_stream_wake(cl->holder->stream);
		}
	}
	MHD_run(h->daemon);
	httpd_detach(h->httpd);
	MHD_stop_daemon(h->daemon);
	free(h);
}
