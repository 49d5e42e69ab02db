/* SPDX-License-Identifier: MIT */
/* Opened once, before the host's root is left; who sent an entry the kernel says with each datagram. */
#include "common/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"

#define FIELDS_MAX 6

int journal_has_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	/* Somebody may have redirected it since, and then wants the lines there. */
	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
		fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

int journal_open(void)
{
	const struct sockaddr_un addr = {
		.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
	_cleanup_fd_ int fd = -1;

	if (!journal_has_stderr())
		return -1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return steal_fd(&fd);
}

int journal_send(int fd, const struct journal_entry *e)
{
	char priority[] = {(char)('0' + e->priority), '\0'};
	const struct {
		const char *name, *value;
	} fields[FIELDS_MAX] = {{"PRIORITY", priority}, {"SYSLOG_IDENTIFIER", e->program},
		{"K6FLEET_SUBJECT", e->subject}, {"AGENT", e->agent}, {"RUN", e->run},
		{"MESSAGE", e->message}};
	char text[8192];
	size_t len = 0;

	for (size_t i = 0; i < FIELDS_MAX; i++) {
		if (fields[i].value)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s=%s\n",
				fields[i].name, fields[i].value);
		if (len >= sizeof(text))
			return -1;
	}
	return send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0 : -1;
}
