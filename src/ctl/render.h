/* SPDX-License-Identifier: MIT */
/* Prints k6fleetd's data on standard output for people, or as JSON for programs. */
#ifndef K6FLEET_CTL_RENDER_H
#define K6FLEET_CTL_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/screen.h"

/* --- render_text.c: the fleet ---------------------------------------------------- */

/* Each takes the data of the verb of its name. */
void render_status(struct screen *screen, const json_t *status);
void render_targets(struct screen *screen, const json_t *targets);
void render_runs(struct screen *screen, const json_t *runs);
/* Prints the keys that a reload has changed. */
void render_reload(const json_t *reload);
/* Draws a bar on standard error over the last one: how many of the desired agents are up. */
void render_progress(const json_t *progress);
/* Erases the bar. */
void render_progress_end(void);
/* Spells a duration with its two largest units, "3d4h", "5m10s", "820ms"; returns buf. */
const char *render_span(int64_t ms, char *buf, size_t size);
/* Spells a number in the form "ms", "%", "MiB" or "rps"; returns buf, or "-" for anything but a
 * number. */
const char *render_number(const json_t *v, const char *fmt, char *buf, size_t size);

/* --- render_run.c: runs ---------------------------------------------------------- */

void render_run(struct screen *screen, const json_t *run);
/* Prints the progress of runs: on a terminal a bar for each on standard error, drawn over the
 * last ones, else a line for each. */
void render_runs_progress(const json_t *runs, bool on_terminal);
/* Erases the bars. */
void render_runs_progress_end(bool on_terminal);
/* Prints runs that have ended, and ctl_merge_runs() of them. */
void render_merged(struct screen *screen, const json_t *runs, const json_t *merged);
/* Prints a piece of k6's output; each line begins with the agent's name if agent is not NULL. */
void render_log(const char *text, const char *agent);

/* --- render_json.c ---------------------------------------------------------------- */

/* Prints one line of compact JSON. */
void render_json(const json_t *value);

#endif
