/* SPDX-License-Identifier: MIT */
/*
 * k6fleetd, the keeper: parent of the supervisor and of all workers.  It forks, reaps, hands
 * descriptors over and passes signals on.  It uses no network, parses nothing but its own
 * configuration file and fixed-size orders, and decides nothing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <jansson.h>
#include <libgen.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "common/chan.h"
#include "common/hb.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/sock.h"
#include "common/title.h"
#include "common/units.h"
#include "keeper/children.h"
#include "keeper/handover.h"
#include "keeper/notify.h"
#include "keeper/privs.h"
#include "keeper/probe.h"

#define DEFAULT_CONFIG SYSCONFDIR "/k6fleet/k6fleetd.conf"
#define SECRET_MAX 512
/* A supervisor that is silent for so long is as bad as a dead one. */
#define SUPERVISOR_SILENT_MS 5000
#define SUPERVISOR_STABLE_MS 10000
#define SUPERVISOR_DELAY_MAX_MS 10000
/* After the second TERM the supervisor has this long to end everything in order. */
#define STOP_NOW_MS 8000
/* Per worker the keeper and the supervisor hold one descriptor each; the rest is slack. */
#define FILES_SLACK 64

enum exit_status { EXIT_OK = 0, EXIT_START = 1, EXIT_USAGE = 2, EXIT_TAKEN = 3 };

struct keeper {
	struct conf *conf;
	struct sandbox sandbox;
	struct children children;
	struct handover handover;
	char k6_version[128];
	struct err no_cgroup; /* why there is none */
	int signal_fd;
	int socket_dir_fd; /* where the control socket lies, to remove it at the end */
	/* The supervisor: pid -1 when there is none at the moment. */
	pid_t sup_pid;
	int sup_chan;
	struct chan_queue sup_out;
	bool ever_seen; /* one has spoken: from then on a death is not a failed start */
	int64_t started_ms;
	int64_t sup_started_ms, sup_heard_ms, sup_restart_at_ms;
	int64_t sup_delay_ms;
	unsigned int sup_restarts;
	/* Stopping. */
	int stop_signals;
	int64_t stop_by_ms;
	bool quit;
	uint8_t *buf;
};

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
	"Signals: TERM and INT drain and stop (the second one at once).\n"
	"Exit: 0 asked to stop, 1 failed at start, 2 usage, 3 another k6fleetd owns the socket.\n";

struct options {
	const char *config, *socket, *workers, *log_format;
	bool test, verbose;
};

static struct options parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"workers", required_argument, NULL, 'n'},
		{"socket", required_argument, NULL, 's'},
		{"verbose", no_argument, NULL, 'v'},
		{"log-format", required_argument, NULL, 'F'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {0};
	int c;

	while ((c = getopt_long(argc, argv, "c:tn:s:vh", longopts, NULL)) != -1) {
		switch (c) {
		case 'c': o.config = optarg; break;
		case 't': o.test = true; break;
		case 'n': o.workers = optarg; break;
		case 's': o.socket = optarg; break;
		case 'v': o.verbose = true; break;
		case 'F': o.log_format = optarg; break;
		case 'V': printf("k6fleetd %s\n", PACKAGE_VERSION); exit(EXIT_OK);
		case 'h': fputs(usage, stdout); exit(EXIT_OK);
		default: fputs("Try 'k6fleetd --help'.\n", stderr); exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "k6fleetd: unexpected argument \"%s\"\nTry 'k6fleetd --help'.\n",
			argv[optind]);
		exit(EXIT_USAGE);
	}
	return o;
}

static struct conf *load_config(const struct options *o)
{
	const char *name = o->config ? o->config : DEFAULT_CONFIG;
	_cleanup_file_ FILE *f = fopen(name, "re");
	struct err err;
	struct conf *conf;

