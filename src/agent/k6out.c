/* SPDX-License-Identifier: MIT */
/* k6 prints its scenarios at the start and a line of progress each second.  Both are the same
 * from v0.49 to v2 (cmd/ui.go and the package execution in its sources). */
#include "agent/k6out.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/script.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/run.h"

#define OUT_TAIL_BYTES 8192
#define ERR_TAIL_BYTES (RUN_LOG_MAX - OUT_TAIL_BYTES)
/* The part of a line of standard output that is kept: a trend with its 101 percentiles is
 * longer. */
#define OUT_LINE_KEPT 200
#define DURATION_MAX_MS (366 * DAY_MS)

int k6out_init(struct k6out *o, struct err *err)
{
	*o = (struct k6out){0};
	o->map = mmap(NULL, OUT_TAIL_BYTES + ERR_TAIL_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (o->map == MAP_FAILED) {
		o->map = NULL;
		return err_sys(err, errno, "no memory for k6's output");
	}
	o->out = (struct k6out_tail){.data = o->map, .size = OUT_TAIL_BYTES};
	o->err = (struct k6out_tail){
		.data = (char *)o->map + OUT_TAIL_BYTES, .size = ERR_TAIL_BYTES};
	return 0;
}

void k6out_clear(struct k6out *o)
{
	if (o->map)
		munmap(o->map, OUT_TAIL_BYTES + ERR_TAIL_BYTES);
	o->map = NULL;
}

static void keep(struct k6out_tail *t, const char *data, size_t len)
{
	if (!t->data)
		return;
	for (size_t i = 0; i < len; i++) {
		t->data[t->pos++] = data[i];
		if (t->pos == t->size) {
			t->pos = 0;
			t->full = true;
		}
	}
}

static size_t copy_tail(const struct k6out_tail *t, char *to)
{
	size_t n = 0;

	if (!t->data)
		return 0;
	if (t->full) {
		n = t->size - t->pos;
		memcpy(to, t->data + t->pos, n);
	}
	memcpy(to + n, t->data, t->pos);
	return n + t->pos;
}

char *k6out_log(const struct k6out *o, size_t *err_from)
{
	char *log = x_calloc(RUN_LOG_MAX + 1, 1);
	size_t n = copy_tail(&o->out, log);

	*err_from = n;
	n += copy_tail(&o->err, log + n);
	for (size_t i = 0; i < n; i++) {
		if (!log[i])
			log[i] = ' ';
	}
	return log;
}

int64_t k6out_parse_duration(const char *text, const char **end)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1}, {"µs", 1e-3}, {"us", 1e-3}, {"ns", 1e-6}, {"h", 3600000},
		{"m", 60000}, {"s", 1000}, {"d", 86400000}};
	const char *p = text;
	double ms = 0;

	*end = text;
	while (isdigit((unsigned char)*p)) {
		char *after;
		double n = strtod(p, &after);
		size_t i = 0;

		while (i < ARRAY_SIZE(units) &&
			strncmp(after, units[i].name, strlen(units[i].name)) != 0)
			i++;
		if (i == ARRAY_SIZE(units))
			return -1;
		ms += n * units[i].ms;
		p = after + strlen(units[i].name);
	}
	if (p == text || !(ms < (double)DURATION_MAX_MS))
		return -1;
	*end = p;
	return (int64_t)ms;
}

/* "     scenarios: (100.00%) 1 scenario, 2 max VUs, 33s max duration (incl. graceful stop):" */
static bool take_plan(struct k6out *o, const char *line)
{
	const char *p = strstr(line, " max VUs, "), *end;
	int64_t ms;

	if (!p || !strstr(line, "scenarios: ("))
		return false;
	ms = k6out_parse_duration(p + 10, &end);
	if (ms < 0 || strncmp(end, " max duration", 13) != 0)
		return false;
	o->in_plan = true;
	o->longest_ms = ms;
	o->graceful_ms = ms;
	return true;
}

/* "              * a: 2 looping VUs for 3s (exec: foo, gracefulStop: 30s)" */
static void take_scenario(struct k6out *o, const char *line)
{
	const char *p = strstr(line, "gracefulStop: "), *end;
	int64_t ms = p ? k6out_parse_duration(p + 14, &end) : 0;

	if (ms < 0)
		ms = 0;
	if (ms < o->graceful_ms)
		o->graceful_ms = ms;
}

int64_t k6out_planned_ms(const struct k6out *o)
{
	return o->longest_ms - o->graceful_ms;
}

