/* SPDX-License-Identifier: MIT */
/* execve(2) keeps pid, children and descriptors; nothing else has to be moved in the kernel.
 * All else that the next image needs goes through a sealed memfd (upgrade_state.h). */
#include "config.h"

#include "keeper/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/hostfs.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/units.h"
#include "keeper/notify.h"
#include "keeper/privs.h"
#include "keeper/reload.h"
#include "keeper/supervisor_link.h"
#include "keeper/upgrade_children.h"
#include "keeper/upgrade_state.h"

#define CHECK_TIMEOUT_MS 5000
/* The old supervisor has this time to commit its records. */
#define GOODBYE_MS 5000

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
		filestamp_take(exe, &k->exe_stamp);
	if (sup >= 0)
		filestamp_take(sup, &k->sup_stamp);
}

bool upgrade_is_due(const struct keeper *k)
{
	_cleanup_fd_ int exe = hostfs_open(k->exe_path, O_PATH);
	_cleanup_fd_ int sup = hostfs_open(k->sup_path, O_PATH);

	/* A missing binary is being installed at this moment. */
	return exe >= 0 && sup >= 0 &&
		(!filestamp_fits(&k->exe_stamp, exe) || !filestamp_fits(&k->sup_stamp, sup));
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
	/* Descriptor 3 is not close-on-exec: if the binary is a script, its interpreter opens
	 * it, execveat(2). */
	fdio_close_range(4, ~0U, false);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Safe: the binary runs without privileges, and only its exit status decides anything. */
	if ((k->handover.as_root && creds_become(&k->handover.user, NULL, 0, &err) < 0) ||
		creds_drop_all_caps(&err) < 0) {
		dprintf(2, "%s", err.msg);
		_exit(127);
	}
	syscall(SYS_execveat, 3, "", argv, environ, AT_EMPTY_PATH);
	dprintf(2, "it cannot be executed: %s", strerror(errno));
	_exit(127);
}

/* Starts one of the two binaries with --check-handover and does not wait for it. */
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

/* The hand-over is not possible.  Under a service manager the keeper drains and exits, so that
 * the manager starts the new binary; otherwise the old image continues. */
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
		/* Safe: results that it has not committed are still unread in the workers'
		 * sockets. */
		kill(k->sup_pid, SIGKILL);
	}
}

/* --- leaving everything to the next image ----------------------------------------- */

static char *copy(const char *text)
{
	return text ? x_strdup(text) : NULL;
}

static struct upgrade_state_fds collect_fds(const struct keeper *k)
{
	const struct handover *h = &k->handover;
	const struct children *c = &k->children;

	return (struct upgrade_state_fds){
		.listen = h->listen_fd,
		.heartbeats = h->hb_fd,
		.config = h->config_fd,
		.state_dir = h->state_fd,
		.metrics = h->metrics_fd,
		.secret = h->kept.secret_fd,
		.ca = h->kept.ca_fd,
		.cert = h->kept.cert_fd,
		.key = h->kept.key_fd,
		.socket_dir = k->socket_dir_fd,
		.lifeline_read = c->lifeline[0],
		.lifeline_write = c->lifeline[1],
		.cgroup = c->cgroup.base_fd,
		.k6 = c->k6.fd,
		.host = hostfs_fd(),
		.notify = notify_fd(),
		.journal = log_journal_fd(),
	};
}

/* Returns what this image holds; the caller clears it. */
static struct upgrade_state collect(const struct keeper *k)
{
	const struct files_options *o = &k->options;
	const struct handover *h = &k->handover;
	const struct children *c = &k->children;
	const struct sandbox *sb = &k->sandbox;
	const struct filestamp *stamp = &c->k6.stamp;

	return (struct upgrade_state){
		.version = x_strdup(PACKAGE_VERSION),
		.options = {.config = x_strdup(o->config),
			.config_named = o->config_named,
			.socket = copy(o->socket),
			.workers = copy(o->workers),
			.log_format = copy(o->log_format),
			.verbose = o->verbose},
		.paths = {.keeper = x_strdup(k->exe_path), .supervisor = x_strdup(k->sup_path)},
		.sandbox = {.level = sb->level,
			.layers = sb->layers,
			.as_root = sb->as_root,
			.user_namespaces = sb->user_namespaces,
			.landlock = sb->landlock,
			.uid = sb->agent.uid,
			.gid = sb->agent.gid},
		.supervisor = {.as_root = h->as_root,
			.uid = h->user.uid,
			.gid = h->user.gid,
			.control_gid = h->control_gid,
			.read_gid = h->read_gid,
			.restarts = k->sup_restarts},
		.keeper = {.k6_version = x_strdup(k->k6_version),
			.memory_bytes = k->memory_bytes,
			.started_mono_ms = k->started_ms,
			.clock_offset_ms = k->clock_offset_ms,
			.epoch = c->epoch,
			.cgroup_cpu = c->cgroup.cpu},
		.k6 = {.by_fd = c->k6.by_fd,
			.dev = stamp->dev,
			.inode = stamp->inode,
			.size_bytes = stamp->size,
			.modified_s = stamp->modified.tv_sec,
			.modified_ns = stamp->modified.tv_nsec},
		.fds = collect_fds(k),
	};
}

/* Before the execve(2) the descriptors must survive it; if it fails, the next fork's exec must
 * close them again. */
static void set_inherited(void *arg, int fd)
{
	const bool *inherited = arg;

	fcntl(fd, F_SETFD, *inherited ? 0 : FD_CLOEXEC);
}

static void execute(struct keeper *k, struct err *err)
{
	struct upgrade_state state = collect(k);
	_cleanup_free_ char *text = NULL;
	_cleanup_fd_ int fd = -1;
	bool inherited = true;
	char number[16];

	upgrade_children_collect(&k->children, &state);
	text = upgrade_state_write(&state);
	fd = fdio_seal("k6fleet-handover", text, strlen(text), err);
	if (fd < 0) {
		upgrade_state_clear(&state);
		return;
	}
	snprintf(number, sizeof(number), "%d", fd);
	char *const argv[] = {x_strdup("k6fleetd"), x_strdup("--take-over"), number, NULL};

	fcntl(fd, F_SETFD, 0);
	upgrade_state_each_fd(&state, set_inherited, &inherited);
	if (privs_pass_on(err) == 0) {
		/* Safe: it is the binary that was asked, by its descriptor, and belongs to root.
		 * It gets what this image has, five capabilities. */
		syscall(SYS_execveat, k->upgrade.exe_fd, "", argv, environ, AT_EMPTY_PATH);
		err_sys(err, errno, "cannot execute %s", k->exe_path);
	}
	inherited = false;
	upgrade_state_each_fd(&state, set_inherited, &inherited);
	upgrade_state_clear(&state);
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
