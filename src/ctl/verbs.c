/* SPDX-License-Identifier: MIT */
/* The verbs: arguments into a request, the answer into a renderer. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/units.h"
#include "ctl/verbs.h"

struct verb {
	const char *name, *synopsis, *text;
	int (*fn)(struct ctl *ctl, int argc, char **argv);
};

int verbs_bad_usage(const char *verb, const char *what, const char *arg)
{
	fprintf(stderr, "k6fleetctl %s: %s%s\nTry 'k6fleetctl --help'.\n", verb, what, arg);
	return CTL_USAGE;
}

enum {
	OPT_NOW = VERBS_OPT_OWN,
	OPT_WAIT,
	OPT_TARGET,
	OPT_AGENT,
	OPT_FAILED,
	OPT_ROLLING,
	OPT_BINARY,
	OPT_CHECK
};

bool verbs_take_common(struct ctl *ctl, int c)
{
	if (c == VERBS_OPT_JSON)
		ctl->json = true;
	else if (c == VERBS_OPT_NO_COLOR)
		ctl->color = false;
	return c == VERBS_OPT_JSON || c == VERBS_OPT_NO_COLOR;
}

/* Verbs without options of their own; false after a message. */
bool verbs_no_options(struct ctl *ctl, int argc, char **argv, int arguments)
{
	static const struct option longopts[] = {VERBS_COMMON_OPTIONS};
	int c;

	optind = 0; /* start anew: main() has used getopt before */
	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (!verbs_take_common(ctl, c))
			return false;
	}
	if (argc - optind != arguments) {
		verbs_bad_usage(argv[0],
			argc - optind > arguments ? "too many arguments: "
						  : "an argument is missing",
			argc - optind > arguments ? argv[optind + arguments] : "");
		return false;
	}
	return true;
}

static json_t *request(const char *verb)
{
	return json_pack("{s:s}", "verb", verb);
}

/* For probes: one line, and whether all is as it shall be. */
static int check_status(const struct ctl *ctl, const json_t *st)
{
	const json_t *dashboard = json_object_get(st, "dashboard");
	int64_t desired = json_get_int(st, "desired", 0), running = json_get_int(st, "running", 0);
	int64_t contact = json_get_int(dashboard, "lastContactMs", -1);
	int64_t patience = 3 * json_get_int(dashboard, "heartbeatIntervalMs", 0);
	bool agents = running >= desired;
	bool reached = !strcmp(json_get_text(dashboard, "state", ""), "none") ||
		(contact >= 0 && contact <= patience);
	char text[512];

	if (!agents)
		snprintf(text, sizeof(text), "%lld of %lld agents run", (long long)running,
			(long long)desired);
	else if (!reached)
		snprintf(text, sizeof(text),
			"the dashboard was not reached for three heartbeats: %s",
			json_get_text(dashboard, "error", "no answer yet"));
	else
		snprintf(text, sizeof(text), "%lld agents run", (long long)running);
	if (ctl->json) {
		_cleanup_json_ json_t *answer = json_pack(
			"{s:b, s:o}", "ok", agents && reached, "message", json_text(text));

		render_json(answer);
	} else {
		printf("%s: %s\n", agents && reached ? "ok" : "not ok", text);
	}
	return agents && reached ? CTL_OK : CTL_FAILED;
}

#define WATCH_US 1000000
#define SCREEN_BYTES (256 * 1024)

/* Keeps it on the screen until somebody ends it; what follows another program reads, a line of JSON a
 * second. */
