/* SPDX-License-Identifier: MIT */
#include "common/filestamp.h"

int filestamp_take(int fd, struct filestamp *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	*out = (struct filestamp){
		.dev = st.st_dev, .inode = st.st_ino, .size = st.st_size, .modified = st.st_mtim};
	return 0;
}

bool filestamp_is_same(const struct filestamp *a, const struct filestamp *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->size == b->size &&
		a->modified.tv_sec == b->modified.tv_sec &&
		a->modified.tv_nsec == b->modified.tv_nsec;
}

bool filestamp_fits(const struct filestamp *stamp, int fd)
{
	struct filestamp now;

	return filestamp_take(fd, &now) == 0 && filestamp_is_same(stamp, &now);
}
