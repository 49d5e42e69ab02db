/* SPDX-License-Identifier: MIT */
/* execve(2) keeps pid, children and descriptors; kernel-side nothing else has to be moved.  The
 * state goes through a sealed memfd as JSON: a format that an older and a newer image can share. */
#include "config.h"

#include "keeper/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/hostfs.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/units.h"
#include "keeper/notify.h"
#include "keeper/privs.h"
#include "keeper/reload.h"
#include "keeper/supervisor_link.h"

#define CHECK_TIMEOUT_MS 5000
/* The old supervisor has this long to commit what it has. */
#define GOODBYE_MS 5000
/* Some 100 bytes a worker, thousands of workers. */
#define STATE_MAX_BYTES (64 * 1024 * 1024)

extern char **environ;

int upgrade_check(const char *format)
{
	char own[16];

	snprintf(own, sizeof(own), "%d", UPGRADE_FORMAT);
	if (!strcmp(format, own))
		return 0;
	fprintf(stderr, "k6fleetd %s takes over from format %s, not \"%s\"\n", PACKAGE_VERSION, own,
		format);
	return -1;
}

void upgrade_note_binaries(struct keeper *k)
{
	_cleanup_fd_ int exe = hostfs_open(k->exe_path, O_PATH);
	_cleanup_fd_ int sup = hostfs_open(k->sup_path, O_PATH);

	if (exe >= 0)
		fstat(exe, &k->exe_stat);
	if (sup >= 0)
		fstat(sup, &k->sup_stat);
}

static bool same_file(int fd, const struct stat *known)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == known->st_dev && st.st_ino == known->st_ino &&
		st.st_size == known->st_size && st.st_mtim.tv_sec == known->st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == known->st_mtim.tv_nsec;
}

bool upgrade_is_due(const struct keeper *k)
{
	_cleanup_fd_ int exe = hostfs_open(k->exe_path, O_PATH);
	_cleanup_fd_ int sup = hostfs_open(k->sup_path, O_PATH);

	/* What is not there is in the middle of being installed: not yet. */
	return exe >= 0 && sup >= 0 &&
		(!same_file(exe, &k->exe_stat) || !same_file(sup, &k->sup_stat));
}

/* --- asking the new binaries ---------------------------------------------------- */

_Noreturn static void ask(
	const struct keeper *k, int exe, int out, const char *name, const char *format)
{
	char *const argv[] = {x_strdup(name), x_strdup("--check-handover"), x_strdup(format), NULL};
	struct err err;
	sigset_t none;

	if (dup2(out, 1) < 0 || dup2(out, 2) < 0 || dup2(exe, 3) < 0)
		_exit(127);
	/* Not close-on-exec: a script's interpreter has to find it, execveat(2). */
	fdio_close_range(4, ~0U, false);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Safe: it runs without a privilege, and all that is believed of it is its exit status. */
	if ((k->handover.as_root && creds_become(&k->handover.user, NULL, 0, &err) < 0) ||
		creds_drop_all_caps(&err) < 0) {
		dprintf(2, "%s", err.msg);
		_exit(127);
	}
	syscall(SYS_execveat, 3, "", argv, environ, AT_EMPTY_PATH);
	dprintf(2, "it cannot be executed: %s", strerror(errno));
	_exit(127);
}