static int watch_status(struct ctl *ctl)
{
	bool screen = !ctl->json && isatty(STDOUT_FILENO);
	struct winsize size;

	/* One write a second: nothing flickers. */
	setvbuf(stdout, NULL, _IOFBF, SCREEN_BYTES);
	for (;;) {
		json_t *data = ctl_call(ctl, request("status"), NULL);

		if (ctl->json) {
			render_json(data);
		} else {
			if (screen && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
				ctl->screen_rows = size.ws_row;
			/* ECMA-48: to the top, and away with what was there. */
			if (screen)
				fputs("\033[H\033[J", stdout);
			render_status(ctl, data);
		}
		json_decref(data);
		if (fflush(stdout) != 0)
			return CTL_FAILED;
		usleep(WATCH_US);
	}
}

static int verb_status(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longopts[] = {{"check", no_argument, NULL, OPT_CHECK},
		{"watch", no_argument, NULL, 'w'}, VERBS_COMMON_OPTIONS};
	_cleanup_json_ json_t *data = NULL;
	bool check = false, watch = false;
	int c;

	optind = 0; /* start anew: main() has used getopt before */
	while ((c = getopt_long(argc, argv, "w", longopts, NULL)) != -1) {
		if (c == OPT_CHECK)
			check = true;
		else if (c == 'w')
			watch = true;
		else if (!verbs_take_common(ctl, c))
			return CTL_USAGE;
	}
	if (optind < argc)
		return verbs_bad_usage("status", "unexpected argument: ", argv[optind]);
	if (watch)
		return watch_status(ctl);
	if (ctl->json && !check) {
		ctl_print_answer(ctl, request("status"));
		return CTL_OK;
	}
	data = ctl_call(ctl, request("status"), NULL);
	if (check)
		return check_status(ctl, data);
	render_status(ctl, data);
	return CTL_OK;
}

static int verb_scale(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"now", no_argument, NULL, OPT_NOW},
		{"wait", no_argument, NULL, OPT_WAIT},
		VERBS_COMMON_OPTIONS,
	};
	bool now = false, wait = false, bar;
	_cleanup_json_ json_t *data = NULL;
	int64_t n;
	json_t *req;
	int c;

	optind = 0; /* start anew: main() has used getopt before */
	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == OPT_NOW)
			now = true;
		else if (c == OPT_WAIT)
			wait = true;
		else if (!verbs_take_common(ctl, c))
			return CTL_USAGE;
	}
	if (argc - optind != 1)
		return verbs_bad_usage(
			"scale", "say how many agents, for example: k6fleetctl scale 3", "");
	if (units_parse_int(argv[optind], &n, NULL) < 0 || n < 0)
		return verbs_bad_usage("scale", "not a number of agents: ", argv[optind]);
	req = json_pack("{s:s, s:I, s:b, s:b}", "verb", "scale", "agents", (json_int_t)n, "now",
		now, "wait", wait);
	bar = wait && !ctl->json && isatty(STDERR_FILENO);
	data = ctl_call(ctl, req, bar ? render_progress : NULL);
	if (bar)
		render_progress_end();
	if (ctl->json)
		render_json(data);
	else if (wait)
		printf("%lld agents are up.\n", (long long)json_get_int(data, "desired", 0));
	else
		printf("Scaling to %lld agents (%lld are up).\n",
			(long long)json_get_int(data, "desired", 0),
			(long long)json_get_int(data, "running", 0));
	return CTL_OK;
}

static json_t *names_of(int argc, char **argv)
{
	json_t *names = json_array();

	for (int i = optind; i < argc; i++)
		json_array_append_new(names, json_text(argv[i]));
	return names;
}

static int verb_restart(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"rolling", no_argument, NULL, OPT_ROLLING},
		{"wait", no_argument, NULL, OPT_WAIT},
		VERBS_COMMON_OPTIONS,
	};
	bool rolling = false, wait = false, bar;
	_cleanup_json_ json_t *data = NULL;
	int c;

	optind = 0; /* start anew: main() has used getopt before */
	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == OPT_ROLLING)
			rolling = true;
		else if (c == OPT_WAIT)
			wait = true;
		else if (!verbs_take_common(ctl, c))
			return CTL_USAGE;
	}
	bar = wait && !ctl->json && isatty(STDERR_FILENO);
	data = ctl_call(ctl,
		json_pack("{s:s, s:o, s:b, s:b}", "verb", "restart", "agents", names_of(argc, argv),
			"rolling", rolling, "wait", wait),
		bar ? render_progress : NULL);
	if (bar)
		render_progress_end();
	if (ctl->json)
		render_json(data);
	else if (wait)
		printf("%lld agents are up.\n", (long long)json_get_int(data, "running", 0));
	else
		printf("Restarting %lld agents%s.\n", (long long)json_get_int(data, "agents", 0),
			rolling ? ", a tenth at a time, as their runs finish" : "");
	return CTL_OK;
}

static int verb_drain(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;

	if (!verbs_no_options(ctl, argc, argv, 1))
		return CTL_USAGE;
	data = ctl_call(ctl,
		json_pack("{s:s, s:o}", "verb", "drain", "agents", names_of(argc, argv)), NULL);
	if (ctl->json)
		render_json(data);
	else
		printf("%s may finish its run and then stays stopped until: k6fleetctl restart %s\n",
			argv[optind], argv[optind]);
	return CTL_OK;
}

/* After a hand-over another supervisor answers: which version it is says that all went well. */
static int reload_binary(struct ctl *ctl)
{
	_cleanup_json_ json_t *version = NULL;

	json_decref(ctl_call(ctl, json_pack("{s:s, s:b}", "verb", "reload", "binary", true), NULL));
	ctl_disconnect(ctl);
	version = ctl_call(ctl, request("version"), NULL);
	if (ctl->json)
		render_json(version);
	else
		printf("Handed over: version %s keeps the fleet. Workers are replaced as they fall idle.\n",
			json_get_text(version, "version", "?"));
	return CTL_OK;
}

