/* SPDX-License-Identifier: MIT */
#include "supervisor/tuning.h"

#include <string.h>

#include "common/units.h"

/* The time that a run has to end after CANCEL before its worker is killed. */
#define CANCEL_KILL_AFTER_MS 7000
/* Share of the memory for runs; the rest is for page cache, daemons and logins. */
#define BUDGET_SHARE_PERCENT 80

void tuning_fleet(struct fleet *f, const struct conf *conf)
{
	const struct fleet_config config = {
		.max_slots = (unsigned int)conf->max_workers,
		.min_delay_ms = conf->restart.min_delay_ms,
		.max_delay_ms = conf->restart.max_delay_ms,
		.stable_after_ms = conf->restart.stable_after_ms,
		.drain_timeout_ms = conf->drain_timeout_ms,
		.kill_after_ms = CANCEL_KILL_AFTER_MS,
	};

	fleet_configure(f, &config);
}

void tuning_schedule(struct schedule *s, const struct conf *conf, int64_t memory_bytes)
{
	struct schedule_limits limits = {
		.max_runs = (unsigned int)conf->schedule.max_concurrent_runs,
		.max_per_host = (unsigned int)conf->schedule.max_per_target,
	};

	if (!strcmp(conf->schedule.memory_budget, "auto"))
		limits.budget_bytes = memory_bytes / 100 * BUDGET_SHARE_PERCENT;
	else if (units_parse_size(conf->schedule.memory_budget, &limits.budget_bytes, NULL) < 0)
		limits.budget_bytes = 0;
	schedule_set_limits(s, &limits);
}
