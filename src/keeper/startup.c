/* SPDX-License-Identifier: MIT */
/* From a process with all rights of root to a keeper with five capabilities.  The order matters:
 * whatever needs the host's files or a privilege comes before these are given up, and the secret
 * is wiped before any fork. */
#include "config.h"

#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/args.h"
#include "common/fdio.h"
#include "common/hb.h"
#include "common/hostfs.h"
#include "common/journal.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/sock.h"
#include "common/title.h"
#include "common/units.h"
#include "keeper/memory.h"
#include "keeper/notify.h"
#include "keeper/privs.h"
#include "keeper/k6.h"
#include "keeper/probe.h"
#include "keeper/upgrade.h"
#include "keeper/upgrade_resume.h"

#define DEFAULT_CONFIG SYSCONFDIR "/k6fleet/k6fleetd.conf"
static const char usage[] =
	"usage: k6fleetd [-c FILE] [-t] [-n N] [-s SOCKET] [-v] [--log-format text|json]\n"
	"\n"
	"Keeps a fleet of k6 load-test agents running on this host. Stays in the foreground.\n"
	"\n"
	"  -c, --config FILE       configuration (default " DEFAULT_CONFIG ")\n"
	"  -t, --test              check the configuration, print the effective one, exit\n"
	"  -n, --workers N         workers to start with; beats file, environment and saved count\n"
	"  -s, --socket SOCKET     control socket\n"
	"  -v, --verbose           log at level debug\n"
	"      --log-format FORMAT text or json\n"
	"      --version           print the version and exit\n"
	"  -h, --help              print this and exit\n"
	"\n"
	"Signals: TERM and INT drain and stop (the second one at once), HUP reads the configuration\n"
	"again, USR2 lets the binary on disk take over with all workers.\n"
	"Exit: 0 asked to stop, 1 failed at start, 2 usage, 3 another k6fleetd owns the socket,\n"
	"75 drained in order to be started anew with a new binary.\n";

static int parse_take_over(const char *text)
{
	int64_t fd;

	if (units_parse_int(text, &fd, NULL) < 0 || fd < 3 || fd > INT_MAX)
		fatal(EXIT_USAGE, "--take-over is for k6fleetd itself, not for the command line");
	return (int)fd;
}

static struct files_options parse_options(int argc, char **argv, int *take_over)
{
	static const struct option longopts[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"workers", required_argument, NULL, 'n'},
		{"socket", required_argument, NULL, 's'},
		{"verbose", no_argument, NULL, 'v'},
		{"log-format", required_argument, NULL, 'F'},
		{"check-handover", required_argument, NULL, 'H'},
		{"take-over", required_argument, NULL, 'T'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct files_options o = {0};
	const char *config = NULL;
	_cleanup_free_ char *cwd = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "c:tn:s:vh", longopts, NULL)) != -1) {
		switch (c) {
		case 'c': config = optarg; break;
		case 't': o.test = true; break;
		case 'n': o.workers = optarg; break;
		case 's': o.socket = optarg; break;
		case 'v': o.verbose = true; break;
		case 'F': o.log_format = optarg; break;
		case 'H': exit(upgrade_check(optarg) == 0 ? EXIT_OK : EXIT_START);
		case 'T': *take_over = parse_take_over(optarg); break;
		default: args_end(c, "k6fleetd", usage);
		}
	}
	args_none_left(argc, argv, "k6fleetd");
	o.config_named = config != NULL;
	if (!config)
		config = DEFAULT_CONFIG;
	/* Absolute: a reload reads it again, when the keeper has another working directory and
	 * root. */
	cwd = config[0] == '/' ? NULL : getcwd(NULL, 0);
	o.config = cwd ? x_asprintf("%s/%s", cwd, config) : x_strdup(config);
	return o;
}

