/* SPDX-License-Identifier: MIT */
/* k6fleetctl: options, the connection, and the words for what can go wrong with it. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/sock.h"
#include "ctl/complete.h"
#include "ctl/render_table.h"

#define DEFAULT_SOCKET RUNSTATEDIR "/k6fleet/control.sock"

static void usage(FILE *out)
{
	fputs("usage: k6fleetctl [-s SOCKET] [--json] [--no-color] VERB ...\n"
	      "\n"
	      "Talks to k6fleetd on this host.\n"
	      "\n"
	      "  -s, --socket SOCKET  control socket (default $K6FLEET_SOCKET or " DEFAULT_SOCKET
	      ")\n"
	      "      --json           answer in JSON, one line\n"
	      "      --no-color       no colours (also: NO_COLOR in the environment)\n"
	      "      --version        print the version of k6fleetctl and exit\n"
	      "  -h, --help           print this and exit\n"
	      "\n"
	      "Verbs:\n",
		out);
	ctl_print_verbs(out);
	fputs("\nExit: 0 done, 1 refused or failed, 2 usage, 3 no daemon there, 4 not allowed.\n",
		out);
}

_Noreturn static void denied(const char *socket)
{
	const struct group *group = NULL;
	struct stat st;

	fprintf(stderr, "k6fleetctl: not allowed to use %s\n", socket);
	if (stat(socket, &st) == 0 && (st.st_mode & S_IWGRP))
		group = getgrgid(st.st_gid);
	if (group)
		fprintf(stderr,
			"It is for the group \"%s\": join it (sudo usermod -aG %s $USER, then log in "
			"again) or use sudo.\n",
			group->gr_name, group->gr_name);
	else
		fputs("It belongs to another user: use sudo, or name your own with -s.\n", stderr);
	exit(CTL_DENIED);
}

void ctl_connect(struct ctl *ctl)
{
	struct err err;

	ctl->fd = sock_connect(ctl->socket, &err);
	if (ctl->fd < 0 && (errno == EACCES || errno == EPERM))
		denied(ctl->socket);
	if (ctl->fd < 0) {
		fprintf(stderr,
			"k6fleetctl: no k6fleetd answers at %s (%s)\n"
			"Start it with: systemctl start k6fleetd (or run k6fleetd), or name its socket with -s.\n",
			ctl->socket, strerror(errno));
		exit(CTL_NO_DAEMON);
	}
}

/* A supervisor that is replaced takes its connections along; the next one answers on the same socket a
 * moment later. */
#define REPEATS_MAX 10