static int verb_reload(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"binary", no_argument, NULL, OPT_BINARY},
		VERBS_COMMON_OPTIONS,
	};
	_cleanup_json_ json_t *data = NULL;
	bool binary = false;
	int c;

	optind = 0; /* start anew: main() has used getopt before */
	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == OPT_BINARY)
			binary = true;
		else if (!verbs_take_common(ctl, c))
			return CTL_USAGE;
	}
	if (optind < argc)
		return verbs_bad_usage("reload", "unexpected argument: ", argv[optind]);
	if (binary)
		return reload_binary(ctl);
	data = ctl_call(ctl, json_pack("{s:s, s:b}", "verb", "reload", "binary", false), NULL);
	if (ctl->json)
		render_json(data);
	else
		render_reload(data);
	return CTL_OK;
}

static int verb_targets(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;

	if (!verbs_no_options(ctl, argc, argv, 0))
		return CTL_USAGE;
	data = ctl_call(ctl, request("targets"), NULL);
	if (ctl->json)
		render_json(data);
	else
		render_targets(ctl, data);
	return CTL_OK;
}

static int verb_runs(struct ctl *ctl, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"target", required_argument, NULL, OPT_TARGET},
		{"agent", required_argument, NULL, OPT_AGENT},
		{"failed", no_argument, NULL, OPT_FAILED},
		VERBS_COMMON_OPTIONS,
	};
	_cleanup_json_ json_t *data = NULL;
	json_t *req = request("runs");
	int64_t n;
	int c;

	optind = 0; /* start anew: main() has used getopt before */
	while ((c = getopt_long(argc, argv, "n:", longopts, NULL)) != -1) {
		if (c == 'n') {
			if (units_parse_int(optarg, &n, NULL) < 0 || n < 1) {
				json_decref(req);
				return verbs_bad_usage("runs", "not a number of runs: ", optarg);
			}
			json_object_set_new(req, "limit", json_integer(n));
		} else if (c == OPT_TARGET) {
			json_object_set_new(req, "target", json_text(optarg));
		} else if (c == OPT_AGENT) {
			json_object_set_new(req, "agent", json_text(optarg));
		} else if (c == OPT_FAILED) {
			json_object_set_new(req, "failed", json_true());
		} else if (!verbs_take_common(ctl, c)) {
			json_decref(req);
			return CTL_USAGE;
		}
	}
	if (optind < argc) {
		json_decref(req);
		return verbs_bad_usage("runs", "unexpected argument: ", argv[optind]);
	}
	if (ctl->json) {
		ctl_print_answer(ctl, req);
		return CTL_OK;
	}
	data = ctl_call(ctl, req, NULL);
	render_runs(ctl, data);
	return CTL_OK;
}

static int verb_show(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;

	if (!verbs_no_options(ctl, argc, argv, 1))
		return CTL_USAGE;
	data = ctl_call(
		ctl, json_pack("{s:s, s:o}", "verb", "show", "run", json_text(argv[optind])), NULL);
	if (ctl->json)
		render_json(data);
	else
		render_run(ctl, data);
	return CTL_OK;
}

static int verb_metrics(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;

	if (!verbs_no_options(ctl, argc, argv, 0))
		return CTL_USAGE;
	data = ctl_call(ctl, request("metrics"), NULL);
	if (ctl->json)
		render_json(data);
	else
		fputs(json_get_text(data, "text", ""), stdout);
	return CTL_OK;
}

static int verb_ping(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;

	if (!verbs_no_options(ctl, argc, argv, 0))
		return CTL_USAGE;
	data = ctl_call(ctl, request("ping"), NULL);
	if (ctl->json)
		render_json(data);
	else
		puts("pong");
	return CTL_OK;
}

static int verb_version(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;

	if (!verbs_no_options(ctl, argc, argv, 0))
		return CTL_USAGE;
	data = ctl_call(ctl, request("version"), NULL);
	json_object_set_new(data, "k6fleetctl", json_string(PACKAGE_VERSION));
	if (ctl->json)
		render_json(data);
	else
		printf("k6fleetctl %s\nk6fleetd   %s\nk6         %s\n", PACKAGE_VERSION,
			json_get_text(data, "version", "?"), json_get_text(data, "k6Version", "?"));
	return CTL_OK;
}