	if (!f && (o->config || errno != ENOENT))
		fatal(EXIT_START, "cannot read the configuration %s: %s", name, strerror(errno));
	conf = conf_load(f, name, &err);
	if (!conf)
		fatal(EXIT_START, "%s", err.msg);
	if (o->workers && conf_set(conf, "workers", o->workers, &err) < 0)
		fatal(EXIT_USAGE, "-n: %s", err.msg);
	if (o->log_format && conf_set(conf, "log_format", o->log_format, &err) < 0)
		fatal(EXIT_USAGE, "--log-format: %s", err.msg);
	if (o->socket) {
		_cleanup_free_ char *cwd = o->socket[0] == '/' ? NULL : getcwd(NULL, 0);
		_cleanup_free_ char *path =
			cwd ? x_asprintf("%s/%s", cwd, o->socket) : x_strdup(o->socket);

		if (conf_set(conf, "control_socket", path, &err) < 0)
			fatal(EXIT_USAGE, "-s: %s", err.msg);
	}
	if (o->verbose)
		conf->log_level = LOG_LEVEL_DEBUG;
	return conf;
}

/* mkdir -p; what is made belongs to `owner` where we are root. */
static int make_dirs(const char *path, mode_t mode, const struct creds *owner, struct err *err)
{
	_cleanup_free_ char *copy = x_strdup(path);

	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, c ? 0755 : mode) == 0) {
			if (!c && owner && chown(copy, owner->uid, owner->gid) < 0)
				return err_sys(err, errno, "cannot give %s to its user", copy);
		} else if (errno != EEXIST) {
			return err_sys(err, errno, "cannot make the directory %s", copy);
		}
		*p = c;
		if (!c)
			return 0;
	}
}

static void open_state_dir(struct keeper *k)
{
	const char *dir = k->conf->state_dir;
	bool locked = false;
	struct err err;
	int probe;

	if (make_dirs(dir, 0750, k->handover.as_root ? &k->handover.user : NULL, &err) < 0)
		fatal(EXIT_START, "state_dir: %s", err.msg);
	k->handover.state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->handover.state_fd < 0)
		fatal(EXIT_START, "cannot open the state directory %s: %s", dir, strerror(errno));
	/* Two daemons on one database would run everything twice.  The supervisor of one that was
	 * killed holds the lock, and the control socket, until its last thread is gone: worth a
	 * moment's patience. */
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