static void open_state_dir(struct keeper *k)
{
	const char *dir = k->conf->state_dir;
	const struct creds *owner = k->handover.as_root ? &k->handover.user : NULL;
	bool locked = false;
	struct err err;
	int probe;

	if (fdio_mkdir_parents(dir, 0750, owner ? owner->uid : (uid_t)-1,
		    owner ? owner->gid : (gid_t)-1, &err) < 0)
		fatal(EXIT_START, "state_dir: %s", err.msg);
	k->handover.state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->handover.state_fd < 0)
		fatal(EXIT_START, "cannot open the state directory %s: %s", dir, strerror(errno));
	/* Two supervisors on one database would run everything twice.  When a k6fleetd was killed,
	 * its supervisor holds the lock and the control socket until its last thread has ended:
	 * so wait up to 2 s. */
	for (int i = 0;
		(locked = flock(k->handover.state_fd, LOCK_EX | LOCK_NB) == 0) == false && i < 20;
		i++)
		usleep(100000);
	if (locked)
		return;
	probe = sock_connect(k->conf->control_socket, NULL);
	if (probe >= 0)
		fatal(EXIT_TAKEN,
			"%s is in use: another daemon answers there; stop that k6fleetd first, or give "
			"this one another control_socket and another state_dir",
			k->conf->control_socket);
	fatal(EXIT_START,
		"another k6fleetd uses the state directory %s; stop it or choose another state_dir",
		dir);
}

/* Returns -1 if name is "". */
static gid_t find_group(const char *key, const char *name)
{
	const struct group *gr = name[0] ? getgrnam(name) : NULL;

	if (name[0] && !gr)
		fatal(EXIT_START,
			"%s: there is no group \"%s\"; make it with: groupadd --system %s", key,
			name, name);
	return gr ? gr->gr_gid : (gid_t)-1;
}

