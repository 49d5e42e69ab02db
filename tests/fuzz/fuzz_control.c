/* SPDX-License-Identifier: MIT */
/*
 * Lines on the control socket, over a real connection: whatever a client sends, it gets whole
 * lines of JSON, one greeting and at most one response a request, and the next client is served.
 */
#include "fuzz.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "supervisor/control.h"

#define SENT_MAX_BYTES 65536

static struct ev_loop *loop;
static int listener = -1;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_len;

/* An abstract socket, of which the kernel chooses the name: unix(7). */
static void set_up(void)
{
	log_init("fuzz", LOG_LEVEL_ERROR, false);
	loop = ev_loop_new(EVFLAG_AUTO);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	FUZZ_HOLDS(loop && listener >= 0);
	FUZZ_HOLDS(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	FUZZ_HOLDS(listen(listener, 8) == 0);
	address_len = sizeof(address);
	FUZZ_HOLDS(getsockname(listener, (struct sockaddr *)&address, &address_len) == 0);
}

/* Responds in one of three ways, by the length of the verb. */
static void handle(void *arg, struct control_ticket ticket, const json_t *request)
{
	int *requests = arg;
	const char *verb = json_string_value(json_object_get(request, "verb"));

	++*requests;
	FUZZ_HOLDS(json_is_object(request) && control_is_open(ticket));
	switch (verb ? strlen(verb) % 3 : 0) {
	case 0: control_respond(ticket, json_pack("{s:i}", "n", *requests)); break;
	case 1:
		control_progress(ticket, json_pack("{s:i}", "done", 1));
		control_respond(ticket, json_null());
		break;
	default: control_refuse(ticket, "refused", "not \"%s\"", verb);
	}
}

static void turn(struct control *c)
{
	for (int i = 0; i < 6; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		control_flush(c);
	}
}

/* Reads what has come, and counts the lines that are responses. */
static int responses(int client)
{
	static char text[1 << 20];
	size_t len = 0;
	int count = 0;
	ssize_t n;

	while (len < sizeof(text) &&
		(n = recv(client, text + len, sizeof(text) - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		_cleanup_json_ json_t *line = NULL;

		FUZZ_HOLDS(end || len == sizeof(text));
		if (!end)
			break;
		line = json_loadb(text + at, (size_t)(end - text) - at, 0, NULL);
		FUZZ_HOLDS(json_is_object(line));
		count += json_object_get(line, "ok") != NULL;
		at = (size_t)(end - text) + 1;
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int requests = 0, client;
	struct control *c;

	if (listener < 0)
		set_up();
	c = control_new(loop, listener, handle, &requests);
	control_start(c);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	FUZZ_HOLDS(connect(client, (struct sockaddr *)&address, address_len) == 0);
	turn(c);
	if (size > SENT_MAX_BYTES)
		size = SENT_MAX_BYTES;
	/* In two pieces, so that a line is also cut. */
	if (send(client, data, size / 2, MSG_NOSIGNAL) >= 0) {
		turn(c);
		send(client, data + size / 2, size - size / 2, MSG_NOSIGNAL);
	}
	turn(c);
	FUZZ_HOLDS(responses(client) >= requests - 1);
	close(client);
	turn(c);
	control_free(c);
	return 0;
}
