/* SPDX-License-Identifier: MIT */
/* The verbs that change the fleet, and the verbs that print one value. */
#include "ctl/verbs.h"

#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "ctl/render.h"

static json_t *names(void)
{
	json_t *list = json_array();

	for (int i = 0; i < ctl_arguments.count; i++)
		json_array_append_new(list, json_text(ctl_arguments.words[i]));
	return list;
}

/* ctl_call() with a progress bar if --wait is given on a terminal. */
static json_t *call_with_bar(struct ctl *ctl, json_t *request)
{
	bool bar = given(OPTION_WAIT) && !ctl->json && isatty(STDERR_FILENO);
	json_t *data = ctl_call(ctl, request, bar ? render_progress : NULL);

	if (bar)
		render_progress_end();
	return data;
}

enum ctl_exit ctl_verb_scale(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = NULL;
	int64_t n;

	if (units_parse_int(ctl_arguments.words[0], &n, NULL) < 0 || n < 0)
		return ctl_options_bad_usage(
			verb, "not a number of agents: ", ctl_arguments.words[0]);
	data = call_with_bar(ctl,
		json_pack("{s:s, s:I, s:b, s:b}", "verb", "scale", "agents", (json_int_t)n, "now",
			given(OPTION_NOW), "wait", given(OPTION_WAIT)));
	if (ctl->json)
		render_json(data);
	else if (given(OPTION_WAIT))
		printf("%lld agents are up.\n", (long long)json_get_int(data, "desired", 0));
	else
		printf("Scaling to %lld agents (%lld are up).\n",
			(long long)json_get_int(data, "desired", 0),
			(long long)json_get_int(data, "running", 0));
	return CTL_OK;
}

enum ctl_exit ctl_verb_restart(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = NULL;

	(void)verb;
	data = call_with_bar(ctl,
		json_pack("{s:s, s:o, s:b, s:b}", "verb", "restart", "agents", names(), "rolling",
			given(OPTION_ROLLING), "wait", given(OPTION_WAIT)));
	if (ctl->json)
		render_json(data);
	else if (given(OPTION_WAIT))
		printf("%lld agents are up.\n", (long long)json_get_int(data, "running", 0));
	else
		printf("Restarting %lld agents%s.\n", (long long)json_get_int(data, "agents", 0),
			given(OPTION_ROLLING) ? ", a tenth at a time, as their runs finish" : "");
	return CTL_OK;
}

enum ctl_exit ctl_verb_drain(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data =
		ctl_call(ctl, json_pack("{s:s, s:o}", "verb", verb->name, "agents", names()), NULL);

	if (ctl->json)
		render_json(data);
	else
		printf("%s may finish its run and then stays stopped until: k6fleetctl restart %s\n",
			ctl_arguments.words[0], ctl_arguments.words[0]);
	return CTL_OK;
}

/* After a hand-over the version comes from the new supervisor, which proves that it took over. */
static enum ctl_exit reload_binary(struct ctl *ctl)
{
	_cleanup_json_ json_t *version = NULL;

	json_decref(ctl_call(ctl, json_pack("{s:s, s:b}", "verb", "reload", "binary", true), NULL));
	ctl_client_disconnect(&ctl->client);
	version = ctl_call(ctl, ctl_request("version"), NULL);
	if (ctl->json)
		render_json(version);
	else
		printf("Handed over: version %s keeps the fleet. Workers are renewed as they fall idle.\n",
			json_get_text(version, "version", "?"));
	return CTL_OK;
}

enum ctl_exit ctl_verb_reload(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = NULL;

	if (given(OPTION_BINARY))
		return reload_binary(ctl);
	data = ctl_call(ctl, json_pack("{s:s, s:b}", "verb", verb->name, "binary", false), NULL);
	if (ctl->json)
		render_json(data);
	else
		render_reload(data);
	return CTL_OK;
}

enum ctl_exit ctl_verb_metrics(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = ctl_call(ctl, ctl_request(verb->name), NULL);

	if (ctl->json)
		render_json(data);
	else
		fputs(json_get_text(data, "text", ""), stdout);
	return CTL_OK;
}

enum ctl_exit ctl_verb_ping(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = ctl_call(ctl, ctl_request(verb->name), NULL);

	if (ctl->json)
		render_json(data);
	else
		puts("pong");
	return CTL_OK;
}

enum ctl_exit ctl_verb_version(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = ctl_call(ctl, ctl_request(verb->name), NULL);
	const char *k6 = json_get_text(data, "k6Version", "");

	json_object_set_new(data, "k6fleetctl", json_string(PACKAGE_VERSION));
	if (ctl->json)
		render_json(data);
	else
		printf("k6fleetctl %s\nk6fleetd   %s\nk6         %s\n", PACKAGE_VERSION,
			json_get_text(data, "version", "?"), *k6 ? k6 : "missing");
	return CTL_OK;
}

enum ctl_exit ctl_verb_pause(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = ctl_call(
		ctl, json_pack("{s:s, s:b}", "verb", verb->name, "now", given(OPTION_NOW)), NULL);

	if (ctl->json)
		render_json(data);
	else
		printf("Paused: no runs start until k6fleetctl resume. %lld %s.\n",
			(long long)json_get_int(data, "busy", 0),
			given(OPTION_NOW) ? "are being cancelled" : "still run and may finish");
	return CTL_OK;
}

enum ctl_exit ctl_verb_resume(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = ctl_call(ctl, ctl_request(verb->name), NULL);

	if (ctl->json)
		render_json(data);
	else
		puts("Resumed: targets run at their next instants.");
	return CTL_OK;
}

enum ctl_exit ctl_verb_stop(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = ctl_call(
		ctl, json_pack("{s:s, s:b}", "verb", verb->name, "now", given(OPTION_NOW)), NULL);

	if (ctl->json)
		render_json(data);
	else
		puts(given(OPTION_NOW) ? "k6fleetd is stopping at once."
				       : "k6fleetd drains its agents, then stops.");
	return CTL_OK;
}
