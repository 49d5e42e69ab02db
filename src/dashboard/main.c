/* SPDX-License-Identifier: MIT */
/*
 * k6fleet-dashboard: the HTTP API and the pages.  One thread, one loop, one database.  Started
 * as root it opens its port and its directory, becomes its own user, and only then reads the
 * first byte from the network.
 */
#include "config.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/args.h"
#include "common/creds.h"
#include "common/fdio.h"
#include "common/filter.h"
#include "common/json.h"
#include "common/journal.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sock.h"
#include "common/title.h"
#include "common/units.h"
#include "dashboard/api.h"
#include "dashboard/assets.h"
#include "dashboard/events.h"
#include "dashboard/http.h"
#include "dashboard/live.h"
#include "dashboard/settings.h"
#include "dashboard/store.h"
#include "dashboard/store_agents.h"
#include "dashboard/store_reaper.h"
#include "dashboard/store_rollup.h"
#include "dashboard/store_runs.h"
#include "dashboard/store_series.h"
#include "dashboard/throttle.h"

#define DEFAULT_CONFIG SYSCONFDIR "/k6fleet/dashboard.conf"
#define SECRET_BYTES 32
#define PEM_MAX_BYTES (256 * 1024)
#define UPKEEP_PAUSE_S 0.005
#define EVENTS_BEAT_S 15.

enum exit_status { EXIT_OK = 0, EXIT_START = 1, EXIT_USAGE = 2 };

static const char usage[] =
	"usage: k6fleet-dashboard [-c FILE] [-t] [-l ADDR:PORT] [-d DB] [-v]\n"
	"                         [--make-secrets DIR] [--backup FILE] [--version] [--help]\n"
	"\n"
	"The dashboard of k6fleet: HTTP API, web page, SQLite. Stays in the foreground.\n"
	"\n"
	"  -c, --config FILE       configuration (default " DEFAULT_CONFIG ")\n"
	"  -t, --test              check the configuration, print the effective one, exit\n"
	"  -l, --listen ADDR:PORT  where to listen\n"
	"  -d, --database DB       database file\n"
	"  -v, --verbose           log at level debug\n"
	"      --make-secrets DIR  make DIR/dashboard-secret and DIR/admin-auth (0600) and exit\n"
	"      --backup FILE       copy the database, also of a running dashboard, and exit\n"
	"      --version           print the version and exit\n"
	"  -h, --help              print this and exit\n"
	"\n"
	"Exit: 0 asked to stop, 1 failed at start, 2 usage.\n";

struct options {
	const char *config, *listen, *database, *secrets_dir, *backup;
	bool test, verbose;
};

struct app {
	struct settings config;
	struct api api;
	struct http *http;
	ev_timer reaper, upkeep, beat;
	ev_signal term, intr;
};

static struct app app;

static struct options parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"listen", required_argument, NULL, 'l'},
		{"database", required_argument, NULL, 'd'},
		{"verbose", no_argument, NULL, 'v'},
		{"make-secrets", required_argument, NULL, 'S'},
		{"backup", required_argument, NULL, 'B'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {0};
	int c;

	while ((c = getopt_long(argc, argv, "c:tl:d:vh", longopts, NULL)) != -1) {
		switch (c) {
		case 'c': o.config = optarg; break;
		case 't': o.test = true; break;
		case 'l': o.listen = optarg; break;
		case 'd': o.database = optarg; break;
		case 'v': o.verbose = true; break;
		case 'S': o.secrets_dir = optarg; break;
		case 'B': o.backup = optarg; break;
		default: args_end(c, "k6fleet-dashboard", usage);
		}
	}
	args_none_left(argc, argv, "k6fleet-dashboard");
	return o;
}

static char *absolute(const char *path)
{
	_cleanup_free_ char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);

	return cwd ? x_asprintf("%s/%s", cwd, path) : x_strdup(path);
}

