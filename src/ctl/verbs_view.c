/* SPDX-License-Identifier: MIT */
/* The verbs that print a view, once or every second. */
#include "ctl/verbs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "ctl/render.h"
#include "ctl/render_table.h"

#define WATCH_US 1000000
#define SCREEN_BYTES (256 * 1024)

typedef void renderer(struct screen *screen, const json_t *data);

/* Prints the view every second until it is interrupted: drawn over the last one on a terminal,
 * else below it, with
 * --json as one line each.  Takes the request over. */
static enum ctl_exit watch(struct ctl *ctl, json_t *request, renderer *render)
{
	bool drawing = !ctl->json && ctl->screen.width;

	/* One write(2) a second, so that nothing flickers. */
	setvbuf(stdout, NULL, _IOFBF, SCREEN_BYTES);
	for (;;) {
		_cleanup_json_ json_t *data = ctl_call(ctl, json_incref(request), NULL);

		if (ctl->json) {
			render_json(data);
		} else {
			if (drawing)
				render_screen_begin(&ctl->screen);
			render(&ctl->screen, data);
			if (drawing)
				render_screen_end(&ctl->screen);
		}
		if (fflush(stdout) != 0) {
			json_decref(request);
			return CTL_FAILED;
		}
		usleep(WATCH_US);
	}
}

/* Prints the view once, or with --watch every second.  Takes the request over. */
static enum ctl_exit view(struct ctl *ctl, json_t *request, renderer *render)
{
	_cleanup_json_ json_t *data = NULL;

	if (given(OPTION_WATCH))
		return watch(ctl, request, render);
	if (ctl->json) {
		ctl_print_response(ctl, request);
		return CTL_OK;
	}
	data = ctl_call(ctl, request, NULL);
	render(&ctl->screen, data);
	return CTL_OK;
}

/* For probes: returns whether the fleet is healthy; text says so or names the first fault. */
static bool is_well(const json_t *st, char *text, size_t size)
{
	const json_t *dashboard = json_object_get(st, "dashboard"), *k6 = json_object_get(st, "k6");
	const json_t *storage = json_object_get(st, "storage");
	int64_t desired = json_get_int(st, "desired", 0), running = json_get_int(st, "running", 0);
	int64_t contact = json_get_int(dashboard, "lastContactMs", -1);
	int64_t patience = 3 * json_get_int(dashboard, "heartbeatIntervalMs", 0);

	if (strcmp(json_get_text(storage, "state", "ok"), "ok") != 0) {
		snprintf(text, size, "%s: %s", json_get_text(storage, "state", ""),
			json_get_text(storage, "error", ""));
		return false;
	}
	if (running < desired) {
		snprintf(text, size, "%lld of %lld agents run", (long long)running,
			(long long)desired);
		return false;
	}
	if (strcmp(json_get_text(k6, "state", "ok"), "ok") != 0) {
		snprintf(text, size, "%s", json_get_text(k6, "error", "k6 is missing"));
		return false;
	}
	if (strcmp(json_get_text(dashboard, "state", ""), "none") != 0 &&
		(contact < 0 || contact > patience)) {
		snprintf(text, size, "the dashboard was not reached for three heartbeats: %s",
			json_get_text(dashboard, "error", "no answer yet"));
		return false;
	}
	snprintf(text, size, "%lld agents run", (long long)running);
	return true;
}

static enum ctl_exit check_status(struct ctl *ctl)
{
	_cleanup_json_ json_t *st = ctl_call(ctl, ctl_request("status"), NULL);
	char text[512];
	bool well = is_well(st, text, sizeof(text));

	if (ctl->json) {
		_cleanup_json_ json_t *answer =
			json_pack("{s:b, s:o}", "ok", well, "message", json_text(text));

		render_json(answer);
	} else {
		printf("%s: %s\n", well ? "ok" : "not ok", text);
	}
	return well ? CTL_OK : CTL_FAILED;
}

enum ctl_exit ctl_verb_status(struct ctl *ctl, const struct verb *verb)
{
	return given(OPTION_CHECK) ? check_status(ctl)
				   : view(ctl, ctl_request(verb->name), render_status);
}

enum ctl_exit ctl_verb_targets(struct ctl *ctl, const struct verb *verb)
{
	return view(ctl, ctl_request(verb->name), render_targets);
}

enum ctl_exit ctl_verb_runs(struct ctl *ctl, const struct verb *verb)
{
	json_t *request;
	int64_t n = 0;

	if (given(OPTION_COUNT) &&
		(units_parse_int(ctl_arguments.values[OPTION_COUNT], &n, NULL) < 0 || n < 1))
		return ctl_options_bad_usage(
			verb, "not a number of runs: ", ctl_arguments.values[OPTION_COUNT]);
	request = ctl_request(verb->name);
	if (n)
		json_object_set_new(request, "limit", json_integer(n));
	if (given(OPTION_TARGET))
		json_object_set_new(
			request, "target", json_text(ctl_arguments.values[OPTION_TARGET]));
	if (given(OPTION_AGENT))
		json_object_set_new(
			request, "agent", json_text(ctl_arguments.values[OPTION_AGENT]));
	if (given(OPTION_FAILED))
		json_object_set_new(request, "failed", json_true());
	return view(ctl, request, render_runs);
}

enum ctl_exit ctl_verb_show(struct ctl *ctl, const struct verb *verb)
{
	return view(ctl,
		json_pack(
			"{s:s, s:o}", "verb", verb->name, "run", json_text(ctl_arguments.words[0])),
		render_run);
}
