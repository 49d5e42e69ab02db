/* SPDX-License-Identifier: MIT */
/* The socket is opened once, before the host's root is left.  The kernel adds the sender's ids
 * to each datagram, so entries hold none. */
#include "common/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"

bool journal_has_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	/* Whoever has redirected standard error since then wants the lines there. */
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

void journal_begin(struct journal_entry *e)
{
	e->len = 0;
	e->full = false;
}

void journal_add(struct journal_entry *e, const char *name, const char *value)
{
	size_t room = sizeof(e->text) - e->len;
	size_t n = (size_t)snprintf(e->text + e->len, room, "%s=%s\n", name, value);

	if (n < room)
		e->len += n;
	else
		e->full = true;
}

int journal_send(int fd, const struct journal_entry *e)
{
	if (e->full)
		return -1;
	return send(fd, e->text, e->len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)e->len ? 0 : -1;
}
