/* SPDX-License-Identifier: MIT */
/* A call that fails ends k6fleetctl, so verbs handle successful calls only. */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"

_Noreturn static void ctl_end(const struct ctl_failure *failure)
{
	fprintf(stderr, "k6fleetctl: %s\n", failure->text);
	exit((int)failure->status);
}

json_t *ctl_request(const char *verb)
{
	return json_pack("{s:s}", "verb", verb);
}

json_t *ctl_call(struct ctl *ctl, json_t *request, ctl_client_progress_fn *progress)
{
	struct ctl_failure failure;
	json_t *data = ctl_client_call(&ctl->client, request, progress, &failure);

	if (!data)
		ctl_end(&failure);
	return data;
}

void ctl_print_response(struct ctl *ctl, json_t *request)
{
	struct ctl_failure failure;
	_cleanup_free_ char *text = ctl_client_call_text(&ctl->client, request, &failure);

	if (!text)
		ctl_end(&failure);
	puts(text);
}
