/* SPDX-License-Identifier: MIT */
/* run, cancel, logs: what has to do with one run or with what k6 says. */
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

/* As for scripts of targets. */
#define SCRIPT_MAX_BYTES (1024 * 1024)

enum {
	OPT_SCRIPT = VERBS_OPT_OWN,
	OPT_AGENTS,
	OPT_SYNC,
	OPT_FOLLOW,
	OPT_VUS,
	OPT_DURATION,
};

/* --- run ------------------------------------------------------------------------ */

struct run_options {
	const char *script;
	bool follow;
	json_t *request;
};

/* Its text; says what is wrong and answers NULL.  The caller frees it. */
static char *read_script(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
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
	text = x_calloc((size_t)st.st_size + 1, 1);
	fdio_read_all(fd, text, (size_t)st.st_size);
	return text;
}

static int add_script(struct run_options *o)
{
	_cleanup_free_ char *text = read_script(o->script), *copy = x_strdup(o->script);
	size_t len = strlen(copy);

	if (!text)
		return CTL_FAILED;
	/* The name goes no further than the label. */
	if (len > 3 && !strcmp(copy + len - 3, ".ts")) {
		char *marked = x_asprintf("%s\n// typescript\n", text);

		free(text);
		text = marked;
	}
	json_object_set_new(o->request, "script", json_text(text));
	json_object_set_new(o->request, "label", json_text(basename(copy)));
	return CTL_OK;
}

static int add_count(struct run_options *o, const char *key, const char *text)
{
	int64_t n;

	if (units_parse_int(text, &n, NULL) < 0 || n < 1)
		return verbs_bad_usage("run", "not a number of 1 or more: ", text);
	json_object_set_new(o->request, key, json_integer(n));
	return CTL_OK;
}

static int add_duration(struct run_options *o, const char *text)
{
	int64_t ms;

	if (units_parse_duration(text, &ms, NULL) < 0 || ms < 1000)
		return verbs_bad_usage("run", "not a duration of 1s or more: ", text);
	json_object_set_new(o->request, "durationMs", json_integer(ms));
	return CTL_OK;
}

