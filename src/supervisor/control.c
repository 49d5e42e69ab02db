/* SPDX-License-Identifier: MIT */
/* Accepts, frames lines, queues responses.  What a request means is the handler's business. */
#include "supervisor/control.h"

#include <errno.h>
#include <ev.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/units.h"
#include "supervisor/peers.h"

/* Room for a script of 1 MiB in which every byte is escaped. */
#define REQUEST_MAX_BYTES (2 * 1024 * 1024 + 65536)
#define REQUEST_USUAL_BYTES 65536
#define REQUESTS_MAX_BYTES (16 * 1024 * 1024) /* of all clients together */
#define BEHIND_BYTES (256 * 1024)
#define RESPONSES_MAX_BYTES (64 * 1024 * 1024)

struct control_client {
	struct control *control;
	struct control_client *next, **prev;
	uint64_t number;
	int fd;
	ev_io io;
	char *in, *out;
	size_t in_len, in_cap, out_len, out_cap;
	bool busy;   /* a request waits for its response: the next line is not read */
	bool ending; /* closed when out is empty */
	/* The timer must fire before the next request: other clients come first, or the user asks
	 * too often. */
	bool delayed;
	struct peer *user;
	enum peer_access access;
	char peer[64];
};

struct control {
	struct ev_loop *loop;
	control_handler *handler;
	void *arg;
	ev_io accept;
	ev_timer delay;
	struct peers *peers;
	struct peers_groups groups;
	struct control_client *clients;
	size_t in_bytes;
	uint64_t next_number;
	struct log_limit limit;
};

static void close_client(struct control_client *cl)
{
	ev_io_stop(cl->control->loop, &cl->io);
	close(cl->fd);
	*cl->prev = cl->next;
	if (cl->next)
		cl->next->prev = cl->prev;
	peers_leave(cl->control->peers, cl->user);
	cl->control->in_bytes -= cl->in_cap;
	free(cl->in);
	free(cl->out);
	free(cl);
}

static void rewatch(struct control_client *cl)
{
	struct ev_loop *loop = cl->control->loop;

	ev_io_stop(loop, &cl->io);
	/* Watches a busy client for reading, too, to notice that it leaves; but not a client that
	 * does not read its responses. */
	ev_io_set(&cl->io, cl->fd,
		(cl->delayed || cl->out_len > BEHIND_BYTES ? 0 : EV_READ) |
			(cl->out_len ? EV_WRITE : 0));
	ev_io_start(loop, &cl->io);
}

static void send_line(struct control_client *cl, json_t *object)
{
	_cleanup_free_ char *text = json_compact(object);
	size_t len = strlen(text);

	json_decref(object);
	if (cl->out_len + len + 1 > RESPONSES_MAX_BYTES) {
		cl->ending = true;
		return;
	}
	if (cl->out_len + len + 1 > cl->out_cap) {
		cl->out_cap = (cl->out_len + len + 1) * 2;
		cl->out = x_realloc(cl->out, cl->out_cap, 1);
	}
	memcpy(cl->out + cl->out_len, text, len);
	cl->out[cl->out_len + len] = '\n';
	cl->out_len += len + 1;
	rewatch(cl);
}

static struct control_client *find(struct control_ticket ticket)
{
	for (struct control_client *cl = ticket.control->clients; cl; cl = cl->next) {
		if (cl->number == ticket.client)
			return cl;
	}
	return NULL;
}

static void next_request(struct control_client *cl);

static struct control_ticket ticket_of(struct control_client *cl)
{
	return (struct control_ticket){cl->control, cl->number};
}

void control_respond(struct control_ticket ticket, json_t *data)
{
	struct control_client *cl = find(ticket);

	if (!cl) {
		json_decref(data);
		return;
	}
	cl->busy = false;
	send_line(cl, json_pack("{s:b, s:o}", "ok", 1, "data", data));
}

void control_refuse(struct control_ticket ticket, const char *code, const char *fmt, ...)
{
	struct control_client *cl = find(ticket);
	char text[ERR_MAX];
	va_list ap;

	if (!cl)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cl->busy = false;
	send_line(
		cl, json_pack("{s:b, s:s, s:o}", "ok", 0, "code", code, "error", json_text(text)));
}

void control_progress(struct control_ticket ticket, json_t *data)
{
	struct control_client *cl = find(ticket);

	if (cl)
		send_line(cl, json_pack("{s:o}", "progress", data));
	else
		json_decref(data);
}

