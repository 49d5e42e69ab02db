/* SPDX-License-Identifier: MIT */
/* Sources: memfd_create(2), F_ADD_SEALS in fcntl(2). */
#include "common/hb.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/mem.h"

/* How far a common start of several agents may lie ahead. */
#define AHEAD_MAX_MS HOUR_MS

_Static_assert(sizeof(struct hb_page) <= HB_PAGE_BYTES, "a heartbeat fits its page");

int hb_create(unsigned int slots, struct err *err)
{
	_cleanup_fd_ int fd = memfd_create("k6fleet-heartbeats", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)slots * HB_PAGE_BYTES) < 0 ||
		/* Without these seals a worker could shrink the memfd, and the supervisor would
		 * die by SIGBUS. */
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, errno, "cannot make the heartbeat pages");
	return steal_fd(&fd);
}

struct hb_page *hb_map_own(int fd, unsigned int slot, struct err *err)
{
	void *p = mmap(NULL, HB_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		(off_t)slot * HB_PAGE_BYTES);

	if (p == MAP_FAILED) {
		err_sys(err, errno, "cannot map heartbeat page %u", slot);
		return NULL;
	}
	return p;
}

const uint8_t *hb_map_all(int fd, unsigned int slots, struct err *err)
{
	void *p = mmap(NULL, (size_t)slots * HB_PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		err_sys(err, errno, "cannot map the heartbeat pages");
		return NULL;
	}
	return p;
}

bool hb_read(const uint8_t *pages, unsigned int slot, uint64_t now_mono_ms, struct hb_page *out)
{
	memcpy(out, pages + (size_t)slot * HB_PAGE_BYTES, sizeof(*out));
	out->run_id[sizeof(out->run_id) - 1] = '\0';
	/* k6 may have taken over the worker, so times are compared with the supervisor's own
	 * clock. */
	return out->beat_mono_ms <= now_mono_ms + 1000 && out->state <= HB_RUNNING &&
		out->run_start_mono_ms <= now_mono_ms + AHEAD_MAX_MS &&
		out->run_duration_ms <= WEEK_MS &&
		(out->run_id[0] == '\0' || uuid_is_valid(out->run_id));
}