/* Asks one of the two, without waiting. */
static int start_check(struct keeper *k, int exe, const char *name, int format, struct err *err)
{
	struct upgrade *u = &k->upgrade;
	char text[16];
	int pipefd[2];

	snprintf(text, sizeof(text), "%d", format);
	if (pipe2(pipefd, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	u->check_pid = fork();
	if (u->check_pid == 0)
		ask(k, exe, pipefd[1], name, text);
	close(pipefd[1]);
	close_fd(&u->out_fd);
	u->out_fd = pipefd[0];
	if (u->check_pid < 0) {
		u->check_pid = 0;
		return err_sys(err, errno, "cannot fork");
	}
	u->deadline_ms = units_now_mono_ms() + CHECK_TIMEOUT_MS;
	return 0;
}

static void forget(struct keeper *k)
{
	struct upgrade *u = &k->upgrade;

	close_fd(&u->exe_fd);
	close_fd(&u->sup_fd);
	close_fd(&u->out_fd);
	*u = (struct upgrade){.exe_fd = -1, .sup_fd = -1, .out_fd = -1};
}

/* A service manager starts us anew, with the new binary; without one going on is all there is. */
static void fall_back(struct keeper *k, const char *why)
{
	uint64_t asker = k->upgrade.asker;
	char text[ERR_MAX];

	forget(k);
	if (notify_is_open() && !k->stop_signals) {
		snprintf(text, sizeof(text),
			"the binary on disk cannot take over (%s): draining, then k6fleetd ends to be "
			"started anew by its service manager",
			why);
		log_error("upgrade", "%s", text);
		keeper_reload_refuse(k, asker, text);
		k->exit_status = EXIT_RESTART;
		supervisor_link_stop(k);
		return;
	}
	snprintf(text, sizeof(text),
		"the binary on disk cannot take over (%s): version %s goes on; mend the installation "
		"and try again, or drain and restart k6fleetd (k6fleetctl stop, then start it)",
		why, PACKAGE_VERSION);
	log_error("upgrade", "%s", text);
	keeper_reload_refuse(k, asker, text);
	notify_send("READY=1");
}

void upgrade_begin(struct keeper *k, uint64_t asker)
{
	struct upgrade *u = &k->upgrade;
	struct err err;

	if (u->under_way || k->stop_signals) {
		keeper_reload_refuse(k, asker,
			k->stop_signals ? "k6fleetd is stopping" : "a hand-over is under way");
		return;
	}
	u->under_way = true;
	u->asker = asker;
	u->exe_fd = hostfs_open(k->exe_path, O_PATH);
	u->sup_fd = hostfs_open(k->sup_path, O_PATH);
	if (u->exe_fd < 0 || u->sup_fd < 0) {
		err_sys(&err, errno, "cannot find %s", u->exe_fd < 0 ? k->exe_path : k->sup_path);
		fall_back(k, err.msg);
		return;
	}
	log_event(LOG_LEVEL_INFO, "upgrade", "asking the new binaries whether they can take over",
		LOG_WORD("binary", k->exe_path), LOG_INT("workers", k->children.alive));
	u->asking_supervisor = true;
	if (start_check(k, u->sup_fd, "k6fleet-supervisor", MSG_PROTOCOL, &err) < 0)
		fall_back(k, err.msg);
}

static void say_goodbye(struct keeper *k)
{
	k->upgrade.goodbye = true;
	k->upgrade.deadline_ms = units_now_mono_ms() + GOODBYE_MS;
	if (k->sup_pid <= 0) {
		upgrade_supervisor_gone(k);
		return;
	}
	supervisor_link_tell_signal(k, MSG_SIGNAL_HAND_OVER);
}

bool upgrade_reaped(struct keeper *k, pid_t pid, int status)
{
	struct upgrade *u = &k->upgrade;
	char said[256] = "", why[400];
	struct err err;
	ssize_t n;

	if (!u->check_pid || pid != u->check_pid)
		return false;
	u->check_pid = 0;
	n = read(u->out_fd, said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		snprintf(why, sizeof(why), "%s --check-handover: %s%s",
			u->asking_supervisor ? k->sup_path : k->exe_path,
			said[0]                     ? said
				: WIFEXITED(status) ? "refused"
						    : "killed by a signal",
			u->timed_out ? " (no answer in time)" : "");
		fall_back(k, why);
	} else if (u->asking_supervisor) {
		u->asking_supervisor = false;
		if (start_check(k, u->exe_fd, "k6fleetd", UPGRADE_FORMAT, &err) < 0)
			fall_back(k, err.msg);
	} else {
		say_goodbye(k);
	}
	return true;
}

int64_t upgrade_deadline(const struct keeper *k)
{
	return k->upgrade.under_way ? k->upgrade.deadline_ms : INT64_MAX;
}

void upgrade_tick(struct keeper *k, int64_t now)
{
	struct upgrade *u = &k->upgrade;

	if (!u->under_way || now < u->deadline_ms)
		return;
	u->deadline_ms = INT64_MAX;
	if (u->check_pid) {
		u->timed_out = true;
		kill(u->check_pid, SIGKILL);
	} else if (u->goodbye && k->sup_pid > 0) {
		/* Safe: what it had not committed lies unread in the workers' sockets. */
		kill(k->sup_pid, SIGKILL);
	}
}

/* --- leaving everything to the next image ----------------------------------------- */

static json_t *children_state(const struct children *c)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < c->high; i++) {
		const struct child *ch = &c->slots[i];

		if (ch->used)
			json_array_append_new(list,
				json_pack("[i, i, I, I, b, i, i, i, i]", (int)i, (int)ch->pid,
					(json_int_t)ch->generation, (json_int_t)ch->started_mono_ms,
					ch->alive, ch->wait_status, (int)ch->restarts,
					(int)ch->epoch, ch->chan));
	}
	return list;
}