bool control_is_open(struct control_ticket ticket)
{
	return find(ticket) != NULL;
}

bool control_is_behind(struct control_ticket ticket)
{
	const struct control_client *cl = find(ticket);

	return !cl || cl->out_len > BEHIND_BYTES;
}

bool control_has_unsent(struct control_ticket ticket)
{
	const struct control_client *cl = find(ticket);

	return cl && cl->out_len > 0;
}

bool control_may_change(struct control_ticket ticket)
{
	const struct control_client *cl = find(ticket);

	return cl && cl->access == PEER_CHANGES;
}

const char *control_peer(struct control_ticket ticket)
{
	const struct control_client *cl = find(ticket);

	return cl ? cl->peer : "somebody";
}

static void handle_line(struct control_client *cl, char *line, size_t len)
{
	json_error_t jerr;
	_cleanup_json_ json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &jerr);
	struct control_ticket ticket = ticket_of(cl);

	cl->busy = true;
	if (!json_is_object(request)) {
		control_refuse(ticket, "usage", "a request is one JSON object a line: %s",
			request ? "not an object" : jerr.text);
		cl->ending = true;
		return;
	}
	cl->control->handler(cl->control->arg, ticket, request);
}

/* Reads nothing of the client before the timer fires. */
static void put_off(struct control_client *cl, int64_t wait_ms)
{
	struct control *c = cl->control;
	struct ev_loop *loop = c->loop;
	double wait_s = (double)wait_ms / 1000;

	cl->delayed = true;
	rewatch(cl);
	if (ev_is_active(&c->delay) && ev_timer_remaining(loop, &c->delay) <= wait_s)
		return;
	ev_timer_stop(loop, &c->delay);
	ev_timer_set(&c->delay, wait_s, 0);
	ev_timer_start(loop, &c->delay);
}

/* Handles one buffered request, unless one is under way, the user asks too often, or the responses
 * are not read. */
static void next_request(struct control_client *cl)
{
	char *end = memchr(cl->in, '\n', cl->in_len);
	int64_t wait_ms;
	size_t used;

	if (!end || cl->busy || cl->ending || cl->delayed || cl->out_len > BEHIND_BYTES)
		return;
	wait_ms = peers_request(cl->user, units_now_mono_ms());
	if (wait_ms) {
		put_off(cl, wait_ms);
		return;
	}
	used = (size_t)(end - cl->in) + 1;
	handle_line(cl, cl->in, used - 1);
	memmove(cl->in, cl->in + used, cl->in_len - used);
	cl->in_len -= used;
}

/* Returns false if the client is gone. */
static bool read_client(struct control_client *cl)
{
	ssize_t n;

	if (cl->in_len + 1 >= cl->in_cap) {
		size_t cap =
			cl->in_cap * 2 < REQUEST_MAX_BYTES ? cl->in_cap * 2 : REQUEST_MAX_BYTES;
		size_t all = cl->control->in_bytes + cap - cl->in_cap;

		if (cap == cl->in_cap || (cap > REQUEST_USUAL_BYTES && all > REQUESTS_MAX_BYTES)) {
			close_client(cl);
			return false;
		}
		cl->control->in_bytes = all;
		cl->in_cap = cap;
		cl->in = x_realloc(cl->in, cl->in_cap, 1);
	}
	n = recv(cl->fd, cl->in + cl->in_len, cl->in_cap - cl->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		close_client(cl);
		return false;
	}
	cl->in_len += (size_t)n;
	return true;
}

static bool write_client(struct control_client *cl)
{
	while (cl->out_len) {
		ssize_t n = send(cl->fd, cl->out, cl->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			close_client(cl);
			return false;
		}
		memmove(cl->out, cl->out + n, cl->out_len - (size_t)n);
		cl->out_len -= (size_t)n;
	}
	if (!cl->out_len && cl->ending) {
		close_client(cl);
		return false;
	}
	rewatch(cl);
	/* The client's next request comes after those of all other clients. */
	if (memchr(cl->in, '\n', cl->in_len) && !cl->busy && !cl->delayed &&
		cl->out_len <= BEHIND_BYTES)
		put_off(cl, 0);
	return true;
}

