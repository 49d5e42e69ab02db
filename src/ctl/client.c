/* SPDX-License-Identifier: MIT */
/* The other end is supervisor/control.c: it sends a greeting, then for each request lines with
 * "progress" and one line with "ok". */
#include "ctl/client.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/json.h"
#include "common/json_fast.h"
#include "common/mem.h"
#include "common/sock.h"

/* The next supervisor accepts connections on the same socket a moment later. */
#define REPEATS_MAX 10
#define REPEAT_DELAY_US 20000U

/* A status of 10000 agents is 5 MiB; whatever sends so much without a newline is no k6fleetd. */
#define LINE_MAX_BYTES (256 * 1024 * 1024)

__attribute__((format(printf, 3, 4))) static int client_fail(
	struct ctl_failure *failure, enum ctl_exit status, const char *fmt, ...)
{
	va_list ap;

	failure->status = status;
	va_start(ap, fmt);
	vsnprintf(failure->text, sizeof(failure->text), fmt, ap);
	va_end(ap);
	return -1;
}

/* --- connecting --------------------------------------------------------------------- */

static int fail_denied(const char *socket, struct ctl_failure *failure)
{
	const struct group *group = NULL;
	struct stat st;

	if (stat(socket, &st) == 0 && (st.st_mode & S_IWGRP))
		group = getgrgid(st.st_gid);
	if (!group)
		return client_fail(failure, CTL_DENIED,
			"not allowed to use %s\n"
			"It belongs to another user: use sudo, or name your own with -s.",
			socket);
	return client_fail(failure, CTL_DENIED,
		"not allowed to use %s\n"
		"It is for the group \"%s\": join it (sudo usermod -aG %s $USER, then log in "
		"again) or use sudo.",
		socket, group->gr_name, group->gr_name);
}

static int open_socket(struct ctl_client *c, struct ctl_failure *failure)
{
	struct err err;

	c->fd = sock_connect(c->socket, &err);
	if (c->fd >= 0)
		return 0;
	if (err.code == ERR_ACCESS)
		return fail_denied(c->socket, failure);
	return client_fail(failure, CTL_NO_DAEMON,
		"no k6fleetd responds at %s (%s)\n"
		"Start it with: systemctl start k6fleetd (or run k6fleetd), or name its socket with -s.",
		c->socket, strerror(errno));
}

void ctl_client_disconnect(struct ctl_client *c)
{
	close_fd(&c->fd);
	c->len = 0;
}

void ctl_client_close(struct ctl_client *c)
{
	ctl_client_disconnect(c);
	free(c->buf);
	free(c->request);
	*c = (struct ctl_client){.fd = -1};
}

/* --- lines -------------------------------------------------------------------------- */

