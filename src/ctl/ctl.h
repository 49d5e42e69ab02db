/* SPDX-License-Identifier: MIT */
/* What the parts of k6fleetctl share. */
#ifndef K6FLEET_CTL_H
#define K6FLEET_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses, fixed: scripts rely on them. */
enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NO_DAEMON = 3, CTL_DENIED = 4 };

struct ctl {
	const char *socket;
	bool json, color;
	/* Of the terminal that standard output is; 0: it is none. */
	size_t width;
	size_t screen_rows;
	bool drawing; /* over what is on it */
	size_t row;   /* lines printed since it began */
	int fd;
	char *buf; /* bytes read beyond the last line */
	size_t len, cap;
	char *request; /* the line under way, to be sent again */
	bool repeat;   /* ... as it does no harm to ask twice */
	int repeated;
};

/* Connects and reads the greeting; says what is wrong and exits where it cannot. */
void ctl_connect(struct ctl *ctl);
/* The next call connects anew. */
void ctl_disconnect(struct ctl *ctl);
/* Sends the request (taken over) and reads up to its answer; on_progress gets what comes before
 * it.  Returns the data (new reference) or says the error and exits. */
json_t *ctl_call(struct ctl *ctl, json_t *request, void (*on_progress)(const json_t *progress));

/* The same for --json where nothing is done with the answer but to print it, as it came. */
void ctl_print_answer(struct ctl *ctl, json_t *request);
/* {"runs", "statuses", "metrics", "latencyQuantiles"} of run objects together; new reference. */
json_t *merge_runs(const json_t *runs);
/* One of the verbs: argv[0] is its name.  Returns the exit status. */
int ctl_run_verb(struct ctl *ctl, int argc, char **argv);
/* The verbs' part of --help. */
void ctl_print_verbs(FILE *out);

/* Renderers for people. */
void render_status(struct ctl *ctl, const json_t *status);
void render_targets(struct ctl *ctl, const json_t *targets);
void render_runs(struct ctl *ctl, const json_t *runs);
void render_run(struct ctl *ctl, const json_t *run);
/* Between these two what is printed takes the place of what is on the terminal. */
void render_screen_begin(struct ctl *ctl);
void render_screen_end(struct ctl *ctl);
/* How runs go on: a bar each on a terminal (drawn over the last ones), else a line each. */
void render_runs_progress(const json_t *runs, bool on_terminal);
void render_runs_progress_end(bool on_terminal);
/* Runs that have ended, and what they have measured together. */
void render_merged(struct ctl *ctl, const json_t *runs, const json_t *merged);
/* Output of k6, each line behind the agent's name where there is one. */
void render_log(const char *text, const char *agent);
void render_reload(const json_t *reload);
void render_progress(const json_t *progress);
void render_progress_end(void);
/* Whether a terminal would obey the character at s. */
bool render_is_control(const char *s);
/* Such characters become '?'. */
void render_clean(char *s);
/* "3d4h", "5m10s", "820ms"; buf. */
const char *render_span(int64_t ms, char *buf, size_t size);
/* As fmt says: "ms" "%" "MiB" "rps"; "-" for null. */
const char *render_number(const json_t *v, const char *fmt, char *buf, size_t size);
/* And for programs: one compact line. */
void render_json(const json_t *value);

#endif
