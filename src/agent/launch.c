/* SPDX-License-Identifier: MIT */
/* docs/architecture.md has the reason for each flag and variable.  The target is read and the
 * script is written in this process, so that the worker's memory stays small. */
#include "agent/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/confine.h"
#include "agent/script.h"
#include "agent/summary.h"
#include "common/allow.h"
#include "common/fdio.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/target.h"

/* Room for a target with a 1 MiB script with every byte escaped. */
#define JOB_MAX_BYTES (8 * 1024 * 1024)
/* Addresses of all names in allowed_hosts. */
#define ALLOWED_MAX 1024
#define NAMES_IN_SCRIPT_MAX 64

/* Numbers in the process that becomes k6. */
enum { K6_FD = 3, FAIL_FD = 4 };

/* The file with all certificates, as distributions name it. */
static const char *const cert_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

struct strings {
	char **items;
	size_t count;
};

struct launch {
	const struct launch_order *order;
	int fail_fd;
	json_t *job;
	struct target *target;
	char *script; /* text of the target's script */
	char *script_path;
	struct strings blocked; /* CIDRs */
	bool is_limited;        /* by allowed_hosts */
	const char **allowed;
	size_t allowed_count;
};

__attribute__((noreturn, format(printf, 3, 4))) static void launch_give_up(
	const struct launch *l, enum err_code code, const char *fmt, ...)
{
	char report[LAUNCH_REPORT_MAX] = {(char)code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report + 1, sizeof(report) - 1, fmt, ap);
	va_end(ap);
	if (write(l->fail_fd, report, strlen(report + 1) + 1) < 0)
		_exit(126);
	_exit(127);
}

static void add_string(struct strings *s, char *item)
{
	s->items = x_realloc(s->items, s->count + 2, sizeof(*s->items));
	s->items[s->count++] = item;
	s->items[s->count] = NULL;
}

/* --- the job ---------------------------------------------------------------- */

/* The supervisor has checked the target; this process trusts nobody and checks it again. */
static void read_job(struct launch *l, int fd)
{
	struct target_error terr;
	struct err err;
	char *text = fdio_read_all(fd, "the job", JOB_MAX_BYTES, NULL, &err);

	if (!text)
		launch_give_up(l, ERR_OTHER, "%s", err.msg);
	l->job = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	l->target = target_new();
	if (!l->job || target_apply_json(l->target, l->job, false, &terr) < 0 ||
		target_validate(l->target, &terr) < 0)
		launch_give_up(l, ERR_OTHER, "the job makes no sense");
}

static void launch_write_file(const struct launch *l, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fdio_write_all(fd, text, strlen(text)) < 0)
		launch_give_up(l, err_code_of_errno(errno), "the script cannot be written: %s%s",
			strerror(errno), errno == ENOSPC ? "; raise limits.tmp_size" : "");
	close(fd);
}

/* Writes the script, and a module around it if it is a user's or has to wait for a common start. */
static void write_scripts(struct launch *l)
{
	const char *dir = l->order->env->work_dir;
	const char *suffix = "js";
	_cleanup_free_ char *name = NULL, *path = NULL, *around = NULL;

	l->script = script_make(l->target);
	if (l->target->script && script_is_typescript(l->script))
		suffix = "ts";
	if ((!l->target->script && !l->order->start_wall_ms) || !script_is_module(l->script)) {
		l->script_path = x_asprintf("%s/k6-script-%s.%s", dir, l->order->id, suffix);
		launch_write_file(l, l->script_path, l->script);
		return;
	}
	l->script_path = x_asprintf("%s/k6-script-%s.js", dir, l->order->id);
	name = x_asprintf("./k6-module-%s.%s", l->order->id, suffix);
	path = x_asprintf("%s/%s", dir, name + 2);
	around = script_wrap(name, l->order->start_wall_ms, l->order->env->k6.has_es_modules);
	launch_write_file(l, path, l->script);
	launch_write_file(l, l->script_path, around);
}

/* --- allowed_hosts ------------------------------------------------------------ */

struct allowed {
	struct allow_block blocks[ALLOWED_MAX];
	size_t count;
};

