/* SPDX-License-Identifier: MIT */
/* AF_UNIX, SOCK_SEQPACKET and SCM_RIGHTS: unix(7), cmsg(3). */
#include "common/chan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "common/mem.h"

struct chan_item {
	struct chan_item *next;
	struct msg_writer msg;
	int fd;
};

int chan_pair(int fds[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return err_sys(err, errno, "cannot make a socketpair");
	return 0;
}

enum chan_result chan_send(int chan, const struct msg_writer *msg, int fd, struct err *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = msg->data, .iov_len = msg->len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	for (;;) {
		if (sendmsg(chan, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return CHAN_OK;
		if (errno == EINTR)
			continue;
		/* ENOBUFS: the kernel is short of memory; ETOOMANYREFS: too many descriptors are
		 * in flight.  Both are temporary. */
		if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
			return CHAN_AGAIN;
		if (errno == EPIPE || errno == ECONNRESET)
			return CHAN_EOF;
		err_sys(err, errno, "cannot send a message of %zu bytes", msg->len);
		return CHAN_ERROR;
	}
}

/* CMSG_NXTHDR(3), whose text in musl's header converts between signed and unsigned. */
static struct cmsghdr *chan_next_control(struct msghdr *mh, struct cmsghdr *c)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
	return CMSG_NXTHDR(mh, c);
#pragma GCC diagnostic pop
}

enum chan_result chan_recv(int chan, void *buf, size_t *len, int *fd, bool peek, struct err *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * 4)];
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = MSG_MAX_BYTES};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = peek ? NULL : control.buf,
		.msg_controllen = peek ? 0 : sizeof(control.buf)};
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(chan, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | (peek ? MSG_PEEK : 0));
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno == EAGAIN)
			return CHAN_AGAIN;
		if (errno == ECONNRESET)
			return CHAN_EOF;
		err_sys(err, errno, "cannot receive a message");
		return CHAN_ERROR;
	}
	if (n == 0)
		return CHAN_EOF;
	*len = (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); !peek && c; c = chan_next_control(&mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* A peer that sends more than one descriptor is faulty or hostile: keep the
		 * first, close the others. */
		for (size_t off = 0; CMSG_LEN(off + sizeof(int)) <= c->cmsg_len;
			off += sizeof(int)) {
			int got;

			memcpy(&got, CMSG_DATA(c) + off, sizeof(int));
			if (*fd < 0)
				*fd = got;
			else
				close(got);
		}
	}
	if (mh.msg_flags & MSG_TRUNC) {
		close_fd(fd);
		err_set(err, "a message is larger than %d bytes", MSG_MAX_BYTES);
		return CHAN_ERROR;
	}
	return CHAN_OK;
}

void chan_queue_init(struct chan_queue *q)
{
	*q = (struct chan_queue){.tail = &q->head};
}

static void drop_head(struct chan_queue *q)
{
	struct chan_item *item = q->head;

	q->head = item->next;
	if (!q->head)
		q->tail = &q->head;
	q->count--;
	msg_free(&item->msg);
	close_fd(&item->fd);
	free(item);
}

void chan_queue_clear(struct chan_queue *q)
{
	while (q->head)
		drop_head(q);
	chan_queue_init(q);
}

enum chan_result chan_queue_send(
	struct chan_queue *q, int chan, const struct msg_writer *msg, int fd, struct err *err)
{
	struct chan_item *item;

	if (!q->head) {
		enum chan_result res = chan_send(chan, msg, fd, err);

		if (res != CHAN_AGAIN)
			return res;
	}
	if (q->count >= CHAN_QUEUE_MAX) {
		err_set(err, "the queue of %d messages is full", CHAN_QUEUE_MAX);
		return CHAN_ERROR;
	}
	item = x_calloc(1, sizeof(*item));
	item->fd = -1;
	if (fd >= 0) {
		item->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (item->fd < 0) {
			err_sys(err, errno, "cannot keep a descriptor for later");
			free(item);
			return CHAN_ERROR;
		}
	}
	msg_copy(&item->msg, msg->data, msg->len);
	*q->tail = item;
	q->tail = &item->next;
	q->count++;
	return CHAN_AGAIN;
}

enum chan_result chan_queue_flush(struct chan_queue *q, int chan, struct err *err)
{
	while (q->head) {
		enum chan_result res = chan_send(chan, &q->head->msg, q->head->fd, err);

		if (res != CHAN_OK)
			return res;
		drop_head(q);
	}
	return CHAN_OK;
}
