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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/args.h"
#include "common/creds.h"
#include "common/fdio.h"
#include "common/filter.h"
#include "common/journal.h"
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
#include "dashboard/page_cache.h"
#include "dashboard/secrets.h"
#include "dashboard/settings.h"
#include "dashboard/store.h"
#include "dashboard/throttle.h"
#include "dashboard/upkeep.h"

#define DEFAULT_CONFIG SYSCONFDIR "/k6fleet/dashboard.conf"

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
	struct upkeep *upkeep;
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

static void read_assets(const char *dir)
{
	struct err err;

	app.api.assets = assets_load(dir, &err);
	if (!app.api.assets)
		fatal(EXIT_START, "%s; set www_dir or K6FLEET_WWW_DIR", err.msg);
}

/* Opens the database's directory, and makes it where it is missing.  Returns a path that still
 * works after the change of user, although the directory may lie below one that only root may
 * pass: the descriptor stays open as long as the process lives. */
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

/* dash_store_changed_fn: logs one line a change, with advice for its cause. */
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

/* Returns what an operator can do when the database cannot be opened. */
static const char *advice_on(enum err_code code)
{
	switch (code) {
	case ERR_CORRUPT:
		return "put a backup in its place, or what `sqlite3 FILE .recover` saves of it";
	case ERR_IO: return "look for errors of the disk in the kernel's log";
	case ERR_NEWER: return "install this version or a later one again";
	default: return "it must be writable for its user, and the disk must have space left";
	}
}

static void open_store(const char *path, bool as_root)
{
	struct settings *c = &app.config;
	struct err err;

	app.api.store = dash_store_open(path, &err);
	if (!app.api.store)
		fatal(EXIT_START, "%s (file %s, user \"%s\": %s)", err.msg, c->database,
			as_root ? c->user : "you", advice_on(err.code));
	dash_store_watch(app.api.store, on_database, c);
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

/* Reads secrets and pages, which may be readable for root only. */
static void read_files(const struct settings *c)
{
	app.api.secret =
		secrets_take("DASHBOARD_SECRET", c->secret_file, "secret_file", "dashboard-secret");
	app.api.admin = secrets_take("ADMIN_BASIC_AUTH", c->admin_file, "admin_file", "admin-auth");
	if (!strchr(app.api.admin, ':'))
		fatal(EXIT_START, "the admin's credentials must be written user:password");
	read_assets(c->www_dir);
}

static int open_port(const char *listen)
{
	struct err err;
	int fd = sock_listen_tcp(listen, &err);

	if (fd < 0)
		fatal(EXIT_START,
			errno == EADDRINUSE
				? "%s: the port is taken; stop what uses it or choose another with -l or "
				  "K6FLEET_DASHBOARD_LISTEN"
				: "%s",
			err.msg);
	return fd;
}

static void allow_many_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

/* Everything that may need root, then the change of user, then the rest. */
static void set_up(struct ev_loop *loop)
{
	struct settings *c = &app.config;
	bool as_root = geteuid() == 0;
	_cleanup_free_ char *db_path = NULL, *cert = NULL, *key = NULL;
	struct creds user;
	struct err err;
	int listen_fd;

	app.api.config = c;
	read_files(c);
	if (c->tls_cert[0]) {
		cert = secrets_read_pem(c->tls_cert, "tls_cert");
		key = secrets_read_pem(c->tls_key, "tls_key");
	}
	if (as_root && creds_find(c->user, &user, &err) < 0)
		fatal(EXIT_START, "user: %s", err.msg);
	listen_fd = open_port(c->listen);
	db_path = open_database_dir(c, as_root ? &user : NULL);
	allow_many_descriptors();
	/* Safe: from here on an attacker who takes over the process has one database, not the
	 * host. */
	if (as_root && creds_become(&user, NULL, 0, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	if (creds_drop_all_caps(&err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	open_store(db_path, as_root);
	app.api.live = live_new();
	app.api.events = events_new(units_now_wall_ms());
	app.api.pages = page_cache_new();
	app.upkeep = upkeep_start(loop, &app.api);
	app.api.throttle = throttle_new(c->login_attempts);
	app.http = http_start(loop, listen_fd, cert, key, &app.api, &err);
	if (key)
		mem_wipe(key, strlen(key));
	if (!app.http)
		fatal(EXIT_START, "%s%s", err.msg,
			cert ? " (do tls_cert and tls_key fit together?)" : "");
	/* Safe without: on a kernel without seccomp the process still has no capability. */
	if (filter_confine_self(FILTER_SUPERVISOR, &err) < 0)
		log_warn("dashboard", "%s", err.msg);
}

static void tear_down(void)
{
	http_stop(app.http);
	upkeep_stop(app.upkeep);
	events_free(app.api.events);
	live_free(app.api.live);
	page_cache_free(app.api.pages);
	dash_store_close(app.api.store);
	mem_wipe(app.api.secret, strlen(app.api.secret));
	mem_wipe(app.api.admin, strlen(app.api.admin));
	free(app.api.secret);
	free(app.api.admin);
	assets_free(app.api.assets);
	throttle_free(app.api.throttle);
	settings_free(&app.config);
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
		secrets_make(o.secrets_dir);
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
	ev_signal_init(&app.term, on_signal, SIGTERM);
	ev_signal_start(loop, &app.term);
	ev_signal_init(&app.intr, on_signal, SIGINT);
	ev_signal_start(loop, &app.intr);
	log_event(LOG_LEVEL_INFO, "dashboard", "started", LOG_WORD("version", PACKAGE_VERSION),
		LOG_WORD("listen", app.config.listen),
		LOG_WORD("scheme", app.config.tls_cert[0] ? "https" : "http"));
	ev_run(loop, 0);
	tear_down();
	return EXIT_OK;
}