static json_t *fds_state(const struct keeper *k)
{
	const struct handover *h = &k->handover;

	return json_pack(
		"{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
		"listen", h->listen_fd, "heartbeats", h->hb_fd, "config", h->config_fd, "state",
		h->state_fd, "metrics", h->metrics_fd, "secret", h->kept.secret_fd, "ca",
		h->kept.ca_fd, "cert", h->kept.cert_fd, "key", h->kept.key_fd, "socketDir",
		k->socket_dir_fd, "lifelineRead", k->children.lifeline[0], "lifelineWrite",
		k->children.lifeline[1], "cgroup", k->children.cgroup.base_fd, "k6",
		k->children.k6.fd, "host", hostfs_fd(), "notify", notify_fd(), "journal",
		log_journal_fd());
}

static json_t *state_to_json(const struct keeper *k)
{
	const struct sandbox *sb = &k->sandbox;
	const struct files_options *o = &k->options;
	json_t *state = json_object();

	json_object_set_new(state, "format", json_integer(UPGRADE_FORMAT));
	json_object_set_new(state, "version", json_string(PACKAGE_VERSION));
	json_object_set_new(state, "options",
		json_pack("{s:s, s:b, s:s?, s:s?, s:s?, s:b}", "config", o->config, "configNamed",
			o->config_named, "socket", o->socket, "workers", o->workers, "logFormat",
			o->log_format, "verbose", o->verbose));
	json_object_set_new(state, "paths",
		json_pack("{s:s, s:s}", "keeper", k->exe_path, "supervisor", k->sup_path));
	json_object_set_new(state, "sandbox",
		json_pack("{s:i, s:i, s:b, s:b, s:i, s:I, s:I}", "level", sb->level, "layers",
			(int)sb->layers, "asRoot", sb->as_root, "userNamespaces",
			sb->user_namespaces, "landlock", sb->landlock, "uid",
			(json_int_t)sb->agent.uid, "gid", (json_int_t)sb->agent.gid));
	json_object_set_new(state, "supervisor",
		json_pack("{s:b, s:I, s:I, s:I, s:I, s:i}", "asRoot", k->handover.as_root, "uid",
			(json_int_t)k->handover.user.uid, "gid", (json_int_t)k->handover.user.gid,
			"controlGid", (json_int_t)k->handover.control_gid, "readGid",
			(json_int_t)k->handover.read_gid, "restarts", (int)k->sup_restarts));
	json_object_set_new(state, "keeper",
		json_pack("{s:s, s:I, s:I, s:I, s:i, s:b}", "k6Version", k->k6_version,
			"memoryBytes", (json_int_t)k->memory_bytes, "startedMs",
			(json_int_t)k->started_ms, "clockOffsetMs", (json_int_t)k->clock_offset_ms,
			"epoch", (int)k->children.epoch, "cgroupCpu", k->children.cgroup.cpu));
	json_object_set_new(state, "k6",
		json_pack("[b, I, I, I, I, I]", k->children.k6.by_fd,
			(json_int_t)k->children.k6.dev, (json_int_t)k->children.k6.inode,
			(json_int_t)k->children.k6.size, (json_int_t)k->children.k6.modified.tv_sec,
			(json_int_t)k->children.k6.modified.tv_nsec));
	json_object_set_new(state, "fds", fds_state(k));
	json_object_set_new(state, "children", children_state(&k->children));
	return state;
}

