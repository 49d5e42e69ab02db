/* SPDX-License-Identifier: MIT */
/*
 * A wall clock that jumps, for storage.bats: preloaded into the daemons (LD_PRELOAD).
 * CLOCK_JUMPS="AT:BY,AT:BY": from the monotonic second AT on the wall clock is off by BY seconds.
 * It reads the environment, because a supervisor that has left the host's root can read no file.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void)
{
	const char *p = getenv("CLOCK_JUMPS");
	struct timespec mono;
	long by = 0;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &mono);
	while (p && *p) {
		char *end;
		long at = strtol(p, &end, 10);
		long value = strtol(end + 1, &end, 10);

		if (mono.tv_sec >= at)
			by = value;
		p = *end ? end + 1 : end;
	}
	return by;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);

	if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ts->tv_sec += offset();
	return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec ts;

	(void)tz;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t)
		*t = ts.tv_sec;
	return ts.tv_sec;
}