static int parse_run(struct ctl *ctl, int argc, char **argv, struct run_options *o)
{
	static const struct option longopts[] = {
		{"script", required_argument, NULL, OPT_SCRIPT},
		{"agents", required_argument, NULL, OPT_AGENTS},
		{"sync", no_argument, NULL, OPT_SYNC},
		{"follow", no_argument, NULL, OPT_FOLLOW},
		{"vus", required_argument, NULL, OPT_VUS},
		{"duration", required_argument, NULL, OPT_DURATION},
		VERBS_COMMON_OPTIONS,
	};
	int c, status = CTL_OK;

	optind = 0; /* start anew: main() has used getopt before */
	while (status == CTL_OK && (c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case OPT_SCRIPT: o->script = optarg; break;
		case OPT_AGENTS: status = add_count(o, "agents", optarg); break;
		case OPT_SYNC: json_object_set_new(o->request, "sync", json_true()); break;
		case OPT_FOLLOW: o->follow = true; break;
		case OPT_VUS: status = add_count(o, "vus", optarg); break;
		case OPT_DURATION: status = add_duration(o, optarg); break;
		default:
			if (!verbs_take_common(ctl, c))
				return CTL_USAGE;
		}
	}
	if (status != CTL_OK)
		return status;
	if (argc - optind != (o->script ? 0 : 1))
		return verbs_bad_usage("run",
			"say what to run, a target or --script FILE, for example: k6fleetctl run "
			"Homepage --agents 5",
			"");
	if (o->script)
		return add_script(o);
	json_object_set_new(o->request, "target", json_text(argv[optind]));
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

/* Progress comes as a line at a time, or over itself on a terminal. */
static bool on_terminal;

static void show_progress(const json_t *progress)
{
	render_runs_progress(json_object_get(progress, "runs"), on_terminal);
}

static int follow(struct ctl *ctl, const json_t *started)
{
	_cleanup_json_ json_t *ended = NULL, *merged = NULL;
	json_t *runs;

	on_terminal = !ctl->json && isatty(STDERR_FILENO);
	ended = ctl_call(ctl, json_pack("{s:s, s:o}", "verb", "follow", "runs", ids_of(started)),
		ctl->json ? NULL : show_progress);
	render_runs_progress_end(on_terminal);
	runs = json_object_get(ended, "runs");
	merged = merge_runs(runs);
	if (ctl->json) {
		json_object_set(ended, "merged", merged);
		render_json(ended);
	} else {
		render_merged(ctl, runs, merged);
	}
	return json_get_int(json_object_get(merged, "statuses"), "success", 0) ==
			(json_int_t)json_array_size(runs)
		? CTL_OK
		: CTL_FAILED;
}

static int start(struct ctl *ctl, struct run_options *o)
{
	_cleanup_json_ json_t *started = ctl_call(ctl, json_incref(o->request), NULL);
	json_t *runs = json_object_get(started, "runs"), *run;
	const char *at = json_get_text(started, "startAt", NULL);
	size_t i;

	if (!ctl->json) {
		FILE *to = o->follow ? stderr : stdout;

		json_array_foreach (runs, i, run)
			fprintf(to, "%s runs %s\n", json_get_text(run, "agent", "?"),
				json_get_text(run, "id", "?"));
		if (at)
			fprintf(to, "All start at %s.\n", at);
	} else if (!o->follow) {
		render_json(started);
	}
	return o->follow ? follow(ctl, started) : CTL_OK;
}

int verb_run(struct ctl *ctl, int argc, char **argv)
{
	struct run_options o = {.request = json_pack("{s:s}", "verb", "run")};
	int status = parse_run(ctl, argc, argv, &o);

	if (status == CTL_OK)
		status = start(ctl, &o);
	json_decref(o.request);
	return status;
}

/* --- cancel --------------------------------------------------------------------- */

int verb_cancel(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;

	if (!verbs_no_options(ctl, argc, argv, 1))
		return CTL_USAGE;
	data = ctl_call(ctl,
		json_pack("{s:s, s:o}", "verb", "cancel", "run", json_text(argv[optind])), NULL);
	if (ctl->json)
		render_json(data);
	else
		printf("%s stops its run; what it has measured so far is kept: k6fleetctl show %s\n",
			json_get_text(data, "agent", "?"), argv[optind]);
	return CTL_OK;
}

/* --- logs ------------------------------------------------------------------------- */

/* Whether each line has to say whose it is. */
static bool name_agents, as_json;

static void show_piece(const json_t *piece)
{
	if (as_json)
		render_json(piece);
	else
		render_log(json_get_text(piece, "text", ""),
			name_agents ? json_get_text(piece, "agent", "?") : NULL);
	/* Whoever reads this by a pipe wants it now. */
	fflush(stdout);
}

int verb_logs(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"follow", no_argument, NULL, 'f'}, VERBS_COMMON_OPTIONS};
	_cleanup_json_ json_t *data = NULL;
	json_t *names = json_array(), *piece;
	bool follow_on = false;
	size_t i;
	int c;

	optind = 0; /* start anew: main() has used getopt before */
	while ((c = getopt_long(argc, argv, "f", longopts, NULL)) != -1) {
		if (c == 'f') {
			follow_on = true;
		} else if (!verbs_take_common(ctl, c)) {
			json_decref(names);
			return CTL_USAGE;
		}
	}
	for (int k = optind; k < argc; k++)
		json_array_append_new(names, json_text(argv[k]));
	name_agents = argc - optind != 1;
	as_json = ctl->json;
	data = ctl_call(ctl,
		json_pack("{s:s, s:o, s:b}", "verb", "logs", "agents", names, "follow", follow_on),
		show_piece);
	if (ctl->json) {
		render_json(json_object_get(data, "logs"));
		return CTL_OK;
	}
	json_array_foreach (json_object_get(data, "logs"), i, piece)
		show_piece(piece);
	return CTL_OK;
}