/* All that is in the state survives the execve(), or, should that fail, does not the next fork's. */
static void set_inherited(const json_t *state, bool inherited)
{
	json_t *value;
	const char *key;
	size_t i;

	json_object_foreach (json_object_get(state, "fds"), key, value) {
		if (json_integer_value(value) >= 0)
			fcntl((int)json_integer_value(value), F_SETFD, inherited ? 0 : FD_CLOEXEC);
	}
	json_array_foreach (json_object_get(state, "children"), i, value)
		fcntl((int)json_integer_value(json_array_get(value, 8)), F_SETFD,
			inherited ? 0 : FD_CLOEXEC);
}

static void execute(struct keeper *k, struct err *err)
{
	_cleanup_json_ json_t *state = state_to_json(k);
	_cleanup_free_ char *text = json_compact(state);
	_cleanup_fd_ int fd = fdio_seal("k6fleet-handover", text, strlen(text), err);
	char number[16];

	if (fd < 0)
		return;
	snprintf(number, sizeof(number), "%d", fd);
	char *const argv[] = {x_strdup("k6fleetd"), x_strdup("--take-over"), number, NULL};

	fcntl(fd, F_SETFD, 0);
	set_inherited(state, true);
	if (privs_pass_on(err) == 0) {
		/* Safe: root's own binary, the one that was asked, by descriptor; it gets no more
		 * than this image has, which is five capabilities. */
		syscall(SYS_execveat, k->upgrade.exe_fd, "", argv, environ, AT_EMPTY_PATH);
		err_sys(err, errno, "cannot execute %s", k->exe_path);
	}
	set_inherited(state, false);
	if (privs_limit(&(struct err){0}) < 0)
		log_error("upgrade", "cannot take the ambient capabilities back");
	free(argv[0]);
	free(argv[1]);
}

void upgrade_supervisor_gone(struct keeper *k)
{
	struct err err = {0};

	if (!k->upgrade.goodbye)
		return;
	if (!k->stop_signals) {
		log_event(LOG_LEVEL_INFO, "upgrade", "handing over",
			LOG_WORD("binary", k->exe_path), LOG_INT("workers", k->children.alive));
		execute(k, &err);
		log_event(LOG_LEVEL_ERROR, "upgrade", "failed, this version goes on",
			LOG_WORD("version", PACKAGE_VERSION), LOG_ERROR(err.msg));
	}
	forget(k);
}

/* --- in the next image ----------------------------------------------------------------- */

