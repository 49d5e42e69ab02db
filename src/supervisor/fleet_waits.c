/* SPDX-License-Identifier: MIT */
#include "supervisor/fleet_waits.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/mem.h"
#include "supervisor/desired.h"
#include "supervisor/fleet.h"

struct wait {
	struct wait *next;
	struct control_ticket ticket;
	bool renewals;
	unsigned int told_running; /* in the last progress line */
};

struct fleet_waits {
	const struct fleet *fleet;
	const struct desired *desired;
	struct wait *list;
};

struct fleet_waits *fleet_waits_new(const struct fleet *fleet, const struct desired *desired)
{
	struct fleet_waits *w = x_calloc(1, sizeof(*w));

	w->fleet = fleet;
	w->desired = desired;
	return w;
}

void fleet_waits_free(struct fleet_waits *w)
{
	while (w && w->list) {
		struct wait *wait = w->list;

		w->list = wait->next;
		free(wait);
	}
	free(w);
}

void fleet_waits_add(struct fleet_waits *w, struct control_ticket ticket, bool renewals)
{
	struct wait *wait = x_calloc(1, sizeof(*wait));

	*wait = (struct wait){w->list, ticket, renewals, UINT32_MAX};
	w->list = wait;
}

static json_t *progress_of(const struct fleet_waits *w)
{
	return json_pack("{s:I, s:I}", "desired", (json_int_t)desired_count(w->desired), "running",
		(json_int_t)fleet_running(w->fleet));
}

/* Returns whether there is nothing to wait for any more. */
static bool settle(const struct fleet_waits *w, struct wait *wait)
{
	unsigned int running = fleet_running(w->fleet);

	if (!control_is_open(wait->ticket))
		return true;
	if (fleet_is_reached(w->fleet) && !(wait->renewals && fleet_renewals(w->fleet))) {
		control_respond(wait->ticket, progress_of(w));
		return true;
	}
	/* A slow reader gets fewer lines, not a longer queue. */
	if (wait->told_running != running && !control_has_unsent(wait->ticket)) {
		wait->told_running = running;
		control_progress(wait->ticket, progress_of(w));
	}
	return false;
}

void fleet_waits_settle(struct fleet_waits *w)
{
	struct wait **at = &w->list;

	while (*at) {
		struct wait *wait = *at;

		if (settle(w, wait)) {
			*at = wait->next;
			free(wait);
		} else {
			at = &wait->next;
		}
	}
}
