/* SPDX-License-Identifier: MIT */
#include "fake_loop.h"

#include <math.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#define WATCHERS_MAX 512

int64_t fake_now_ms = 1000000;

static struct {
	ev_timer *timer;
	int64_t due_ms;
} timers[WATCHERS_MAX];
static unsigned int timer_count;
static ev_io *ios[WATCHERS_MAX];
static unsigned int io_count;
static char the_loop;

int64_t __wrap_units_now_mono_ms(void);
int64_t __wrap_units_now_wall_ms(void);

int64_t __wrap_units_now_mono_ms(void)
{
	return fake_now_ms;
}

int64_t __wrap_units_now_wall_ms(void)
{
	return fake_now_ms + FAKE_WALL_MS;
}

struct ev_loop *fake_loop(void)
{
	return (struct ev_loop *)(void *)&the_loop;
}

void fake_loop_reset(void)
{
	timer_count = io_count = 0;
	fake_now_ms = 1000000;
}

/* --- libev ---------------------------------------------------------------------------- */

void ev_timer_start(struct ev_loop *loop, ev_timer *w)
{
	(void)loop;
	if (w->active || timer_count == WATCHERS_MAX)
		return;
	w->active = 1;
	timers[timer_count].timer = w;
	timers[timer_count++].due_ms = fake_now_ms + llround(w->at * 1000);
}

void ev_timer_stop(struct ev_loop *loop, ev_timer *w)
{
	(void)loop;
	w->active = 0;
	for (unsigned int i = 0; i < timer_count; i++) {
		if (timers[i].timer == w) {
			timers[i] = timers[--timer_count];
			return;
		}
	}
}

ev_tstamp ev_timer_remaining(struct ev_loop *loop, ev_timer *w)
{
	(void)loop;
	for (unsigned int i = 0; i < timer_count; i++) {
		if (timers[i].timer == w)
			return (double)(timers[i].due_ms - fake_now_ms) / 1000;
	}
	return w->at;
}

void ev_io_start(struct ev_loop *loop, ev_io *w)
{
	(void)loop;
	if (w->active || io_count == WATCHERS_MAX)
		return;
	w->active = 1;
	ios[io_count++] = w;
}

void ev_io_stop(struct ev_loop *loop, ev_io *w)
{
	(void)loop;
	w->active = 0;
	for (unsigned int i = 0; i < io_count; i++) {
		if (ios[i] == w) {
			ios[i] = ios[--io_count];
			return;
		}
	}
}

/* --- the test's side --------------------------------------------------------------------- */

static int first_timer(void)
{
	int first = -1;

	for (unsigned int i = 0; i < timer_count; i++) {
		if (first < 0 || timers[i].due_ms < timers[first].due_ms)
			first = (int)i;
	}
	return first;
}

int64_t fake_next_timer(void)
{
	int first = first_timer();

	return first < 0 ? -1 : timers[first].due_ms - fake_now_ms;
}

void fake_advance(int64_t ms)
{
	int64_t until = fake_now_ms + ms;
	int first;

	while ((first = first_timer()) >= 0 && timers[first].due_ms <= until) {
		ev_timer *w = timers[first].timer;

		if (timers[first].due_ms > fake_now_ms)
			fake_now_ms = timers[first].due_ms;
		ev_timer_stop(NULL, w);
		if (w->repeat > 0) {
			w->at = w->repeat;
			ev_timer_start(NULL, w);
		}
		w->cb(fake_loop(), w, EV_TIMER);
	}
	fake_now_ms = until;
}

/* Returns whether a watcher was called; it may have stopped any of the others. */
static int turn_once(void)
{
	for (unsigned int i = 0; i < io_count; i++) {
		ev_io *w = ios[i];
		struct pollfd pfd = {.fd = w->fd,
			.events = (short)((w->events & EV_READ ? POLLIN : 0) |
				(w->events & EV_WRITE ? POLLOUT : 0))};
		int revents;

		if (poll(&pfd, 1, 0) <= 0)
			continue;
		revents = (pfd.revents & POLLOUT ? EV_WRITE : 0) |
			(pfd.revents & (POLLIN | POLLHUP | POLLERR) ? EV_READ : 0);
		revents &= w->events | (pfd.revents & (POLLHUP | POLLERR) ? EV_READ : 0);
		if (!revents)
			continue;
		w->cb(fake_loop(), w, revents);
		/* The next one is another watcher, so that none keeps the others out. */
		for (unsigned int j = 0; j < io_count; j++) {
			if (ios[j] == w) {
				memmove(&ios[j], &ios[j + 1], (io_count - j - 1) * sizeof(ios[0]));
				ios[io_count - 1] = w;
				break;
			}
		}
		return 1;
	}
	return 0;
}

void fake_turn(void)
{
	for (int i = 0; i < 1000 && turn_once(); i++)
		;
}

unsigned int fake_watchers(void)
{
	return timer_count + io_count;
}