static void allow_block(struct allowed *a, const char *text)
{
	if (a->count < ALLOWED_MAX && allow_parse_block(text, &a->blocks[a->count]))
		a->count++;
}

/* Adds the present addresses of the name, by the same resolver configuration as k6's.  A name
 * without an address adds nothing: k6 reports it. */
static void allow_name(struct allowed *a, const char *name)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list, *i;
	char text[NI_MAXHOST];

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return;
	for (i = list; i; i = i->ai_next) {
		if (getnameinfo(i->ai_addr, i->ai_addrlen, text, sizeof(text), NULL, 0,
			    NI_NUMERICHOST) == 0) {
			text[strcspn(text, "%")] = '\0'; /* the zone of a link-local address */
			allow_block(a, text);
		}
	}
	freeaddrinfo(list);
}

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '_' || c == '.';
}

/* Of the names below a suffix only those in the text of the script are known. */
static void allow_names_in(struct allowed *a, const char *script, const char *suffix)
{
	size_t len = strlen(suffix);
	int found = 0;

	for (const char *p = script; found < NAMES_IN_SCRIPT_MAX && (p = strcasestr(p, suffix));
		p += len) {
		const char *start = p;
		_cleanup_free_ char *name = NULL;

		if (is_host_char(p[len]))
			continue;
		while (start > script && is_host_char(start[-1]) && p - start < 253)
			start--;
		if (start == p)
			continue;
		name = x_strndup(start, (size_t)(p - start) + len);
		allow_name(a, name);
		found++;
	}
}

static void block(void *arg, const char *cidr)
{
	struct launch *l = arg;

	add_string(&l->blocked, x_strdup(cidr));
}

/* k6 takes lists of blocked addresses only: it gets the complement of the allowed ones. */
static void read_allowed_hosts(struct launch *l)
{
	const json_t *list = json_object_get(l->job, "allowedHosts");
	_cleanup_free_ char *host = l->target->url ? allow_url_host(l->target->url) : NULL;
	struct allowed *a;
	json_t *item;
	size_t i;

	if (!json_array_size(list))
		return;
	l->is_limited = true;
	l->allowed = x_calloc(json_array_size(list), sizeof(*l->allowed));
	json_array_foreach (list, i, item)
		l->allowed[l->allowed_count++] =
			json_string_value(item) ? json_string_value(item) : "";
	if (l->target->url && (!host || !allow_host(l->allowed, l->allowed_count, host)))
		launch_give_up(
			l, ERR_FORBIDDEN, "allowed_hosts does not name the host of the target");
	/* Shorter than the default of resolv.conf(5), 5 s twice for each server. */
	setenv("RES_OPTIONS", "timeout:2 attempts:1", 1);
	a = x_calloc(1, sizeof(*a));
	for (i = 0; i < l->allowed_count; i++) {
		const char *suffix = allow_suffix(l->allowed[i]);

		if (suffix)
			allow_names_in(a, l->script, suffix);
		else if (a->count < ALLOWED_MAX &&
			!allow_parse_block(l->allowed[i], &a->blocks[a->count]))
			allow_name(a, l->allowed[i]);
		else
			a->count += a->count < ALLOWED_MAX;
	}
	if (host)
		allow_name(a, host);
	allow_invert(a->blocks, a->count, block, l);
	free(a);
}

/* The same list for requests by name, and for modules imported by URL, which k6 fetches before
 * its block lists apply. Requests to all other names go to a proxy that does not exist, whose
 * name says why. https://pkg.go.dev/golang.org/x/net/http/httpproxy */
#define NO_SUCH_PROXY "http://not-in-allowed-hosts.invalid:9"

static void add_proxy_env(const struct launch *l, struct strings *env)
{
	char *list = NULL;
	size_t size;
	FILE *f = open_memstream(&list, &size);

	if (!f)
		launch_give_up(l, ERR_OTHER, "out of memory");
	for (size_t i = 0; i < l->allowed_count; i++) {
		const char *suffix = allow_suffix(l->allowed[i]);

		fprintf(f, "%s%s", i ? "," : "", suffix ? suffix : l->allowed[i]);
	}
	fclose(f);
	add_string(env, x_strdup("HTTP_PROXY=" NO_SUCH_PROXY));
	add_string(env, x_strdup("HTTPS_PROXY=" NO_SUCH_PROXY));
	add_string(env, x_asprintf("NO_PROXY=%s", list));
	free(list);
}

