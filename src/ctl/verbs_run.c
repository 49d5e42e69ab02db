/* SPDX-License-Identifier: MIT */
/* run, cancel, logs: the verbs about runs that are started by hand, and about k6's output. */
#include "ctl/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "ctl/merge.h"
#include "ctl/render.h"

/* The limit of scripts of targets. */
#define SCRIPT_MAX_BYTES (1024 * 1024)

/* --- run ------------------------------------------------------------------------ */

/* Returns the text of the script, which the caller frees; NULL after a message. */
static char *read_script(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct err err;
	char *text;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "k6fleetctl run: cannot read %s: %s\n", path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size < 1 || st.st_size > SCRIPT_MAX_BYTES) {
		fprintf(stderr, "k6fleetctl run: %s is no script: a file of 1 byte to 1 MiB\n",
			path);
		return NULL;
	}
	text = fdio_read_all(fd, path, SCRIPT_MAX_BYTES, NULL, &err);
	if (!text)
		fprintf(stderr, "k6fleetctl run: %s\n", err.msg);
	return text;
}

static enum ctl_exit add_script(json_t *request, const char *path)
{
	_cleanup_free_ char *text = read_script(path), *copy = x_strdup(path);
	size_t len = strlen(copy);

	if (!text)
		return CTL_FAILED;
	/* k6fleetd receives the file's name as the label only, so TypeScript is marked in the
	 * text. */
	if (len > 3 && !strcmp(copy + len - 3, ".ts")) {
		char *marked = x_asprintf("%s\n// typescript\n", text);

		free(text);
		text = marked;
	}
	json_object_set_new(request, "script", json_text(text));
	json_object_set_new(request, "label", json_text(basename(copy)));
	return CTL_OK;
}

/* Adds the number behind an option to the request, if the option was given. */
static enum ctl_exit add_count(
	const struct verb *verb, json_t *request, const char *key, enum option_id option)
{
	const char *text = ctl_arguments.values[option];
	int64_t n;

	if (!text)
		return CTL_OK;
	if (units_parse_int(text, &n, NULL) < 0 || n < 1)
		return ctl_options_bad_usage(verb, "not a number of 1 or more: ", text);
	json_object_set_new(request, key, json_integer(n));
	return CTL_OK;
}

static enum ctl_exit add_duration(const struct verb *verb, json_t *request)
{
	const char *text = ctl_arguments.values[OPTION_DURATION];
	int64_t ms;

	if (!text)
		return CTL_OK;
	if (units_parse_duration(text, &ms, NULL) < 0 || ms < 1000)
		return ctl_options_bad_usage(verb, "not a duration of 1s or more: ", text);
	json_object_set_new(request, "durationMs", json_integer(ms));
	return CTL_OK;
}

static enum ctl_exit make_request(const struct verb *verb, json_t *request)
{
	enum ctl_exit status = add_count(verb, request, "agents", OPTION_AGENTS);

	if (status == CTL_OK)
		status = add_count(verb, request, "vus", OPTION_VUS);
	if (status == CTL_OK)
		status = add_duration(verb, request);
	if (status != CTL_OK)
		return status;
	if (ctl_arguments.count != (given(OPTION_SCRIPT) ? 0 : 1))
		return ctl_options_bad_usage(verb,
			"say what to run, a target or --script FILE, for example: k6fleetctl run "
			"Homepage --agents 5",
			"");
	if (given(OPTION_SYNC))
		json_object_set_new(request, "sync", json_true());
	if (given(OPTION_SCRIPT))
		return add_script(request, ctl_arguments.values[OPTION_SCRIPT]);
	json_object_set_new(request, "target", json_text(ctl_arguments.words[0]));
	return CTL_OK;
}

static json_t *ids_of(const json_t *started)
{
	json_t *ids = json_array(), *run;
	size_t i;

	json_array_foreach (json_object_get(started, "runs"), i, run)
		json_array_append(ids, json_object_get(run, "id"));
	return ids;
}

