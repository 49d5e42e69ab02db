/* SPDX-License-Identifier: MIT */
/* libcurl's socket interface: curl_multi_socket_action(3), with one ev_io a socket and one
 * ev_timer.  The only file of the supervisor that knows libcurl. */
#include "supervisor/http_client.h"

#include <curl/curl.h>
#include <ev.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"

/* Room for a thousand targets with scripts. */
#define REPLY_MAX_BYTES (64 * 1024 * 1024)
#define RETRY_AFTER_MAX_S 3600

struct request {
	struct http_client *client;
	struct request *next, **prev;
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	char *reply;
	size_t reply_len, reply_cap;
	char *etag;
	char error[CURL_ERROR_SIZE];
	http_done *done;
	void *arg;
};

struct socket_watch {
	ev_io io;
	struct http_client *client;
	curl_socket_t fd;
};

struct http_client {
	struct ev_loop *loop;
	CURLM *multi;
	ev_timer timer;
	char *base_url, *authorization, *ca_file, *client_cert, *client_key, *user_agent;
	long timeout_ms;
	struct request *requests;
};

static void free_request(struct request *r)
{
	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	curl_multi_remove_handle(r->client->multi, r->easy);
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	free(r->body);
	free(r->reply);
	free(r->etag);
	free(r);
}

static void finish(struct request *r, CURLcode code)
{
	struct http_reply reply = {.body = r->reply ? r->reply : "",
		.body_len = r->reply_len,
		.etag = r->etag ? r->etag : "",
		.error = ""};
	curl_off_t retry_after = 0;
	long status = 0;

	if (code == CURLE_OK) {
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &retry_after);
		reply.status = (int)status;
		/* The longest Retry-After that is obeyed: an hour. */
		if (retry_after > RETRY_AFTER_MAX_S)
			retry_after = RETRY_AFTER_MAX_S;
		reply.retry_after_ms = retry_after > 0 ? retry_after * 1000 : 0;
	} else {
		reply.error = r->error[0] ? r->error : curl_easy_strerror(code);
	}
	r->done(r->arg, &reply);
	free_request(r);
}

static void check_finished(struct http_client *c)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct request *r;
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &r);
		finish(r, code);
	}
}