/* An error is left to the read that follows: the response, or its absence, says why. */
static void send_line(struct ctl_client *c)
{
	for (size_t done = 0, len = strlen(c->request); done < len;) {
		ssize_t n = send(c->fd, c->request + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		done += (size_t)n;
	}
}

/* Returns the next line without its newline, which the caller frees; NULL: the connection was
 * closed. */
static char *read_line(struct ctl_client *c)
{
	size_t looked = 0;

	for (;;) {
		char *end = c->len > looked ? memchr(c->buf + looked, '\n', c->len - looked) : NULL;
		ssize_t n;

		if (end) {
			size_t used = (size_t)(end - c->buf) + 1;
			char *line = x_strndup(c->buf, used - 1);

			memmove(c->buf, c->buf + used, c->len - used);
			c->len -= used;
			return line;
		}
		looked = c->len;
		if (c->len >= LINE_MAX_BYTES)
			return x_strdup(""); /* no JSON, so no k6fleetd */
		if (c->len == c->cap) {
			c->cap = c->cap ? c->cap * 2 : 65536;
			c->buf = x_realloc(c->buf, c->cap, 1);
		}
		n = recv(c->fd, c->buf + c->len, c->cap - c->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		c->len += (size_t)n;
	}
}

/* Returns an object, new reference; NULL and the failure for anything else. */
static json_t *client_parse(const char *line, struct ctl_failure *failure)
{
	json_t *value = json_loads(line, 0, NULL);

	if (json_is_object(value))
		return value;
	json_decref(value);
	client_fail(failure, CTL_NO_DAEMON, "the program that responds is not k6fleetd");
	return NULL;
}

static int fail_refused(const json_t *response, struct ctl_failure *failure)
{
	const char *code = json_get_text(response, "code", "refused");

	return client_fail(failure,
		!strcmp(code, "usage")            ? CTL_USAGE
			: !strcmp(code, "denied") ? CTL_DENIED
						  : CTL_FAILED,
		"%s", json_get_text(response, "error", "refused without a reason"));
}

/* --- requests and responses ---------------------------------------------------------- */

/* The greeting names the program and its version, or the reason why the client is refused. */
static int check_greeting(const char *line, struct ctl_failure *failure)
{
	_cleanup_json_ json_t *greeting = client_parse(line, failure);

	if (!greeting)
		return -1;
	if (json_is_false(json_object_get(greeting, "ok")))
		return fail_refused(greeting, failure);
	if (!json_is_string(json_object_get(greeting, "k6fleet")))
		return client_fail(
			failure, CTL_NO_DAEMON, "the program that responds is not k6fleetd");
	return 0;
}

/* Connects where that is needed, reads the greeting, sends the request. */
static int client_ask(struct ctl_client *c, struct ctl_failure *failure)
{
	for (; c->fd < 0; c->repeated++) {
		_cleanup_free_ char *greeting = NULL;

		if (c->repeated)
			usleep(REPEAT_DELAY_US * (unsigned int)c->repeated);
		if (open_socket(c, failure) < 0)
			return -1;
		greeting = read_line(c);
		if (greeting && check_greeting(greeting, failure) < 0)
			return -1;
		if (!greeting && c->repeated < REPEATS_MAX)
			ctl_client_disconnect(c);
	}
	send_line(c);
	return 0;
}

/* Returns the next line of the response, which the caller frees; NULL and the failure. */
static char *next_line(struct ctl_client *c, struct ctl_failure *failure)
{
	char *line;

	while (!(line = read_line(c))) {
		if (!c->repeatable || c->repeated >= REPEATS_MAX) {
			client_fail(failure, CTL_NO_DAEMON,
				"k6fleetd closed the connection before it responded; is it being "
				"stopped? Try again.");
			return NULL;
		}
		ctl_client_disconnect(c);
		if (client_ask(c, failure) < 0)
			return NULL;
	}
	return line;
}

/* Takes the request over. */
static int client_begin(struct ctl_client *c, json_t *request, struct ctl_failure *failure)
{
	const char *verb = json_get_text(request, "verb", "");
	_cleanup_free_ char *text = json_compact(request);

	/* Counts are absolute, so asking for one again is asking for the same. */
	c->repeatable = strcmp(verb, "restart") != 0 && strcmp(verb, "stop") != 0 &&
		strcmp(verb, "run") != 0 && !json_is_true(json_object_get(request, "binary"));
	c->repeated = 0;
	free(c->request);
	c->request = x_asprintf("%s\n", text);
	json_decref(request);
	return client_ask(c, failure);
}

/* Returns 1 and the data (new reference) for the last line of a response, 0 for progress, -1 and
 * the failure. */
static int client_take(const char *line, ctl_client_progress_fn *progress, json_t **data,
	struct ctl_failure *failure)
{
	_cleanup_json_ json_t *response = client_parse(line, failure);
	const json_t *step = json_object_get(response, "progress");

	if (!response)
		return -1;
	if (step) {
		if (progress)
			progress(step);
		return 0;
	}
	if (!json_is_true(json_object_get(response, "ok")))
		return fail_refused(response, failure);
	*data = json_incref(json_object_get(response, "data"));
	if (!*data)
		*data = json_null();
	return 1;
}

json_t *ctl_client_call(struct ctl_client *c, json_t *request, ctl_client_progress_fn *progress,
	struct ctl_failure *failure)
{
	json_t *data = NULL;
	int taken = client_begin(c, request, failure);

	while (taken == 0) {
		_cleanup_free_ char *line = next_line(c, failure);

		taken = line ? client_take(line, progress, &data, failure) : -1;
	}
	return data;
}

char *ctl_client_call_text(struct ctl_client *c, json_t *request, struct ctl_failure *failure)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_json_ json_t *data = NULL;
	char *text;

	if (client_begin(c, request, failure) < 0)
		return NULL;
	line = next_line(c, failure);
	if (!line)
		return NULL;
	text = json_fast_data(line);
	if (text)
		return text;
	return client_take(line, NULL, &data, failure) > 0 ? json_compact(data) : NULL;
}