/* Go uses no proxy for this host itself, so imported URLs are also searched for in the text. */
static void check_imports(const struct launch *l)
{
	for (const char *p = l->script; (p = strstr(p, "http")) != NULL; p += 4) {
		const char *before = p;
		size_t len = strcspn(p, "\"'`\n");
		_cleanup_free_ char *url = NULL, *host = NULL;

		if (before == l->script || !strchr("\"'`", before[-1]) ||
			(strncmp(p, "http://", 7) != 0 && strncmp(p, "https://", 8) != 0))
			continue;
		/* from "...", import "...", require("...") */
		for (before--; before > l->script && strchr(" \t\r\n(", before[-1]);)
			before--;
		if (!(before - l->script >= 4 && !strncmp(before - 4, "from", 4)) &&
			!(before - l->script >= 6 && !strncmp(before - 6, "import", 6)) &&
			!(before - l->script >= 7 && !strncmp(before - 7, "require", 7)))
			continue;
		url = x_strndup(p, len);
		host = allow_url_host(url);
		if (!host || !allow_host(l->allowed, l->allowed_count, host))
			launch_give_up(l, ERR_FORBIDDEN,
				"the script imports %.200s, which allowed_hosts does not name",
				url);
	}
}

/* --- arguments and environment ---------------------------------------------------- */

static struct strings make_argv(const struct launch *l)
{
	static const char *const fixed[] = {"k6", "run", "--no-color", "--no-usage-report",
		"--log-format", "json", "--address", "", "--include-system-env-vars=false",
		"--paused=false", "--summary-trend-stats"};
	const struct opt_list *extra = &l->order->env->conf->k6.args;
	int64_t vus = json_get_int(l->job, "vusForScript", 0);
	int64_t duration_ms = json_get_int(l->job, "durationMsForScript", 0);
	struct strings argv = {0};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add_string(&argv, x_strdup(fixed[i]));
	add_string(&argv, summary_trend_stats());
	add_string(&argv, x_strdup("--summary-export"));
	add_string(&argv, x_strdup(l->order->summary_path));
	if (vus > 0)
		add_string(&argv, x_asprintf("--vus=%lld", (long long)vus));
	if (duration_ms > 0)
		add_string(&argv, x_asprintf("--duration=%lldms", (long long)duration_ms));
	for (size_t i = 0; i < extra->count; i++)
		add_string(&argv, x_strdup(extra->items[i]));
	/* These come after the operator's arguments.  k6 merges the lists, so an operator's list
	 * cannot remove an entry from these. */
	for (size_t i = 0; i < l->blocked.count; i++)
		add_string(&argv, x_asprintf("--blacklist-ip=%s", l->blocked.items[i]));
	if (l->is_limited)
		add_string(&argv, x_strdup("--block-hostnames=*.invalid"));
	add_string(&argv, x_strdup(l->script_path));
	return argv;
}

/* Takes nothing from k6fleetd's environment: the script can read all of k6's. */
static struct strings make_env(const struct launch *l)
{
	const struct conf *conf = l->order->env->conf;
	long long go_limit = conf->limits.memory_bytes / 8 * 7;
	struct strings env = {0};