static void open_control_socket(struct keeper *k)
{
	const char *path = k->conf->control_socket;
	_cleanup_free_ char *copy = x_strdup(path);
	struct group *gr = NULL;
	struct err err;

	k->handover.control_gid = (gid_t)-1;
	if (k->conf->control_group[0]) {
		gr = getgrnam(k->conf->control_group);
		if (!gr)
			fatal(EXIT_START, "control_group: there is no group \"%s\"",
				k->conf->control_group);
		k->handover.control_gid = gr->gr_gid;
	} else if (k->handover.as_root) {
		k->handover.control_gid = k->handover.user.gid;
	}
	dirname(copy);
	if (make_dirs(copy, 0755, NULL, &err) < 0)
		fatal(EXIT_START, "control_socket: %s (choose another with -s or K6FLEET_SOCKET)",
			err.msg);
	k->handover.listen_fd = sock_listen(path, 0660, k->handover.control_gid, &err);
	if (k->handover.listen_fd < 0)
		fatal(errno == EADDRINUSE ? EXIT_TAKEN : EXIT_START,
			errno == EADDRINUSE
				? "%s; stop that k6fleetd first, or choose another socket with -s"
				: "%s",
			err.msg);
	/* Its path is of the host, which the keeper is about to leave. */
	k->socket_dir_fd = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The secret lies in a sealed memfd from here on: descriptors are closed in workers, memory
 * would be inherited by them. */
static int keep_secret(char *secret)
{
	struct err err;
	int fd = handover_seal("k6fleet-secret", secret, strlen(secret), &err);

	mem_wipe(secret, strlen(secret));
	if (fd < 0)
		fatal(EXIT_START, "%s", err.msg);
	return fd;
}

/* Certificates and the client's key are read now: their paths are of the host. */
static void keep_tls_files(struct keeper *k)
{
	const struct {
		const char *key, *path;
		int *fd;
	} files[] = {
		{"ca_file", k->conf->dashboard.ca_file, &k->handover.ca_fd},
		{"client_cert", k->conf->dashboard.client_cert, &k->handover.cert_fd},
		{"client_key", k->conf->dashboard.client_key, &k->handover.key_fd},
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		*files[i].fd = handover_keep_file(files[i].key, files[i].path, &err);
		if (*files[i].fd < 0 && err.msg[0])
			fatal(EXIT_START, "%s", err.msg);
	}
}

static void take_secret(struct keeper *k)
{
	const char *creds_dir = getenv("CREDENTIALS_DIRECTORY");
	const char *env = getenv("DASHBOARD_SECRET");
	char *secret = NULL;
	struct err err;

	k->handover.secret_fd = -1;
	if (k->conf->dashboard.url[0]) {
		_cleanup_free_ char *path =
			creds_dir ? x_asprintf("%s/dashboard-secret", creds_dir) : NULL;

		if (env && *env)
			secret = x_strdup(env);
		else if (path && access(path, F_OK) == 0) {
			if (creds_read_secret(path, SECRET_MAX, &secret, &err) < 0)
				fatal(EXIT_START, "%s", err.msg);
		} else if (k->conf->dashboard.secret_file[0]) {
			if (creds_read_secret(
				    k->conf->dashboard.secret_file, SECRET_MAX, &secret, &err) < 0)
				fatal(EXIT_START, "%s", err.msg);
		} else {
			fatal(EXIT_START,
				"dashboard.url is set but there is no secret: set dashboard.secret_file or "
				"DASHBOARD_SECRET (k6fleet-dashboard --make-secrets DIR makes one)");
		}
		if (strlen(secret) > SECRET_MAX || strpbrk(secret, "\r\n"))
			fatal(EXIT_START,
				"the dashboard's secret has a line break or over %d bytes",
				SECRET_MAX);
		k->handover.secret_fd = keep_secret(secret);
		free(secret);
	}
	title_forget_env("DASHBOARD_SECRET");
	/* Not ours, but a stack started from one .env file has it in the environment too. */
	title_forget_env("ADMIN_BASIC_AUTH");
}

/* Opened now, by root, and started by descriptor later: what lies at the path may change. */
static int open_supervisor(void)
{
	const char *dir = getenv("K6FLEET_LIBEXECDIR");
	_cleanup_free_ char *path = x_asprintf("%s/k6fleet-supervisor", dir ? dir : LIBEXECDIR);
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		fatal(EXIT_START, "cannot find %s: %s; is k6fleet completely installed?", path,
			strerror(errno));
	return fd;
}

static int open_k6(const struct conf *conf)
{
	int fd = open(conf->k6.binary, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		fatal(EXIT_START,
			"there is no k6 at %s (%s); install k6 (https://grafana.com/docs/k6/latest/set-up/install-k6/) "
			"or set k6.binary or K6_BINARY to where it is",
			conf->k6.binary, strerror(errno));
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		fatal(EXIT_START, "%s is not an executable file; set k6.binary or K6_BINARY",
			conf->k6.binary);
	return fd;
}

static void set_up(struct keeper *k, const struct options *o)
{
	struct cgroup cgroup;
	struct err err;
	int hb_fd, k6_fd;

	k->conf = load_config(o);
	log_init("k6fleetd", (enum log_level)k->conf->log_level, k->conf->log_format == 1);
	if (o->test) {
		conf_print(k->conf, false, stdout);
		exit(fflush(stdout) == 0 ? EXIT_OK : EXIT_START);
	}
	k->handover.conf = k->conf;
	k->handover.workers_option = o->workers;
	k->handover.as_root = creds_may_change();
	if (k->handover.as_root && creds_find(k->conf->user, &k->handover.user, &err) < 0)
		fatal(EXIT_START, "user: %s", err.msg);
	if (privs_raise_files((unsigned long)k->conf->max_workers + FILES_SLACK, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	notify_open();
	open_state_dir(k);
	open_control_socket(k);
	k6_fd = open_k6(k->conf);
	k->handover.exe_fd = open_supervisor();
	/* Now, so that no worker has to open anything to protect its tables from chosen keys. */
	json_object_seed(0);
	take_secret(k);
	keep_tls_files(k);
	k->handover.config_fd = handover_make_config(k->conf, &err);
	/* Before the host's root is left, with /sys in it. */
	if (k->conf->sandbox == CONF_SANDBOX_OFF)
		cgroup.base_fd = -1;
	else if (cgroup_open(&cgroup, &k->no_cgroup) < 0)
		cgroup.base_fd = -1;
	if (k->handover.config_fd < 0 || sandbox_prepare(k->conf, k6_fd, &k->sandbox, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	if (cgroup.base_fd >= 0)
		k->sandbox.layers |= SANDBOX_LAYER_CGROUP;
	if (sandbox_check_layers(&k->sandbox, k->conf, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	if (k->handover.as_root && privs_limit(&err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	if (probe_k6(&k->sandbox, k->conf, k6_fd, k->k6_version, sizeof(k->k6_version), &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	hb_fd = hb_create((unsigned int)k->conf->max_workers, &err);
	if (hb_fd < 0 || children_init(&k->children, k->conf, &k->sandbox, hb_fd, k6_fd, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	k->children.cgroup = cgroup;
	k->handover.hb_fd = hb_fd;
	k->buf = mem_unshared(MSG_MAX_BYTES);
	k->started_ms = units_now_mono_ms();
	k->sup_pid = -1;
	k->sup_chan = -1;
	chan_queue_init(&k->sup_out);
}

static void set_up_signals(struct keeper *k)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	k->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signal_fd < 0)
		fatal(EXIT_START, "signalfd: %s", strerror(errno));
}

static void drop_supervisor(struct keeper *k)
{
	close_fd(&k->sup_chan);
	chan_queue_clear(&k->sup_out);
}

static void kill_supervisor(struct keeper *k, const char *why)
{
	log_warn("supervisor", "killed pid=%d: %s", (int)k->sup_pid, why);
	if (k->sup_pid > 0)
		kill(k->sup_pid, SIGKILL);
	/* Deaf to it from now on; the rest happens when it is reaped. */
	drop_supervisor(k);
}

static void tell_supervisor(struct keeper *k, struct msg_writer *m, int fd)
{
	struct err err;

	if (k->sup_chan >= 0) {
		switch (chan_queue_send(&k->sup_out, k->sup_chan, m, fd, &err)) {
		case CHAN_OK:
		case CHAN_AGAIN: break;
		case CHAN_EOF: break; /* its death is reaped in a moment */
		case CHAN_ERROR: kill_supervisor(k, err.msg); break;
		}
	}
	msg_free(m);
}

static void tell_worker(struct keeper *k, unsigned int slot, bool fresh)
{
	const struct child *c = &k->children.slots[slot];
	struct msg_writer m = {0};

	msg_start(&m, MSG_KEEPER_WORKER);
	msg_put_u32(&m, slot);
	msg_put_u64(&m, c->generation);
	msg_put_u32(&m, (uint32_t)c->pid);
	msg_put_u64(&m, (uint64_t)c->started_mono_ms);
	msg_put_u8(&m, c->alive);
	msg_put_u32(&m, (uint32_t)c->wait_status);
	msg_put_u8(&m, fresh);
	tell_supervisor(k, &m, c->chan);
}

static void tell_signal(struct keeper *k, enum msg_signal what)
{
	struct msg_writer m = {0};

	msg_start(&m, MSG_KEEPER_SIGNAL);
	msg_put_u32(&m, what);
	tell_supervisor(k, &m, -1);
}

/* Everything that a supervisor needs to go on where the last one stopped. */
static void hand_over(struct keeper *k)
{
	struct msg_writer m = {0};

	msg_start(&m, MSG_KEEPER_HELLO);
	msg_put_u32(&m, MSG_PROTOCOL);
	msg_put_u32(&m, (uint32_t)k->conf->max_workers);
	msg_put_u32(&m, k->sup_restarts);
	msg_put_u32(&m, k->sandbox.level);
	msg_put_u32(&m, k->sandbox.layers);
	msg_put_u64(&m, (uint64_t)k->started_ms);
	msg_put_str(&m, k->k6_version);
	tell_supervisor(k, &m, -1);
	for (unsigned int i = 0; i < k->children.count; i++) {
		if (k->children.slots[i].used)
			tell_worker(k, i, false);
	}
	msg_start(&m, MSG_KEEPER_HANDED_OVER);
	tell_supervisor(k, &m, -1);
	if (k->stop_signals)
		tell_signal(k, k->stop_signals > 1 ? MSG_SIGNAL_NOW : MSG_SIGNAL_DRAIN);
}

static void start_supervisor(struct keeper *k)
{
	struct err err;
	int pair[2];

	k->sup_restart_at_ms = 0;
	k->sup_started_ms = k->sup_heard_ms = units_now_mono_ms();
	if (chan_pair(pair, &err) < 0)
		goto failed;
	k->sup_pid = handover_start(&k->handover, pair[1], &err);
	close(pair[1]);
	if (k->sup_pid < 0) {
		close(pair[0]);
		goto failed;
	}
	k->sup_chan = pair[0];
	hand_over(k);
	return;
failed:
	if (!k->ever_seen)
		fatal(EXIT_START, "%s", err.msg);
	log_error("supervisor", "cannot be started, trying again in 1 s: %s", err.msg);
	k->sup_restart_at_ms = units_now_mono_ms() + 1000;
}

static void describe_status(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(
			buf, size, "signal=%d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(buf, size, "exit=%d", WEXITSTATUS(status));
}

static void supervisor_died(struct keeper *k, int status)
{
	int64_t now = units_now_mono_ms(), lived = now - k->sup_started_ms;
	char how[64];

	drop_supervisor(k);
	k->sup_pid = -1;
	if (k->quit)
		return;
	describe_status(status, how, sizeof(how));
	/* Its own message has been printed: a daemon that cannot start must say so by its exit. */
	if (!k->ever_seen && WIFEXITED(status))
		exit(EXIT_START);
	if (lived >= SUPERVISOR_STABLE_MS)
		k->sup_delay_ms = 0;
	k->sup_restarts++;
	k->sup_restart_at_ms = now + k->sup_delay_ms;
	log_warn("supervisor", "died %s after_ms=%lld workers=%u kept; next start in %lld ms", how,
		(long long)lived, k->children.alive, (long long)k->sup_delay_ms);
	k->sup_delay_ms = k->sup_delay_ms ? k->sup_delay_ms * 2 : 100;
	if (k->sup_delay_ms > SUPERVISOR_DELAY_MAX_MS)
		k->sup_delay_ms = SUPERVISOR_DELAY_MAX_MS;
}

static void reap(struct keeper *k)
{
	int status, slot;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == k->sup_pid) {
			supervisor_died(k, status);
			continue;
		}
		slot = children_reaped(&k->children, pid, status);
		if (slot >= 0) {
			struct msg_writer m = {0};

			msg_start(&m, MSG_KEEPER_EXITED);
			msg_put_u32(&m, (uint32_t)slot);
			msg_put_u64(&m, k->children.slots[slot].generation);
			msg_put_u32(&m, (uint32_t)status);
			tell_supervisor(k, &m, -1);
		}
	}
}

/* Nonsense is never obeyed: the supervisor is replaced. */
static void order_spawn(struct keeper *k, struct msg_reader *in)
{
	uint32_t slot = msg_get_u32(in);
	uint64_t generation = msg_get_u64(in);
	struct err err;

	if (slot >= k->children.count || k->children.slots[slot].used || generation == 0) {
		kill_supervisor(k, "asked for a worker in a slot that does not exist or is taken");
		return;
	}
	if (children_spawn(&k->children, slot, generation, &err) == 0) {
		tell_worker(k, slot, true);
	} else {
		struct msg_writer m = {0};

		msg_start(&m, MSG_KEEPER_SPAWN_FAILED);
		msg_put_u32(&m, slot);
		msg_put_u64(&m, generation);
		msg_put_str(&m, err.msg);
		tell_supervisor(k, &m, -1);
	}
}

static void order_kill(struct keeper *k, struct msg_reader *in)
{
	uint32_t slot = msg_get_u32(in);
	uint64_t generation = msg_get_u64(in);
	uint32_t sig = msg_get_u32(in);
	struct child *c;

	if (slot >= k->children.count || (sig != SIGTERM && sig != SIGKILL)) {
		kill_supervisor(k, "asked for a kill that makes no sense");
		return;
	}
	/* One that has just ended, or been replaced, is not an error: the order crossed its exit. */
	c = children_find(&k->children, slot, generation);
	if (c && c->alive)
		kill(c->pid, (int)sig);
}

static void order_forget(struct keeper *k, struct msg_reader *in)
{
	uint32_t slot = msg_get_u32(in);
	uint64_t generation = msg_get_u64(in);
	struct child *c = children_find(&k->children, slot, generation);

	if (!c || c->alive) {
		kill_supervisor(k, "asked to forget a worker that lives or never was");
		return;
	}
	children_forget(&k->children, c);
}

static void tell_systemd(struct msg_reader *in)
{
	static const char *const dashboard[] = {
		"no dashboard", "dashboard ok", "dashboard unreachable"};
	uint32_t desired = msg_get_u32(in), running = msg_get_u32(in), busy = msg_get_u32(in);
	uint32_t state = msg_get_u32(in);

	notify_send("STATUS=%u/%u agents, %u running, %s", running, desired, busy,
		dashboard[state < ARRAY_SIZE(dashboard) ? state : 0]);
}

/* Once, when everything has come up. */
static void announce(const struct keeper *k)
{
	const struct sandbox *sb = &k->sandbox;
	char landlock[16] = "no";

	log_info("k6fleetd", "started version=%s pid=%d socket=%s sandbox=%s k6=\"%s\"",
		PACKAGE_VERSION, (int)getpid(), k->conf->control_socket,
		sandbox_level_name(sb->level), k->k6_version);
	if (sb->layers & SANDBOX_LAYER_LANDLOCK)
		snprintf(landlock, sizeof(landlock), "ABI-%d", sb->landlock);
	log_info("sandbox", "level=%s seccomp=%s landlock=%s cgroup=%s%s%s%s",
		sandbox_level_name(sb->level), sb->layers & SANDBOX_LAYER_SECCOMP ? "yes" : "no",
		landlock, sb->layers & SANDBOX_LAYER_CGROUP ? "yes" : "no",
		k->no_cgroup.msg[0] ? " (" : "", k->no_cgroup.msg, k->no_cgroup.msg[0] ? ")" : "");
}

static void handle_order(struct keeper *k, size_t len)
{
	struct msg_reader in;
	struct err err;

	k->sup_heard_ms = units_now_mono_ms();
	switch (msg_open(&in, k->buf, len, MSG_TO_KEEPER, &err)) {
	case MSG_KEEP_SPAWN: order_spawn(k, &in); break;
	case MSG_KEEP_KILL: order_kill(k, &in); break;
	case MSG_KEEP_FORGET: order_forget(k, &in); break;
	case MSG_KEEP_READY: notify_send("READY=1"); break;
	case MSG_KEEP_PING:
		if (!k->ever_seen)
			announce(k);
		k->ever_seen = true;
		notify_send("WATCHDOG=1");
		break;
	case MSG_KEEP_STATUS: tell_systemd(&in); break;
	case MSG_KEEP_QUIT: k->quit = true; break;
	default: kill_supervisor(k, err.msg); break;
	}
}

static void read_orders(struct keeper *k)
{
	struct err err;
	size_t len;
	int fd;

	while (k->sup_chan >= 0 && !k->quit) {
		enum chan_result res = chan_recv(k->sup_chan, k->buf, &len, &fd, false, &err);

		if (res == CHAN_AGAIN)
			return;
		if (res == CHAN_EOF) {
			drop_supervisor(k);
			return;
		}
		if (fd >= 0)
			close(fd);
		if (res == CHAN_ERROR) {
			kill_supervisor(k, err.msg);
			return;
		}
		handle_order(k, len);
	}
}

static void on_stop_signal(struct keeper *k)
{
	k->stop_signals++;
	notify_send("STOPPING=1");
	if (k->stop_signals == 1) {
		log_info("k6fleetd", "stopping: draining workers=%u, a second signal stops at once",
			k->children.alive);
		tell_signal(k, MSG_SIGNAL_DRAIN);
	} else {
		log_info("k6fleetd", "stopping at once workers=%u", k->children.alive);
		k->stop_by_ms = units_now_mono_ms() + STOP_NOW_MS;
		tell_signal(k, MSG_SIGNAL_NOW);
	}
}

static void read_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT: on_stop_signal(k); break;
		case SIGHUP:
		case SIGUSR2:
			log_warn("k6fleetd",
				"signal %u does nothing yet; restart k6fleetd to change its "
				"configuration or binary",
				info.ssi_signo);
			break;
		default: break;
		}
	}
	reap(k);
}

/* Milliseconds until the keeper has to do something of its own accord, or -1. */
static int64_t next_deadline(const struct keeper *k, int64_t now)
{
	int64_t at = INT64_MAX;

	if (k->sup_restart_at_ms && k->sup_restart_at_ms < at)
		at = k->sup_restart_at_ms;
	if (k->sup_chan >= 0 && k->sup_heard_ms + SUPERVISOR_SILENT_MS < at)
		at = k->sup_heard_ms + SUPERVISOR_SILENT_MS;
	if (k->stop_by_ms && k->stop_by_ms < at)
		at = k->stop_by_ms;
	if (at == INT64_MAX)
		return -1;
	return at > now ? at - now : 0;
}

static void check_deadlines(struct keeper *k)
{
	int64_t now = units_now_mono_ms();

	if (k->sup_restart_at_ms && now >= k->sup_restart_at_ms)
		start_supervisor(k);
	if (k->sup_chan >= 0 && now >= k->sup_heard_ms + SUPERVISOR_SILENT_MS)
		kill_supervisor(k, "silent for 5 s");
	if (k->stop_by_ms && now >= k->stop_by_ms) {
		log_warn("k6fleetd", "the supervisor did not end in time");
		k->quit = true;
	}
}

static void loop(struct keeper *k)
{
	while (!k->quit) {
		int64_t wait_ms = next_deadline(k, units_now_mono_ms());
		struct timespec ts = {wait_ms / 1000, (wait_ms % 1000) * 1000000};
		struct pollfd fds[2] = {
			{.fd = k->signal_fd, .events = POLLIN},
			{.fd = k->sup_chan,
				.events = (short)(POLLIN | (k->sup_out.head ? POLLOUT : 0))},
		};

		if (ppoll(fds, ARRAY_SIZE(fds), wait_ms < 0 ? NULL : &ts, NULL) < 0 &&
			errno != EINTR)
			fatal(EXIT_START, "ppoll: %s", strerror(errno));
		if (fds[1].revents & POLLOUT)
			chan_queue_flush(&k->sup_out, k->sup_chan, NULL);
		/* Orders before exits: a worker asked for in this very moment must be found. */
		if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
			read_orders(k);
		if (fds[0].revents)
			read_signals(k);
		check_deadlines(k);
	}
}

static void end_all(struct keeper *k)
{
	int status;

	if (k->sup_pid > 0 && k->stop_by_ms && units_now_mono_ms() >= k->stop_by_ms)
		kill(k->sup_pid, SIGKILL);
	children_kill_all(&k->children);
	close_fd(&k->sup_chan);
	/* The supervisor commits what it has and goes; workers are dead already. */
	while (waitpid(-1, &status, 0) > 0 || errno == EINTR)
		;
	/* Without CAP_DAC_OVERRIDE this needs a directory of our own, which /run/k6fleet is. */
	unlinkat(k->socket_dir_fd, basename(k->conf->control_socket), 0);
	children_free(&k->children);
	conf_free(k->conf);
}

int main(int argc, char **argv)
{
	struct keeper k = {.signal_fd = -1};
	struct options o;

	title_init(argc, argv);
	/* Here, because it touches the whole heap: what a worker needs for one run only (log, result)
	 * goes back to the kernel with free(). */
	mallopt(M_MMAP_THRESHOLD, 8192);
	log_init("k6fleetd", LOG_LEVEL_INFO, false);
	o = parse_options(argc, argv);
	umask(022);
	set_up(&k, &o);
	set_up_signals(&k);
	/* Also overwrites the environment's original bytes, the secret's among them, before the
	 * first fork of a worker. */
	title_set("k6fleetd", "k6fleetd: keeper");
	start_supervisor(&k);
	loop(&k);
	end_all(&k);
	log_info("k6fleetd", "stopped");
	return EXIT_OK;
}