/* The verbs that take --now and nothing else. */
static bool now_option(struct ctl *ctl, int argc, char **argv, bool *now)
{
	static const struct option longopts[] = {
		{"now", no_argument, NULL, OPT_NOW}, VERBS_COMMON_OPTIONS};
	int c;

	*now = false;
	optind = 0; /* start anew: main() has used getopt before */
	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == OPT_NOW)
			*now = true;
		else if (!verbs_take_common(ctl, c))
			return false;
	}
	if (optind < argc)
		verbs_bad_usage(argv[0], "unexpected argument: ", argv[optind]);
	return optind >= argc;
}

static int verb_pause(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;
	bool now;

	if (!now_option(ctl, argc, argv, &now))
		return CTL_USAGE;
	data = ctl_call(ctl, json_pack("{s:s, s:b}", "verb", "pause", "now", now), NULL);
	if (ctl->json)
		render_json(data);
	else
		printf("Paused: no runs are started until k6fleetctl resume. %lld %s.\n",
			(long long)json_get_int(data, "busy", 0),
			now ? "are being stopped" : "still run and may finish");
	return CTL_OK;
}

static int verb_resume(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;

	if (!verbs_no_options(ctl, argc, argv, 0))
		return CTL_USAGE;
	data = ctl_call(ctl, request("resume"), NULL);
	if (ctl->json)
		render_json(data);
	else
		puts("Resumed: targets run at their next instants.");
	return CTL_OK;
}

static int verb_stop(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;
	bool now;

	if (!now_option(ctl, argc, argv, &now))
		return CTL_USAGE;
	data = ctl_call(ctl, json_pack("{s:s, s:b}", "verb", "stop", "now", now), NULL);
	if (ctl->json)
		render_json(data);
	else
		puts(now ? "k6fleetd is stopping at once."
			 : "k6fleetd drains its agents, then stops.");
	return CTL_OK;
}

static const struct verb verbs[] = {
	{"status", "status [-w] [--check]",
		"the fleet in one line, then one line an agent; -w keeps it on the\n"
		"                                      screen; --check for probes:\n"
		"                                      one line, exit 1 unless all agents run and the dashboard\n"
		"                                      was reached within three heartbeats",
		verb_status},
	{"scale", "scale N [--now] [--wait]",
		"keep N agents; --now stops the runs of those that go,\n"
		"                                      --wait returns when they are up",
		verb_scale},
	{"targets", "targets", "what is run, from where, when next", verb_targets},
	{"runs", "runs [-n N] [--target T] [--agent A] [--failed]", "local history, newest first",
		verb_runs},
	{"show", "show RUN", "one run: metrics, resources, the end of k6's log", verb_show},
	{"restart", "restart [AGENT...] [--rolling] [--wait]",
		"new workers for these agents, or all: at once; or --rolling, a tenth\n"
		"                                      at a time, each after its run; --wait for the end",
		verb_restart},
	{"drain", "drain AGENT", "let it finish, then leave it stopped until restart or scale",
		verb_drain},
	{"run", "run TARGET [--agents N] [--sync] [--follow]",
		"run a target now on N idle agents; --sync: all at the same instant;\n"
		"                                      --follow: show progress, then what all have measured together;\n"
		"                                      exit 1 unless every run succeeded",
		verb_run},
	{"run", "run --script FILE [--vus N] [--duration D] ...",
		"the same for a script on this machine", verb_run},
	{"cancel", "cancel RUN", "stop one run and keep what it has measured so far", verb_cancel},
	{"logs", "logs [AGENT...] [-f]", "the last lines of k6; -f: and those that come",
		verb_logs},
	{"reload", "reload [--binary]",
		"read the configuration again and say what changed; --binary: let the\n"
		"                                      programs on disk take over, workers and runs go on",
		verb_reload},
	{"pause", "pause [--now]",
		"start no new runs, also after a restart; --now stops those that run", verb_pause},
	{"resume", "resume", "start runs again", verb_resume},
	{"metrics", "metrics", "the counters as text for Prometheus", verb_metrics},
	{"ping", "ping", "whether k6fleetd answers", verb_ping},
	{"version", "version", "versions of k6fleetctl, k6fleetd and k6", verb_version},
	{"stop", "stop [--now]", "drain all agents and end k6fleetd", verb_stop},
};

void ctl_print_verbs(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strlen(verbs[i].synopsis) > 34)
			fprintf(out, "  %s\n  %-34s  %s\n", verbs[i].synopsis, "", verbs[i].text);
		else
			fprintf(out, "  %-34s  %s\n", verbs[i].synopsis, verbs[i].text);
	}
}

int ctl_run_verb(struct ctl *ctl, int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i].name, argv[0]))
			return verbs[i].fn(ctl, argc, argv);
	}
	fprintf(stderr, "k6fleetctl: there is no verb \"%s\"\nTry 'k6fleetctl --help'.\n", argv[0]);
	return CTL_USAGE;
}