/* Progress is drawn over itself on a terminal; elsewhere it is a line each time. */
static bool on_terminal;

static void show_progress(const json_t *progress)
{
	render_runs_progress(json_object_get(progress, "runs"), on_terminal);
}

static enum ctl_exit follow(struct ctl *ctl, const json_t *started)
{
	_cleanup_json_ json_t *ended = NULL, *merged = NULL;
	json_t *runs;

	on_terminal = !ctl->json && isatty(STDERR_FILENO);
	ended = ctl_call(ctl, json_pack("{s:s, s:o}", "verb", "follow", "runs", ids_of(started)),
		ctl->json ? NULL : show_progress);
	render_runs_progress_end(on_terminal);
	runs = json_object_get(ended, "runs");
	merged = ctl_merge_runs(runs);
	if (ctl->json) {
		json_object_set(ended, "merged", merged);
		render_json(ended);
	} else {
		render_merged(&ctl->screen, runs, merged);
	}
	return json_get_int(json_object_get(merged, "statuses"), "success", 0) ==
			(json_int_t)json_array_size(runs)
		? CTL_OK
		: CTL_FAILED;
}

enum ctl_exit ctl_verb_run(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *request = ctl_request(verb->name), *started = NULL;
	enum ctl_exit status = make_request(verb, request);
	json_t *run;
	size_t i;

	if (status != CTL_OK)
		return status;
	started = ctl_call(ctl, json_incref(request), NULL);
	if (!ctl->json) {
		const char *at = json_get_text(started, "startAt", NULL);
		FILE *to = given(OPTION_FOLLOW) ? stderr : stdout;

		json_array_foreach (json_object_get(started, "runs"), i, run)
			fprintf(to, "%s runs %s\n", json_get_text(run, "agent", "?"),
				json_get_text(run, "id", "?"));
		if (at)
			fprintf(to, "All start at %s.\n", at);
	} else if (!given(OPTION_FOLLOW)) {
		render_json(started);
	}
	return given(OPTION_FOLLOW) ? follow(ctl, started) : CTL_OK;
}

/* --- cancel --------------------------------------------------------------------- */

enum ctl_exit ctl_verb_cancel(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = ctl_call(ctl,
		json_pack(
			"{s:s, s:o}", "verb", verb->name, "run", json_text(ctl_arguments.words[0])),
		NULL);

	if (ctl->json)
		render_json(data);
	else
		printf("%s cancels its run and keeps the partial result: k6fleetctl show %s\n",
			json_get_text(data, "agent", "?"), ctl_arguments.words[0]);
	return CTL_OK;
}

/* --- logs ------------------------------------------------------------------------- */

/* Whether each line begins with the agent's name. */
static bool name_agents, as_json;

static void show_piece(const json_t *piece)
{
	if (as_json)
		render_json(piece);
	else
		render_log(json_get_text(piece, "text", ""),
			name_agents ? json_get_text(piece, "agent", "?") : NULL);
	/* A reader behind a pipe must not wait for a full buffer. */
	fflush(stdout);
}

enum ctl_exit ctl_verb_logs(struct ctl *ctl, const struct verb *verb)
{
	_cleanup_json_ json_t *data = NULL;
	json_t *names = json_array(), *piece;
	size_t i;

	for (int k = 0; k < ctl_arguments.count; k++)
		json_array_append_new(names, json_text(ctl_arguments.words[k]));
	name_agents = ctl_arguments.count != 1;
	as_json = ctl->json;
	data = ctl_call(ctl,
		json_pack("{s:s, s:o, s:b}", "verb", verb->name, "agents", names, "follow",
			given(OPTION_FOLLOW)),
		show_piece);
	if (ctl->json) {
		render_json(json_object_get(data, "logs"));
		return CTL_OK;
	}
	json_array_foreach (json_object_get(data, "logs"), i, piece)
		show_piece(piece);
	return CTL_OK;
}
