/* SPDX-License-Identifier: MIT */
/* read(2), write(2), memfd_create(2); seals as in fcntl(2). */
#include "common/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mem.h"

int fdio_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

size_t fdio_read_all(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

char *fdio_read_file(const char *path, int flags, size_t max, size_t *len, struct err *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	_cleanup_free_ char *text = x_calloc(max + 2, 1);

	if (fd < 0) {
		err_sys(err, errno, "cannot read %s", path);
		return NULL;
	}
	errno = 0;
	*len = fdio_read_all(fd, text, max + 1);
	if (errno && errno != EINTR) {
		err_sys(err, errno, "cannot read %s", path);
		return NULL;
	}
	if (*len > max) {
		err_set(err, "%s is larger than %zu bytes", path, max);
		return NULL;
	}
	return x_realloc(steal_ptr(text), *len + 1, 1);
}

int fdio_seal(const char *name, const void *data, size_t len, struct err *err)
{
	_cleanup_fd_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || fdio_write_all(fd, data, len) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
			0)
		return err_sys(err, errno, "cannot keep %s in memory", name);
	return steal_fd(&fd);
}
