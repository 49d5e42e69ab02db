/* SPDX-License-Identifier: MIT */
/* sd_notify(3), section "Notes", describes the protocol, which is stable. */
#include "keeper/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/mem.h"

static int socket_fd = -1;

bool notify_is_open(void)
{
	return socket_fd >= 0;
}

int notify_fd(void)
{
	return socket_fd;
}

void notify_use(int fd)
{
	socket_fd = fd;
}

void notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(addr.sun_path))
		return;
	len = strlen(path);
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (socket_fd >= 0 &&
		connect(socket_fd, (struct sockaddr *)&addr,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		close_fd(&socket_fd);
}

void notify_send(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (socket_fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (send(socket_fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}
