/* SPDX-License-Identifier: MIT */
/* read(2), write(2), mkdir(2), memfd_create(2); seals as in fcntl(2). */
#include "common/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

size_t fdio_read_upto(int fd, void *buf, size_t len)
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

/* The first guess of a pipe's content. */
#define PIPE_BYTES 16384

/* Room for what is to come behind `got` bytes: a regular file's size at first, then twice as
 * much. */
static char *grow(char *text, size_t *cap, size_t size, size_t max)
{
	size_t wanted = *cap ? *cap * 2 : size ? size + 1 : PIPE_BYTES;

	*cap = wanted > max + 1 ? max + 1 : wanted;
	return x_realloc(text, *cap + 1, 1);
}

char *fdio_read_all(int fd, const char *name, size_t max, size_t *len, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t got = 0, cap = 0;
	struct stat st = {0};
	bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	for (;;) {
		ssize_t n;

		if (got == cap)
			text = grow(text, &cap, regular ? (size_t)st.st_size : 0, max);
		n = regular ? pread(fd, text + got, cap - got, (off_t)got)
			    : read(fd, text + got, cap - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, errno, "cannot read %s", name);
			return NULL;
		}
		if (n == 0)
			break;
		got += (size_t)n;
		if (got > max) {
			err_code_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", name, max);
			return NULL;
		}
	}
	text[got] = '\0';
	if (len)
		*len = got;
	return steal_ptr(text);
}

char *fdio_read_file(const char *path, int flags, size_t max, size_t *len, struct err *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0) {
		err_sys(err, errno, "cannot read %s", path);
		return NULL;
	}
	return fdio_read_all(fd, path, max, len, err);
}

int fdio_mkdir_parents(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err)
{
	_cleanup_free_ char *copy = x_strdup(path);

	for (char *p = copy + (*copy == '/'); *copy; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, c ? 0755 : mode) == 0) {
			if (!c && (uid != (uid_t)-1 || gid != (gid_t)-1) &&
				chown(copy, uid, gid) < 0)
				return err_sys(err, errno, "cannot give %s to its user", copy);
		} else if (errno != EEXIST) {
			return err_sys(err, errno, "cannot make the directory %s", copy);
		}
		*p = c;
		if (!c)
			break;
	}
	return 0;
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

int fdio_close_range(unsigned first, unsigned last, bool unshare)
{
	return (int)syscall(SYS_close_range, first, last, unshare ? CLOSE_RANGE_UNSHARE : 0);
}