static void open_control_socket(struct keeper *k)
{
	const char *path = k->conf->control_socket;
	_cleanup_free_ char *copy = x_strdup(path);
	struct err err;

	k->handover.control_gid = find_group("control_group", k->conf->control_group);
	k->handover.read_gid = find_group("control_read_group", k->conf->control_read_group);
	if (!k->conf->control_group[0] && k->handover.as_root)
		k->handover.control_gid = k->handover.user.gid;
	dirname(copy);
	if (fdio_mkdir_parents(copy, 0755, (uid_t)-1, (gid_t)-1, &err) < 0)
		fatal(EXIT_START, "control_socket: %s (choose another with -s or K6FLEET_SOCKET)",
			err.msg);
	k->handover.listen_fd =
		sock_listen(path, 0660, k->handover.control_gid, k->handover.read_gid, &err);
	if (k->handover.listen_fd < 0)
		fatal(errno == EADDRINUSE ? EXIT_TAKEN : EXIT_START,
			errno == EADDRINUSE
				? "%s; stop that k6fleetd first, or choose another socket with -s"
				: "%s",
			err.msg);
	/* The path of the socket leads nowhere once the keeper has left the host's root. */
	k->socket_dir_fd = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The binary is opened now, by root, and executed by its descriptor later: the file at the path
 * may change. */
static int open_supervisor(struct keeper *k)
{
	const char *dir = getenv("K6FLEET_LIBEXECDIR");
	_cleanup_free_ char *path = x_asprintf("%s/k6fleet-supervisor", dir ? dir : LIBEXECDIR);
	_cleanup_free_ char *real = realpath(dir ? dir : LIBEXECDIR, NULL);
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		fatal(EXIT_START, "cannot find %s: %s; is k6fleet completely installed?", path,
			strerror(errno));
	k->sup_path = x_asprintf("%s/k6fleet-supervisor", real ? real : LIBEXECDIR);
	return fd;
}

/* Returns the path of this program, where a hand-over will look for a newer one. */
static char *startup_own_path(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	return x_strdup(path);
}

/* A port that is in use costs the metrics, not the fleet. */
static int open_metrics(const struct conf *conf, struct err *why)
{
	return conf->metrics_listen[0] ? sock_listen_tcp(conf->metrics_listen, why) : -1;
}

/* Also for an image that took over from another one. */
static void make_loop_parts(struct keeper *k)
{
	k->buf = mem_unshared(MSG_MAX_BYTES);
	k->sup_pid = -1;
	k->sup_chan = -1;
	k->upgrade = (struct upgrade){.exe_fd = -1, .sup_fd = -1, .out_fd = -1};
	chan_queue_init(&k->sup_out);
}

/* k6 has a package of its own, which may be installed later: the fleet waits for it.  If the
 * configuration names another path, a missing k6 is an error. */
static void go_on_without_k6(struct keeper *k, struct k6bin *k6, const struct err *why)
{
	if (!k6_is_optional(k->conf))
		fatal(EXIT_START, "%s", why->msg);
	k->no_k6 = *why;
	*k6 = (struct k6bin){.fd = -1};
}

static void load_config(struct keeper *k)
{
	bool usage_error;
	struct err err;

	k->conf = files_load_config(&k->options, &usage_error, &err);
	if (!k->conf)
		fatal(usage_error ? EXIT_USAGE : EXIT_START, "%s", err.msg);
	log_init("k6fleetd", (enum log_level)k->conf->log_level, k->conf->log_format == 1);
	if (k->options.test) {
		conf_print(k->conf, false, stdout);
		exit(fflush(stdout) == 0 ? EXIT_OK : EXIT_START);
	}
	k->handover.conf = k->conf;
	k->handover.workers_option = k->options.workers != NULL;
	k->handover.as_root = creds_may_change();
	if (k->handover.as_root && creds_find(k->conf->user, &k->handover.user, &err) < 0)
		fatal(EXIT_START, "user: %s", err.msg);
}

/* Opens all files and sockets that are found by a name. */
static void open_host(struct keeper *k, struct k6bin *k6)
{
	struct err err;

	k->exe_path = startup_own_path();
	if (privs_raise_files((unsigned long)k->conf->max_workers + FILES_SLACK, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	notify_open();
	log_use_journal(journal_open());
	open_state_dir(k);
	open_control_socket(k);
	if (k6_find(k->conf, false, k6, &err) < 0)
		go_on_without_k6(k, k6, &err);
	k->handover.exe_fd = open_supervisor(k);
	upgrade_note_binaries(k);
	k->handover.metrics_fd = open_metrics(k->conf, &k->no_metrics);
	if (files_keep(k->conf, NULL, &k->handover.kept, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	k->handover.config_fd = handover_make_config(k->conf, &err);
	if (k->handover.config_fd < 0)
		fatal(EXIT_START, "%s", err.msg);
	/* Before the keeper leaves the host's root, with its /proc and /sys. */
	k->memory_bytes = memory_available();
}

/* Leaves the host's root and gives up all privileges that workers do not need. */
static void enter_sandbox(struct keeper *k, struct k6bin *k6, struct cgroup *cgroup)
{
	struct err err;

	if (k->conf->sandbox == CONF_SANDBOX_OFF || cgroup_open(cgroup, &k->no_cgroup) < 0)
		cgroup->base_fd = -1;
	if (sandbox_prepare(k->conf, k6->fd, &k->sandbox, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	/* `sandbox = try` may have ended without one: the agents have the host's root then. */
	k6->by_fd = k->sandbox.level == SANDBOX_OFF;
	if (cgroup->base_fd >= 0)
		k->sandbox.layers |= SANDBOX_LAYER_CGROUP;
	if (sandbox_check_layers(&k->sandbox, k->conf, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	/* Also for an ordinary user, whose keeper has all capabilities in its own user
	 * namespace. */
	if (privs_limit(&err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	if (k6->fd >= 0 && probe_k6(&k->sandbox, k->conf, k6, k->k6_version, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
}

void keeper_startup(struct keeper *k, int argc, char **argv)
{
	struct children_config children = {.lifeline = {-1, -1}};
	struct err err;
	int take_over = -1;

	k->options = parse_options(argc, argv, &take_over);
	if (take_over >= 0) {
		upgrade_resume(k, take_over);
		make_loop_parts(k);
		return;
	}
	load_config(k);
	/* The seed of jansson's hash tables: taken here once, so that no worker has to open
	 * /dev/urandom. */
	json_object_seed(0);
	open_host(k, &children.k6);
	enter_sandbox(k, &children.k6, &children.cgroup);
	children.conf = k->conf;
	children.sandbox = &k->sandbox;
	children.hb_fd = k->handover.hb_fd = hb_create(LIMIT_WORKERS, &err);
	if (children.hb_fd < 0 || children_init(&k->children, &children, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	k->started_ms = units_now_mono_ms();
	k->clock_offset_ms = units_now_wall_ms() - k->started_ms;
	make_loop_parts(k);
}