static void load_config(const struct options *o, struct settings *c)
{
	const char *name = o->config ? o->config : DEFAULT_CONFIG;
	_cleanup_file_ FILE *f = fopen(name, "re");
	struct err err;

	if (!f && (o->config || errno != ENOENT))
		fatal(EXIT_START, "cannot read the configuration %s: %s", name, strerror(errno));
	if (settings_load(c, f, name, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	if (o->listen && settings_set(c, "listen", o->listen, &err) < 0)
		fatal(EXIT_USAGE, "-l: %s", err.msg);
	if (o->database) {
		_cleanup_free_ char *path = absolute(o->database);

		if (settings_set(c, "database", path, &err) < 0)
			fatal(EXIT_USAGE, "-d: %s", err.msg);
	}
	if (o->verbose)
		c->log_level = LOG_LEVEL_DEBUG;
}

/* 256 bits from the kernel as hexadecimal digits: nothing that a shell or URL would mangle. */
static void make_token(char *out)
{
	unsigned char raw[SECRET_BYTES];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		fatal(EXIT_START, "cannot get random bytes: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
	mem_wipe(raw, sizeof(raw));
}

static void write_secret(const char *dir, const char *name, const char *prefix)
{
	_cleanup_free_ char *path = x_asprintf("%s/%s", dir, name);
	_cleanup_fd_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	char token[2 * SECRET_BYTES + 1];

	if (fd < 0 && errno == EEXIST) {
		printf("%s is there already and was left as it is\n", path);
		return;
	}
	make_token(token);
	if (fd < 0 || dprintf(fd, "%s%s\n", prefix, token) < 0 || fsync(fd) < 0)
		fatal(EXIT_START, "cannot write %s: %s", path, strerror(errno));
	mem_wipe(token, sizeof(token));
	printf("made %s\n", path);
}

static void make_secrets(const char *dir)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		fatal(EXIT_START, "cannot make the directory %s: %s", dir, strerror(errno));
	write_secret(dir, "dashboard-secret", "");
	write_secret(dir, "admin-auth", "admin:");
}

/* A secret from the environment, a file, or a credential of the service manager (systemd.exec(5), "Credentials");
 * the environment's copy is overwritten. */
static char *take_secret(
	const char *env_name, const char *file, const char *option, const char *file_name)
{
	const char *env = getenv(env_name);
	_cleanup_free_ char *given = file[0] ? NULL : creds_given(file_name);
	char *secret;
	struct err err;

	if (given)
		file = given;
	if (env && *env) {
		secret = x_strdup(env);
		title_forget_env(env_name);
		if (strlen(secret) > LIMIT_SECRET_BYTES)
			fatal(EXIT_START, "%s is longer than %d bytes", env_name,
				LIMIT_SECRET_BYTES);
		return secret;
	}
	if (!file[0])
		fatal(EXIT_START,
			"there is no %s: run `k6fleet-dashboard --make-secrets DIR` and set %s = DIR/%s, or set %s",
			option, option, file_name, env_name);
	if (creds_read_secret(file, LIMIT_SECRET_BYTES, &secret, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	return secret;
}

/* fatal when that cannot be; the caller frees it. */
static char *read_pem(const char *path, const char *option)
{
	struct err err;
	size_t len;
	char *text = fdio_read_file(path, 0, PEM_MAX_BYTES, &len, &err);

	if (!text)
		fatal(EXIT_START, "%s: %s", option, err.msg);
	if (len == 0)
		fatal(EXIT_START, "%s: %s is empty; it must be PEM", option, path);
	return text;
}

static void read_assets(const char *dir)
{
	struct err err;

	app.api.assets = assets_load(dir, &err);
	if (!app.api.assets)
		fatal(EXIT_START, "%s; set www_dir or K6FLEET_WWW_DIR", err.msg);
}

/* Opens the database's directory, making it where it is missing.  Answers a path that still
 * works after the change of user, although the directory may lie below one that only root may
 * pass: the descriptor is held for the life of the process. */
static char *open_database_dir(const struct settings *c, const struct creds *owner)
{
	_cleanup_free_ char *dir_copy = x_strdup(c->database), *base_copy = x_strdup(c->database);
	const char *dir = dirname(dir_copy), *base = basename(base_copy);
	struct err err;
	int fd;

	if (fdio_mkdir_parents(dir, 0750, owner ? owner->uid : (uid_t)-1,
		    owner ? owner->gid : (gid_t)-1, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fatal(EXIT_START, "cannot open the database's directory %s: %s", dir,
			strerror(errno));
	return owner ? x_asprintf("/proc/self/fd/%d/%s", fd, base) : x_strdup(c->database);
}

/* What the reaper has changed, for readers of events. */
static void publish(const json_t *changed)
{
	struct err err;
	json_t *row;
	size_t i;

	json_array_foreach (changed, i, row) {
		const char *what = json_string_value(json_array_get(row, 0));
		const char *first = json_string_value(json_array_get(row, 1));
		const char *second = json_string_value(json_array_get(row, 2));
		bool is_run = !strcmp(what, "run");
		json_t *object = NULL;
		enum found found = is_run
			? dash_store_get_run_row(app.api.store, first, &object, &err)
			: dash_store_get_agent(app.api.store, first, second, &object, &err);

		if (found == NOT_FOUND && !is_run)
			object = json_pack(
				"{s:s, s:s, s:b}", "host", first, "name", second, "deleted", 1);
		if (object)
			events_publish(app.api.events, what, object);
	}
}

static void add_to_last_hour(void *arg, const struct sample *sample)
{
	(void)arg;
	live_add(app.api.live, sample, false, units_now_wall_ms());
}

static void reap(int64_t now)
{
	const struct settings *c = &app.config;
	const struct dash_store_rules rules = {c->reaper.run_timeout_ms, c->reaper.offline_after_ms,
		c->reaper.delete_after_ms, c->reaper.keep_runs};
	_cleanup_json_ json_t *changed = json_array();
	struct dash_store_reaped r;
	struct err err;

	if (dash_store_each_overdue(app.api.store, now, c->reaper.run_timeout_ms, add_to_last_hour,
		    NULL, &err) < 0 ||
		dash_store_reap(app.api.store, &rules, now, &r, changed, &err) < 0) {
		log_event(LOG_LEVEL_ERROR, "reaper", "cannot work", LOG_ERROR(err.msg));
		return;
	}
	if (r.runs_timed_out || r.agents_offline || r.agents_deleted)
		log_event(LOG_LEVEL_INFO, "reaper", "reaped",
			LOG_INT("runs_timed_out", r.runs_timed_out),
			LOG_INT("agents_offline", r.agents_offline),
			LOG_INT("agents_deleted", r.agents_deleted));
	app.api.reaped.runs_timed_out += r.runs_timed_out;
	app.api.reaped.agents_offline += r.agents_offline;
	app.api.reaped.agents_deleted += r.agents_deleted;
	publish(changed);
}

/* dash_store_changed_fn: one line a change, with the advice that fits. */
static void on_database(void *arg, const struct err *why)
{
	const struct settings *c = arg;

	if (!why)
		log_event(
			LOG_LEVEL_INFO, "database", "works again", LOG_QUOTED("file", c->database));
	else if (why->code == ERR_CORRUPT)
		log_event(LOG_LEVEL_ERROR, "database",
			"is damaged, requests for what cannot be read get 503: stop the dashboard and put a backup"
			" (k6fleet-dashboard --backup) in its place, or what `sqlite3 FILE .recover` saves of it",
			LOG_QUOTED("file", c->database), LOG_ERROR(why->msg));
	else
		log_event(LOG_LEVEL_ERROR, "database",
			"cannot be read or written, requests that need it get 503: look for errors of the"
			" disk in the kernel's log",
			LOG_QUOTED("file", c->database), LOG_ERROR(why->msg));
}

static void on_reaper(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct err err;

	(void)w;
	(void)revents;
	reap(units_now_wall_ms());
	/* Finds out that a device works again, also when nobody asks /readyz; on_database() logs it. */
	dash_store_check(app.api.store, &err);
	/* What follows is done a little at a time, between requests. */
	ev_timer_again(loop, &app.upkeep);
}

/* Rollups and retention: one small transaction, then whoever waits has his turn. */
static void on_upkeep(struct ev_loop *loop, ev_timer *w, int revents)
{
	const struct settings *c = &app.config;
	int64_t now = units_now_wall_ms();
	struct err err;
	int more;

	(void)revents;
	more = dash_store_rollup_step(app.api.store, now, &err);
	if (more == 0)
		more = dash_store_expire(app.api.store, now - c->retention_ms, &err);
	if (more == 0)
		more = dash_store_expire_rollups(app.api.store, now - c->rollup_retention_ms, &err);
	if (more < 0)
		log_event(LOG_LEVEL_ERROR, "upkeep", "rollups and retention wait",
			LOG_ERROR(err.msg));
	if (more <= 0)
		ev_timer_stop(loop, w);
}

static void on_beat(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	events_beat(app.api.events);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)revents;
	log_event(LOG_LEVEL_INFO, "dashboard", "stopping", LOG_INT("signal", w->signum));
	ev_break(loop, EVBREAK_ALL);
}

static void backup(const struct settings *c, const char *to)
{
	struct dash_store *s;
	struct err err;

	if (access(c->database, F_OK) < 0)
		fatal(EXIT_START, "there is no database at %s", c->database);
	s = dash_store_open(c->database, &err);
	if (!s || dash_store_backup(s, to, &err) < 0)
		fatal(EXIT_START, "cannot back up to %s: %s", to, err.msg);
	dash_store_close(s);
	printf("%s holds a complete copy of %s\n", to, c->database);
}

/* Everything that may need root, then the user, then the rest. */
static void set_up(struct ev_loop *loop)
{
	struct settings *c = &app.config;
	bool as_root = geteuid() == 0;
	_cleanup_free_ char *db_path = NULL, *cert = NULL, *key = NULL;
	struct rlimit lim;
	struct creds user;
	struct err err;
	int listen_fd;

	app.api.config = c;
	app.api.secret =
		take_secret("DASHBOARD_SECRET", c->secret_file, "secret_file", "dashboard-secret");
	app.api.admin = take_secret("ADMIN_BASIC_AUTH", c->admin_file, "admin_file", "admin-auth");
	if (!strchr(app.api.admin, ':'))
		fatal(EXIT_START, "the admin's credentials must be written user:password");
	read_assets(c->www_dir);
	if (c->tls_cert[0]) {
		cert = read_pem(c->tls_cert, "tls_cert");
		key = read_pem(c->tls_key, "tls_key");
	}
	if (as_root && creds_find(c->user, &user, &err) < 0)
		fatal(EXIT_START, "user: %s", err.msg);
	listen_fd = sock_listen_tcp(c->listen, &err);
	if (listen_fd < 0)
		fatal(EXIT_START,
			errno == EADDRINUSE
				? "%s: the port is taken; stop what uses it or choose another with -l or "
				  "K6FLEET_DASHBOARD_LISTEN"
				: "%s",
			err.msg);
	db_path = open_database_dir(c, as_root ? &user : NULL);
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	/* From here on a hole in what follows is worth one database, not the host. */
	if (as_root && creds_become(&user, NULL, 0, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	if (creds_drop_all_caps(&err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	app.api.store = dash_store_open(db_path, &err);
	if (!app.api.store)
		fatal(EXIT_START, "%s (%s must be writable for user \"%s\" and have space left)",
			err.msg, c->database, as_root ? c->user : "you");
	dash_store_watch(app.api.store, on_database, c);
	app.api.live = live_new();
	app.api.events = events_new(units_now_wall_ms());
	if (dash_store_each_sample(
		    app.api.store, units_now_wall_ms() - HOUR_MS, add_to_last_hour, NULL, &err) < 0)
		fatal(EXIT_START, "the last hour's runs cannot be read: %s", err.msg);
	/* Whoever asks first does not wait until each minute is put together. */
	live_last_hour(app.api.live, units_now_wall_ms());
	app.api.throttle = throttle_new(c->login_attempts);
	app.http = http_start(loop, listen_fd, cert, key, &app.api, &err);
	if (key)
		mem_wipe(key, strlen(key));
	if (!app.http)
		fatal(EXIT_START, "%s%s", err.msg,
			cert ? " (do tls_cert and tls_key fit together?)" : "");
	/* Without seccomp in the kernel it goes on: its user has no capabilities either way. */
	if (filter_confine_self(FILTER_SUPERVISOR, &err) < 0)
		log_warn("dashboard", "%s", err.msg);
}

int main(int argc, char **argv)
{
	struct ev_loop *loop;
	struct options o;

	title_init(argc, argv);
	log_init("k6fleet-dashboard", LOG_LEVEL_INFO, false);
	o = parse_options(argc, argv);
	umask(0077);
	if (o.secrets_dir) {
		make_secrets(o.secrets_dir);
		return EXIT_OK;
	}
	load_config(&o, &app.config);
	log_init("k6fleet-dashboard", (enum log_level)app.config.log_level,
		app.config.log_format == 1);
	if (o.test) {
		settings_print(&app.config, stdout);
		return fflush(stdout) == 0 ? EXIT_OK : EXIT_START;
	}
	if (o.backup) {
		backup(&app.config, o.backup);
		return EXIT_OK;
	}
	log_use_journal(journal_open());
	signal(SIGPIPE, SIG_IGN);
	loop = ev_default_loop(EVFLAG_AUTO);
	if (!loop)
		fatal(EXIT_START, "cannot make an event loop");
	set_up(loop);
	title_set("k6fleet-dashb", "k6fleet-dashboard: %s", app.config.listen);
	ev_timer_init(&app.reaper, on_reaper, (double)app.config.reaper.interval_ms / 1000,
		(double)app.config.reaper.interval_ms / 1000);
	ev_timer_start(loop, &app.reaper);
	ev_init(&app.upkeep, on_upkeep);
	app.upkeep.repeat = UPKEEP_PAUSE_S;
	ev_timer_again(loop, &app.upkeep);
	ev_timer_init(&app.beat, on_beat, EVENTS_BEAT_S, EVENTS_BEAT_S);
	ev_timer_start(loop, &app.beat);
	ev_signal_init(&app.term, on_signal, SIGTERM);
	ev_signal_start(loop, &app.term);
	ev_signal_init(&app.intr, on_signal, SIGINT);
	ev_signal_start(loop, &app.intr);
	log_event(LOG_LEVEL_INFO, "dashboard", "started", LOG_WORD("version", PACKAGE_VERSION),
		LOG_WORD("listen", app.config.listen),
		LOG_WORD("scheme", app.config.tls_cert[0] ? "https" : "http"));
	ev_run(loop, 0);
	http_stop(app.http);
	events_free(app.api.events);
	live_free(app.api.live);
	api_forget_cached(&app.api);
	dash_store_close(app.api.store);
	mem_wipe(app.api.secret, strlen(app.api.secret));
	mem_wipe(app.api.admin, strlen(app.api.admin));
	free(app.api.secret);
	free(app.api.admin);
	assets_free(app.api.assets);
	throttle_free(app.api.throttle);
	settings_free(&app.config);
	return EXIT_OK;
}