static void on_client(struct ev_loop *loop, ev_io *io, int revents)
{
	struct control_client *cl = io->data;

	(void)loop;
	if ((revents & EV_READ) && !read_client(cl))
		return;
	if ((revents & EV_WRITE) && !write_client(cl))
		return;
	next_request(cl);
	/* Sends the response now instead of in the next turn of the loop. */
	if (cl->out_len || cl->ending)
		write_client(cl);
}

static void on_delay_over(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct control *c = w->data;

	(void)loop;
	(void)revents;
	for (struct control_client *cl = c->clients, *next; cl; cl = next) {
		next = cl->next;
		if (!cl->delayed)
			continue;
		cl->delayed = false;
		next_request(cl);
		write_client(cl);
	}
}

/* Sends one line instead of the greeting, and closes. */
static void turn_away(struct control *c, int fd, const char *code, const char *why)
{
	json_t *object = json_pack("{s:b, s:s, s:s}", "ok", 0, "code", code, "error", why);
	_cleanup_free_ char *text = json_compact(object);
	_cleanup_free_ char *line = x_asprintf("%s\n", text);

	json_decref(object);
	if (log_limit_allows(&c->limit, 2))
		log_event(LOG_LEVEL_WARN, "control", "refused a connection", LOG_ERROR(why));
	/* The line fits into the buffer of any socket. */
	if (send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("control", "the refused client is gone");
	close(fd);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int revents)
{
	struct control *c = io->data;
	struct control_client *cl;
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	enum peer_access access;
	struct peer *user;
	char why[160];

	(void)revents;
	if (fd < 0)
		return;
	/* A client of unknown credentials has no rights: uid -1, no group. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		peer = (struct ucred){.uid = (uid_t)-1, .gid = (gid_t)-1};
	access = peers_access(fd, peer.uid, peer.gid, &c->groups);
	if (access == PEER_NONE) {
		snprintf(why, sizeof(why),
			"uid %u is in neither of the groups that may use this socket",
			(unsigned int)peer.uid);
		turn_away(c, fd, "denied", why);
		return;
	}
	user = peers_admit(c->peers, peer.uid, units_now_mono_ms(), why, sizeof(why));
	if (!user) {
		turn_away(c, fd, "refused", why);
		return;
	}
	cl = x_calloc(1, sizeof(*cl));
	cl->control = c;
	cl->user = user;
	cl->access = access;
	cl->number = ++c->next_number;
	cl->fd = fd;
	cl->next = c->clients;
	cl->prev = &c->clients;
	if (cl->next)
		cl->next->prev = &cl->next;
	c->clients = cl;
	snprintf(cl->peer, sizeof(cl->peer), "uid=%u pid=%d", (unsigned)peer.uid, (int)peer.pid);
	ev_io_init(&cl->io, on_client, fd, EV_READ);
	cl->io.data = cl;
	ev_io_start(loop, &cl->io);
	cl->in_cap = 1024;
	c->in_bytes += cl->in_cap;
	cl->in = x_calloc(1, cl->in_cap);
	send_line(cl,
		json_pack("{s:s, s:i}", "k6fleet", PACKAGE_VERSION, "protocol", CONTROL_PROTOCOL));
	write_client(cl);
}

void control_flush(struct control *c)
{
	for (struct control_client *cl = c->clients, *next; cl; cl = next) {
		next = cl->next;
		if (cl->out_len)
			write_client(cl);
	}
}

struct control *control_new(
	struct ev_loop *loop, int listen_fd, control_handler *handler, void *arg)
{
	struct control *c = x_calloc(1, sizeof(*c));

	c->loop = loop;
	c->handler = handler;
	c->arg = arg;
	ev_io_init(&c->accept, on_accept, listen_fd, EV_READ);
	c->accept.data = c;
	ev_init(&c->delay, on_delay_over);
	c->delay.data = c;
	c->peers = peers_new();
	c->groups = (struct peers_groups){(gid_t)-1, (gid_t)-1};
	return c;
}

void control_set_groups(struct control *c, gid_t control, gid_t read)
{
	c->groups = (struct peers_groups){control, read};
}

void control_start(struct control *c)
{
	ev_io_start(c->loop, &c->accept);
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (struct control_client *cl = c->clients, *next; cl; cl = next) {
		next = cl->next;
		close_client(cl);
	}
	ev_io_stop(c->loop, &c->accept);
	ev_timer_stop(c->loop, &c->delay);
	peers_free(c->peers);
	free(c);
}