static void on_socket(struct ev_loop *loop, ev_io *io, int revents)
{
	struct socket_watch *w = io->data;
	struct http_client *c = w->client;
	int flags = (revents & EV_READ ? CURL_CSELECT_IN : 0) |
		(revents & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	(void)loop;
	curl_multi_socket_action(c->multi, w->fd, flags, &running);
	check_finished(c);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct http_client *c = timer->data;
	int running;

	(void)loop;
	(void)revents;
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_finished(c);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_client *c = arg;
	struct socket_watch *w = socket_arg;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w) {
			ev_io_stop(c->loop, &w->io);
			curl_multi_assign(c->multi, fd, NULL);
			free(w);
		}
		return 0;
	}
	if (!w) {
		w = x_calloc(1, sizeof(*w));
		w->client = c;
		w->fd = fd;
		ev_init(&w->io, on_socket);
		w->io.data = w;
		curl_multi_assign(c->multi, fd, w);
	}
	ev_io_stop(c->loop, &w->io);
	ev_io_set(&w->io, fd,
		(what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
	ev_io_start(c->loop, &w->io);
	return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *c = arg;

	(void)multi;
	ev_timer_stop(c->loop, &c->timer);
	if (timeout_ms >= 0) {
		/* Starts the timer also for 0 ms: libcurl must not be called from its own
		 * callback. */
		ev_timer_set(&c->timer, (double)timeout_ms / 1000, 0.);
		ev_timer_start(c->loop, &c->timer);
	}
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct request *r = arg;
	size_t len = size * n;

	if (r->reply_len + len > REPLY_MAX_BYTES)
		return 0; /* libcurl ends the transfer with CURLE_WRITE_ERROR */
	if (r->reply_len + len + 1 > r->reply_cap) {
		r->reply_cap = (r->reply_len + len + 1) * 2;
		r->reply = x_realloc(r->reply, r->reply_cap, 1);
	}
	memcpy(r->reply + r->reply_len, data, len);
	r->reply_len += len;
	r->reply[r->reply_len] = '\0';
	return len;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct request *r = arg;
	size_t len = size * n;

	if (len > 5 && len < 512 && !strncasecmp(data, "etag:", 5)) {
		const char *p = data + 5, *end = data + len;

		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		while (end > p && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
			end--;
		free(r->etag);
		r->etag = x_strndup(p, (size_t)(end - p));
	}
	return len;
}

struct http_client *http_client_new(
	struct ev_loop *loop, const struct http_client_config *config, struct err *err)
{
	struct http_client *c;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, "cannot initialise libcurl");
		return NULL;
	}
	c = x_calloc(1, sizeof(*c));
	c->loop = loop;
	c->multi = curl_multi_init();
	c->base_url = x_strdup(config->base_url);
	for (size_t n = strlen(c->base_url); n && c->base_url[n - 1] == '/'; n--)
		c->base_url[n - 1] = '\0';
	c->authorization = x_asprintf("Authorization: Bearer %s", config->bearer);
	c->ca_file = x_strdup(config->ca_file);
	c->client_cert = x_strdup(config->client_cert);
	c->client_key = x_strdup(config->client_key);
	c->user_agent = x_strdup(config->user_agent);
	c->timeout_ms = (long)config->timeout_ms;
	ev_init(&c->timer, on_timer);
	c->timer.data = c;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 4L);
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	for (struct request *r = c->requests, *next; r; r = next) {
		next = r->next;
		free_request(r);
	}
	curl_multi_cleanup(c->multi);
	ev_timer_stop(c->loop, &c->timer);
	mem_wipe(c->authorization, strlen(c->authorization));
	free(c->authorization);
	free(c->base_url);
	free(c->ca_file);
	free(c->client_cert);
	free(c->client_key);
	free(c->user_agent);
	free(c);
	curl_global_cleanup();
}

static void set_options(struct http_client *c, struct request *r, const char *url)
{
	CURL *e = r->easy;

	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(e, CURLOPT_USERAGENT, c->user_agent);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, c->timeout_ms);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, c->timeout_ms);
	/* A redirect would carry the secret to a host that nobody configured. */
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	/* A signal in a threaded resolver would be fatal; waiting for a look-up that hangs would
	 * block the loop: CURLOPT_NOSIGNAL(3), CURLOPT_QUICK_EXIT(3). */
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	if (c->ca_file[0])
		curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
	if (c->client_cert[0])
		curl_easy_setopt(e, CURLOPT_SSLCERT, c->client_cert);
	if (c->client_key[0])
		curl_easy_setopt(e, CURLOPT_SSLKEY, c->client_key);
	if (r->body) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(r->body));
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body);
	}
}

void http_client_send(struct http_client *c, const char *path, const char *body, const char *etag,
	http_done *done, void *arg)
{
	_cleanup_free_ char *url = x_asprintf("%s%s", c->base_url, path);
	struct request *r = x_calloc(1, sizeof(*r));

	r->client = c;
	r->done = done;
	r->arg = arg;
	r->body = body ? x_strdup(body) : NULL;
	r->easy = curl_easy_init();
	r->next = c->requests;
	r->prev = &c->requests;
	if (r->next)
		r->next->prev = &r->next;
	c->requests = r;
	r->headers = curl_slist_append(r->headers, c->authorization);
	r->headers = curl_slist_append(r->headers, "Accept: application/json");
	/* "Expect: 100-continue" costs a round trip for every batch. */
	r->headers = curl_slist_append(r->headers, "Expect:");
	if (body)
		r->headers = curl_slist_append(r->headers, "Content-Type: application/json");
	if (etag && *etag) {
		_cleanup_free_ char *line = x_asprintf("If-None-Match: %s", etag);

		r->headers = curl_slist_append(r->headers, line);
	}
	set_options(c, r, url);
	curl_multi_add_handle(c->multi, r->easy);
}