	add_string(&env, x_strdup("PATH=/usr/bin:/bin"));
	add_string(&env, x_asprintf("HOME=%s", confine_home(l->order->env->sandbox)));
	add_string(&env, x_asprintf("TMPDIR=%s", l->order->env->work_dir));
	add_string(&env, x_strdup("GOMAXPROCS=1"));
	add_string(&env, x_strdup("GOGC=50"));
	add_string(&env, x_asprintf("GOMEMLIMIT=%lldB", go_limit));
	for (size_t i = 0; i < ARRAY_SIZE(cert_bundles); i++) {
		if (access(cert_bundles[i], R_OK) == 0) {
			add_string(&env, x_asprintf("SSL_CERT_FILE=%s", cert_bundles[i]));
			add_string(&env, x_strdup("SSL_CERT_DIR=/nonexistent"));
			break;
		}
	}
	add_string(&env, x_strdup("K6_AUTO_EXTENSION_RESOLUTION=false"));
	/* k6 makes its summary in JavaScript, which takes 6 s for 12,000 metrics.  The deadline
	 * applies, too. */
	add_string(&env, x_strdup("K6_HANDLE_SUMMARY_TIMEOUT=30s"));
	if (l->is_limited)
		add_proxy_env(l, &env);
	/* The operator's variables last.  K6_SETUP_TIMEOUT and similar ones overrule the
	 * script's options; the deadline bounds them. */
	for (size_t i = 0; i < conf->k6.env.count; i++)
		add_string(&env, x_strdup(conf->k6.env.items[i]));
	return env;
}

/* --- exec ----------------------------------------------------------------------------- */

/* Puts all descriptors at the numbers that they have in k6, and closes the rest. */
static void launch_place_descriptors(struct launch *l)
{
	/* The descriptors that k6 keeps go out of the way before 0 to 4 are overwritten. */
	int k6_copy = fcntl(l->order->env->k6.fd, F_DUPFD, 10);
	int fail_copy = fcntl(l->fail_fd, F_DUPFD, 10);
	int null = open("/dev/null", O_RDONLY);

	if (fail_copy >= 0)
		l->fail_fd = fail_copy;
	if (k6_copy < 0 || fail_copy < 0 || null < 0 || dup2(null, 0) < 0 ||
		dup2(l->order->out_fd, 1) < 0 || dup2(l->order->err_fd, 2) < 0 ||
		dup2(k6_copy, K6_FD) < 0 || dup3(fail_copy, FAIL_FD, O_CLOEXEC) < 0)
		launch_give_up(
			l, ERR_OTHER, "its descriptors cannot be placed: %s", strerror(errno));
	l->fail_fd = FAIL_FD;
	/* Among them the socket to the supervisor, the lifeline and the descriptor of the
	 * heartbeat pages. */
	fdio_close_range(FAIL_FD + 1, ~0U, false);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	/* HUP ends k6, and must not end a run by accident. */
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void launch_k6(const struct launch_order *order)
{
	const struct k6run_env *env = order->env;
	struct launch l = {.order = order, .fail_fd = order->fail_fd};
	struct strings argv, environment;
	bool by_fd = env->k6.by_fd;

	if (!filestamp_fits(&env->k6.stamp, env->k6.fd))
		launch_give_up(&l, ERR_OTHER,
			"the binary was overwritten after it had told its version; `k6fleetctl reload` "
			"asks it again");
	read_job(&l, order->job_fd);
	write_scripts(&l);
	read_allowed_hosts(&l);
	if (l.is_limited)
		check_imports(&l);
	/* "0" means the writer: from here on the cgroup counts this process. */
	if (env->cgroup_procs_fd >= 0 && write(env->cgroup_procs_fd, "0", 1) != 1)
		launch_give_up(&l, ERR_OTHER, "the cgroup cannot be entered: %s", strerror(errno));
	argv = make_argv(&l);
	environment = make_env(&l);
	launch_place_descriptors(&l);
	setpgid(0, 0);
	reset_signals();
	if (chdir(env->work_dir) < 0 ||
		confine_k6(env->sandbox, env->conf, env->work_dir, by_fd ? K6_FD : -1) < 0)
		launch_give_up(&l, ERR_OTHER, "%s", strerror(errno));
	/* To execute by path the descriptor is not needed any more.  Otherwise it stays open
	 * across exec, because the interpreter of a script reads it through /dev/fd/3. */
	if (!by_fd)
		close(K6_FD);
	confine_exec(by_fd ? K6_FD : -1, argv.items, environment.items);
	launch_give_up(&l, ERR_OTHER, "%s", strerror(errno));
}
