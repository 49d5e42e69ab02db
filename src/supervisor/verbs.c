/* SPDX-License-Identifier: MIT */
/* The table of verbs.  verbs_fleet.c and verbs_runs.c carry them out. */
#include "supervisor/verbs.h"

#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "supervisor/verbs_priv.h"

static const struct verb {
	const char *name;
	verbs_fn *fn;
	bool reads; /* changes nothing, so control_read_group may use it */
} verbs[] = {
	{"status", verbs_status, true},
	{"scale", verbs_scale, false},
	{"targets", verbs_targets, true},
	{"runs", verbs_runs, true},
	{"show", verbs_show, true},
	{"restart", verbs_restart, false},
	{"drain", verbs_drain, false},
	{"run", verbs_run, false},
	{"follow", verbs_follow, true},
	{"cancel", verbs_cancel, false},
	{"logs", verbs_logs, true},
	{"reload", verbs_reload, false},
	{"metrics", verbs_metrics, true},
	{"pause", verbs_pause, false},
	{"resume", verbs_resume, false},
	{"ping", verbs_ping, true},
	{"version", verbs_version, true},
	{"stop", verbs_stop, false},
};

void verbs_handle(struct supervisor *sup, struct control_ticket ticket, const json_t *request)
{
	const char *name = json_get_text(request, "verb", "");

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		if (verbs[i].reads || control_may_change(ticket))
			verbs[i].fn(sup, ticket, request);
		else
			control_refuse(ticket, "denied",
				"%s changes things, and you may only read (control_read_group); ask "
				"somebody who may, or use sudo",
				name);
		return;
	}
	control_refuse(ticket, "usage", "there is no verb \"%.40s\"", name);
}