/* -1: the last image had none. */
static int get_fd(const json_t *state, const char *name)
{
	int fd = (int)json_get_int(json_object_get(state, "fds"), name, -1);

	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static char *get_copy(const json_t *object, const char *key)
{
	const char *text = json_get_text(object, key, NULL);

	return text ? x_strdup(text) : NULL;
}

static json_t *read_state(int fd)
{
	_cleanup_free_ char *text = fdio_read_all(fd, "the state", STATE_MAX_BYTES, NULL, NULL);
	json_t *state = text ? json_loads(text, 0, NULL) : NULL;

	if (json_get_int(state, "format", 0) != UPGRADE_FORMAT)
		fatal(EXIT_USAGE, "--take-over is for k6fleetd itself, not for the command line");
	return state;
}

static void resume_options(struct keeper *k, const json_t *state)
{
	const json_t *o = json_object_get(state, "options");
	const json_t *paths = json_object_get(state, "paths");

	k->options = (struct files_options){
		.config = get_copy(o, "config"),
		.config_named = json_is_true(json_object_get(o, "configNamed")),
		.socket = get_copy(o, "socket"),
		.workers = get_copy(o, "workers"),
		.log_format = get_copy(o, "logFormat"),
		.verbose = json_is_true(json_object_get(o, "verbose")),
	};
	k->exe_path = get_copy(paths, "keeper");
	k->sup_path = get_copy(paths, "supervisor");
	if (!k->options.config || !k->exe_path || !k->sup_path)
		fatal(EXIT_START, "the state that the last k6fleetd left has no paths");
}

static void resume_handover(struct keeper *k, const json_t *state)
{
	const json_t *s = json_object_get(state, "supervisor");
	struct handover *h = &k->handover;

	*h = (struct handover){
		.as_root = json_is_true(json_object_get(s, "asRoot")),
		.user = {(uid_t)json_get_int(s, "uid", 0), (gid_t)json_get_int(s, "gid", 0)},
		.control_gid = (gid_t)json_get_int(s, "controlGid", (gid_t)-1),
		.read_gid = (gid_t)json_get_int(s, "readGid", (gid_t)-1),
		.listen_fd = get_fd(state, "listen"),
		.hb_fd = get_fd(state, "heartbeats"),
		.config_fd = get_fd(state, "config"),
		.state_fd = get_fd(state, "state"),
		.metrics_fd = get_fd(state, "metrics"),
		.kept = {get_fd(state, "secret"), get_fd(state, "ca"), get_fd(state, "cert"),
			get_fd(state, "key")},
		.workers_option = k->options.workers != NULL,
		.again = true,
	};
	k->sup_restarts = (unsigned int)json_get_int(s, "restarts", 0);
}

static void resume_sandbox(struct keeper *k, const json_t *state)
{
	const json_t *s = json_object_get(state, "sandbox");
	struct err err;

	k->sandbox = (struct sandbox){
		.level = (enum sandbox_level)json_get_int(s, "level", 0),
		.layers = (unsigned int)json_get_int(s, "layers", 0),
		.as_root = json_is_true(json_object_get(s, "asRoot")),
		.user_namespaces = json_is_true(json_object_get(s, "userNamespaces")),
		.landlock = (int)json_get_int(s, "landlock", 0),
		.agent = {(uid_t)json_get_int(s, "uid", 0), (gid_t)json_get_int(s, "gid", 0)},
	};
	if (sandbox_resume(&k->sandbox, &err) < 0 || privs_limit(&err) < 0)
		fatal(EXIT_START, "%s", err.msg);
}

static struct k6bin resume_k6(const json_t *state)
{
	const json_t *row = json_object_get(state, "k6");

	return (struct k6bin){
		.fd = get_fd(state, "k6"),
		.has_es_modules = k6version_has_es_modules(
			json_get_text(json_object_get(state, "keeper"), "k6Version", "")),
		.by_fd = json_is_true(json_array_get(row, 0)),
		.dev = (dev_t)json_integer_value(json_array_get(row, 1)),
		.inode = (ino_t)json_integer_value(json_array_get(row, 2)),
		.size = (off_t)json_integer_value(json_array_get(row, 3)),
		.modified = {(time_t)json_integer_value(json_array_get(row, 4)),
			(long)json_integer_value(json_array_get(row, 5))},
	};
}

static void resume_children(struct keeper *k, const json_t *state)
{
	const json_t *own = json_object_get(state, "keeper");
	int lifeline[2] = {get_fd(state, "lifelineRead"), get_fd(state, "lifelineWrite")};
	const struct k6bin k6 = resume_k6(state);
	struct children *c = &k->children;
	json_t *row;
	struct err err;
	size_t i;

	if (children_init(c, k->conf, &k->sandbox, k->handover.hb_fd, &k6, lifeline, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	c->cgroup.base_fd = get_fd(state, "cgroup");
	c->cgroup.cpu = json_is_true(json_object_get(own, "cgroupCpu"));
	/* All of them are of the last image. */
	c->epoch = (unsigned int)json_get_int(own, "epoch", 0) + 1;
	json_array_foreach (json_object_get(state, "children"), i, row) {
		json_int_t n[9];

		for (size_t f = 0; f < ARRAY_SIZE(n); f++)
			n[f] = json_is_true(json_array_get(row, f))
				? 1
				: json_integer_value(json_array_get(row, f));
		if (n[0] < 0 || n[0] >= CONF_WORKERS_MAX)
			continue;
		fcntl((int)n[8], F_SETFD, FD_CLOEXEC);
		children_adopt(c, (unsigned int)n[0],
			&(struct child){.used = true,
				.pid = (pid_t)n[1],
				.generation = (uint64_t)n[2],
				.started_mono_ms = n[3],
				.alive = n[4] != 0,
				.wait_status = (int)n[5],
				.restarts = (uint32_t)n[6],
				.epoch = (unsigned int)n[7],
				.chan = (int)n[8]});
	}
}

static void resume_config(struct keeper *k)
{
	_cleanup_file_ FILE *f = NULL;
	int fd = fcntl(k->handover.config_fd, F_DUPFD_CLOEXEC, 3);
	struct err err;

	if (fd >= 0 && lseek(fd, 0, SEEK_SET) == 0)
		f = fdopen(fd, "r");
	if (!f)
		fatal(EXIT_START, "cannot read the configuration that the last k6fleetd left");
	k->conf = conf_load_effective(f, &err);
	if (!k->conf)
		fatal(EXIT_START, "the configuration that the last k6fleetd left: %s", err.msg);
	k->handover.conf = k->conf;
}

void upgrade_resume(struct keeper *k, int fd)
{
	_cleanup_json_ json_t *state = read_state(fd);
	const json_t *own = json_object_get(state, "keeper");

	close(fd);
	hostfs_use(get_fd(state, "host"));
	notify_use(get_fd(state, "notify"));
	log_use_journal(get_fd(state, "journal"));
	resume_options(k, state);
	resume_handover(k, state);
	resume_config(k);
	log_init("k6fleetd", (enum log_level)k->conf->log_level, k->conf->log_format == 1);
	resume_sandbox(k, state);
	resume_children(k, state);
	k->socket_dir_fd = get_fd(state, "socketDir");
	k->started_ms = json_get_int(own, "startedMs", 0);
	k->clock_offset_ms = json_get_int(own, "clockOffsetMs", 0);
	k->memory_bytes = json_get_int(own, "memoryBytes", 0);
	snprintf(k->k6_version, sizeof(k->k6_version), "%s", json_get_text(own, "k6Version", ""));
	upgrade_note_binaries(k);
	k->handover.exe_fd = hostfs_open(k->sup_path, O_PATH);
	if (k->handover.exe_fd < 0)
		fatal(EXIT_START, "cannot find %s: %s", k->sup_path, strerror(errno));
	/* Whatever fails from here on is tried again: there is a fleet to keep. */
	k->ever_seen = k->resumed = true;
	log_event(LOG_LEVEL_INFO, "upgrade", "took over", LOG_WORD("version", PACKAGE_VERSION),
		LOG_WORD("from", json_get_text(state, "version", "?")), LOG_INT("pid", getpid()),
		LOG_INT("workers", k->children.alive));
	mem_trim();
}