/* "running (02.0s), 2/2 VUs, 38 complete and 0 interrupted iterations" */
static bool take_progress(struct k6out *o, const char *line)
{
	unsigned int vus;
	unsigned long long done;
	const char *end;
	int64_t ms;

	if (strncmp(line, "running (", 9) != 0)
		return false;
	ms = k6out_parse_duration(line + 9, &end);
	if (ms >= 0 && !strncmp(end, "), ", 3) &&
		sscanf(end + 3, "%u/%*u VUs, %llu complete", &vus, &done) == 2) {
		o->has_progress = o->progressed = true;
		o->elapsed_ms = ms;
		o->vus = vus;
		o->iterations = done;
	}
	return true;
}

/* "a    ✓ [ 100% ] 2 VUs  3s", "default   [  33% ] ..." */
static bool is_bar(const char *line)
{
	const char *p = strstr(line, " [");
	int percent;

	/* During setup() and teardown() k6 prints dashes. */
	return p && (sscanf(p, " [ %d%% ]", &percent) == 1 || strstr(p, " [-----"));
}

static void take_line(struct k6out *o, k6out_emit *emit, void *arg)
{
	const char *text = o->line + strspn(o->line, " \t");

	if (o->in_plan && !o->has_plan) {
		if (!strncmp(text, "* ", 2))
			take_scenario(o, text);
		else
			o->has_plan = true;
	} else if (!o->in_plan) {
		take_plan(o, o->line);
	}
	if (take_progress(o, o->line) || is_bar(o->line) || !*text)
		return;
	if (o->line_len > OUT_LINE_KEPT) {
		/* Not in the middle of a UTF-8 character. */
		size_t at = OUT_LINE_KEPT;

		while (at && ((unsigned char)o->line[at] & 0xc0) == 0x80)
			at--;
		memcpy(o->line + at, " ...", 5);
		o->line_len = at + 4;
	}
	o->line[o->line_len++] = '\n';
	keep(&o->out, o->line, o->line_len);
	emit(arg, o->line, o->line_len);
}

void k6out_take_stdout(struct k6out *o, const char *data, size_t len, k6out_emit *emit, void *arg)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' || data[i] == '\r') {
			o->line[o->line_len] = '\0';
			take_line(o, emit, arg);
			o->line_len = 0;
		} else if (o->line_len < K6OUT_LINE_MAX - 8) {
			o->line[o->line_len++] = (char)(data[i] ? data[i] : ' ');
		}
	}
}

static bool contains(const char *hay, size_t len, const char *needle)
{
	return memmem(hay, len, needle, strlen(needle)) != NULL;
}

static void search_words(struct k6out *o, const char *data, size_t len)
{
	const char *late = memmem(data, len, SCRIPT_LATE, sizeof(SCRIPT_LATE) - 1);

	if (contains(data, len, "out of memory") || contains(data, len, "cannot allocate memory") ||
		contains(data, len, "pthread_create failed"))
		o->saw_no_memory = true;
	/* The Go runtime prints this after EAGAIN of clone(2). */
	if (contains(data, len, "failed to create new OS thread"))
		o->saw_no_process = true;
	if (contains(data, len, "no space left on device") || contains(data, len, "file too large"))
		o->saw_disk_full = true;
	if (late) {
		const char *p = late + sizeof(SCRIPT_LATE) - 1;

		o->saw_late = true;
		for (o->late_ms = 0;
			p < data + len && isdigit((unsigned char)*p) && o->late_ms < 100000000; p++)
			o->late_ms = o->late_ms * 10 + (*p - '0');
	}
}

void k6out_take_stderr(struct k6out *o, const char *data, size_t len, k6out_emit *emit, void *arg)
{
	char joint[2 * sizeof(o->carry)];
	size_t head = len < sizeof(o->carry) ? len : sizeof(o->carry);

	/* The end of a read may cut a word in two: search across the two reads as well. */
	memcpy(joint, o->carry, o->carry_len);
	memcpy(joint + o->carry_len, data, head);
	search_words(o, joint, o->carry_len + head);
	search_words(o, data, len);
	if (len >= sizeof(o->carry)) {
		memcpy(o->carry, data + len - sizeof(o->carry), sizeof(o->carry));
		o->carry_len = sizeof(o->carry);
	} else {
		size_t all = o->carry_len + len;
		size_t kept = all < sizeof(o->carry) ? all : sizeof(o->carry);

		memmove(joint, joint + all - kept, kept);
		memcpy(o->carry, joint, kept);
		o->carry_len = kept;
	}
	keep(&o->err, data, len);
	emit(arg, data, len);
}
