/* SPDX-License-Identifier: MIT */
/* What the parts of k6fleetctl share. */
#ifndef K6FLEET_CTL_H
#define K6FLEET_CTL_H

#include <jansson.h>
#include <stdbool.h>

/* Exit statuses, fixed: scripts rely on them. */
enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NO_DAEMON = 3, CTL_DENIED = 4 };

struct ctl {
	const char *socket;
	bool json, color;
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
/* One of the verbs: argv[0] is its name.  Returns the exit status. */
int ctl_run_verb(struct ctl *ctl, int argc, char **argv);
/* The verbs' part of --help. */
void ctl_print_verbs(FILE *out);

/* Renderers for people. */
void render_status(const struct ctl *ctl, const json_t *status);
void render_targets(const struct ctl *ctl, const json_t *targets);
void render_runs(const struct ctl *ctl, const json_t *runs);
void render_run(const struct ctl *ctl, const json_t *run);
void render_reload(const json_t *reload);
void render_progress(const json_t *progress);
void render_progress_end(void);
/* And for programs: one compact line. */
void render_json(const json_t *value);

#endif
