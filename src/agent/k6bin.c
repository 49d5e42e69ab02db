/* SPDX-License-Identifier: MIT */
/* By device, inode, size and time of change: what make(1) and package managers go by. */
#include "agent/k6bin.h"

int k6bin_note(struct k6bin *k6, int fd, bool by_fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	*k6 = (struct k6bin){.fd = fd,
		.by_fd = by_fd,
		.dev = st.st_dev,
		.inode = st.st_ino,
		.size = st.st_size,
		.modified = st.st_mtim};
	return 0;
}

bool k6bin_is_same(const struct k6bin *a, const struct k6bin *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->size == b->size &&
		a->modified.tv_sec == b->modified.tv_sec &&
		a->modified.tv_nsec == b->modified.tv_nsec;
}

bool k6bin_is_unchanged(const struct k6bin *k6)
{
	struct k6bin now;

	return k6bin_note(&now, k6->fd, k6->by_fd) == 0 && k6bin_is_same(k6, &now);
}