static void send_line(struct ctl *ctl)
{
	for (size_t done = 0, len = strlen(ctl->request); done < len;) {
		ssize_t n = send(ctl->fd, ctl->request + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* the answer, or its absence, says why */
		done += (size_t)n;
	}
}

/* The next line, without its end; the caller frees.  NULL: the connection was closed. */
static char *read_text(struct ctl *ctl)
{
	size_t looked = 0;

	for (;;) {
		char *end = ctl->len > looked ? memchr(ctl->buf + looked, '\n', ctl->len - looked)
					      : NULL;
		ssize_t n;

		if (end) {
			size_t used = (size_t)(end - ctl->buf) + 1;
			char *line = x_strndup(ctl->buf, used - 1);

			memmove(ctl->buf, ctl->buf + used, ctl->len - used);
			ctl->len -= used;
			return line;
		}
		looked = ctl->len;
		if (ctl->len == ctl->cap) {
			ctl->cap = ctl->cap ? ctl->cap * 2 : 65536;
			ctl->buf = x_realloc(ctl->buf, ctl->cap, 1);
		}
		n = recv(ctl->fd, ctl->buf + ctl->len, ctl->cap - ctl->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		ctl->len += (size_t)n;
	}
}

static json_t *parse(const char *line)
{
	json_t *value = json_loads(line, 0, NULL);

	if (value)
		return value;
	fputs("k6fleetctl: what answers there is no k6fleetd\n", stderr);
	exit(CTL_NO_DAEMON);
}

/* The data of an answer, new reference; NULL: it was progress.  Ends with a refusal's message. */
static json_t *take_answer(const char *line, void (*on_progress)(const json_t *progress))
{
	_cleanup_json_ json_t *answer = parse(line);
	const json_t *progress = json_object_get(answer, "progress");
	const char *code = json_get_text(answer, "code", "refused");

	if (progress) {
		if (on_progress)
			on_progress(progress);
		return NULL;
	}
	if (json_is_true(json_object_get(answer, "ok")))
		return json_incref(json_object_get(answer, "data"));
	fprintf(stderr, "k6fleetctl: %s\n",
		json_get_text(answer, "error", "refused without a reason"));
	exit(!strcmp(code, "usage")               ? CTL_USAGE
			: !strcmp(code, "denied") ? CTL_DENIED
						  : CTL_FAILED);
}

/* Connects where that is needed, reads the greeting, sends the request. */
static void ask(struct ctl *ctl)
{
	for (; ctl->fd < 0; ctl->repeated++) {
		_cleanup_free_ char *greeting = NULL;

		if (ctl->repeated)
			usleep(20000U * (unsigned int)ctl->repeated);
		ctl_connect(ctl);
		greeting = read_text(ctl);
		if (greeting && strstr(greeting, "\"ok\":false"))
			json_decref(take_answer(greeting, NULL)); /* turned away: says why */
		if (!greeting && ctl->repeated < REPEATS_MAX)
			ctl_disconnect(ctl);
	}
	send_line(ctl);
}

static char *next_line(struct ctl *ctl)
{
	char *line;

	while (!(line = read_text(ctl))) {
		if (!ctl->repeat || ctl->repeated >= REPEATS_MAX) {
			fputs("k6fleetctl: k6fleetd closed the connection before it answered; is it being "
			      "stopped? Try again.\n",
				stderr);
			exit(CTL_NO_DAEMON);
		}
		ctl_disconnect(ctl);
		ask(ctl);
	}
	return line;
}

void ctl_disconnect(struct ctl *ctl)
{
	if (ctl->fd >= 0)
		close(ctl->fd);
	ctl->fd = -1;
	ctl->len = 0;
}

static void send_request(struct ctl *ctl, json_t *request)
{
	const char *verb = json_get_text(request, "verb", "");
	_cleanup_free_ char *text = json_compact(request);

	/* Counts are absolute, so asking for one again is asking for the same. */
	ctl->repeat = strcmp(verb, "restart") != 0 && strcmp(verb, "stop") != 0 &&
		strcmp(verb, "run") != 0 && !json_is_true(json_object_get(request, "binary"));
	ctl->repeated = 0;
	free(ctl->request);
	ctl->request = x_asprintf("%s\n", text);
	json_decref(request);
	ask(ctl);
}

json_t *ctl_call(struct ctl *ctl, json_t *request, void (*on_progress)(const json_t *progress))
{
	send_request(ctl, request);
	for (;;) {
		_cleanup_free_ char *line = next_line(ctl);
		json_t *data = take_answer(line, on_progress);

		if (data)
			return data;
	}
}

void ctl_print_answer(struct ctl *ctl, json_t *request)
{
	static const char head[] = "{\"ok\":true,\"data\":";
	_cleanup_free_ char *line = NULL;
	_cleanup_json_ json_t *data = NULL;
	size_t len;

	send_request(ctl, request);
	line = next_line(ctl);
	len = strlen(line);
	/* A thousand agents need not be taken apart and put together again. */
	if (!strncmp(line, head, sizeof(head) - 1) && line[len - 1] == '}') {
		fwrite(line + sizeof(head) - 1, 1, len - sizeof(head), stdout);
		putchar('\n');
		return;
	}
	data = take_answer(line, NULL);
	render_json(data);
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"no-color", no_argument, NULL, 'C'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct ctl ctl = {.socket = getenv("K6FLEET_SOCKET"), .fd = -1};
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	int c, status;

	render_measure(&ctl);
	ctl.color = ctl.width && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
	if (!ctl.socket || !*ctl.socket)
		ctl.socket = DEFAULT_SOCKET;
	/* "+": what follows the verb is the verb's. */
	while ((c = getopt_long(argc, argv, "+s:h", longopts, NULL)) != -1) {
		switch (c) {
		case 's': ctl.socket = optarg; break;
		case 'j': ctl.json = true; break;
		case 'C': ctl.color = false; break;
		case 'V': printf("k6fleetctl %s\n", PACKAGE_VERSION); return CTL_OK;
		case 'h': usage(stdout); return CTL_OK;
		default: fputs("Try 'k6fleetctl --help'.\n", stderr); return CTL_USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return CTL_USAGE;
	}
	status = !strcmp(argv[optind], "__complete")
		? ctl_complete(&ctl, argc - optind - 1, argv + optind + 1)
		: ctl_run_verb(&ctl, argc - optind, argv + optind);
	/* A full disk behind the redirection must not look like success. */
	if (fflush(stdout) != 0 && status == CTL_OK) {
		perror("k6fleetctl: cannot write the answer");
		status = CTL_FAILED;
	}
	ctl_disconnect(&ctl);
	free(ctl.buf);
	free(ctl.request);
	return status;
}
