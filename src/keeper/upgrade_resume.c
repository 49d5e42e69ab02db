/* SPDX-License-Identifier: MIT */
/* All descriptors are inherited from the old image, except for the supervisor's binary, which is
 * opened by path. */
#include "config.h"

#include "keeper/upgrade_resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/hostfs.h"
#include "common/log.h"
#include "common/mem.h"
#include "keeper/notify.h"
#include "keeper/privs.h"
#include "keeper/upgrade.h"
#include "keeper/upgrade_children.h"
#include "keeper/upgrade_state.h"

/* The state of LIMIT_WORKERS workers has about 1 MiB. */
#define STATE_MAX_BYTES (64 * 1024 * 1024)

static void read_state(int fd, struct upgrade_state *s)
{
	struct err err;
	_cleanup_free_ char *text = fdio_read_all(fd, "the state", STATE_MAX_BYTES, NULL, &err);

	if (!text || upgrade_state_read(text, s, &err) < 0)
		fatal(EXIT_USAGE,
			"--take-over is for k6fleetd itself, not for the command line: %s",
			err.msg);
}

static void close_on_exec(void *arg, int fd)
{
	(void)arg;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Takes over the texts. */
static void resume_options(struct keeper *k, struct upgrade_state *s)
{
	k->options = (struct files_options){
		.config = steal_ptr(s->options.config),
		.config_named = s->options.config_named,
		.socket = steal_ptr(s->options.socket),
		.workers = steal_ptr(s->options.workers),
		.log_format = steal_ptr(s->options.log_format),
		.verbose = s->options.verbose,
	};
	k->exe_path = steal_ptr(s->paths.keeper);
	k->sup_path = steal_ptr(s->paths.supervisor);
}

static void resume_handover(struct keeper *k, const struct upgrade_state *s)
{
	k->handover = (struct handover){
		.as_root = s->supervisor.as_root,
		.user = {.uid = s->supervisor.uid, .gid = s->supervisor.gid},
		.control_gid = s->supervisor.control_gid,
		.read_gid = s->supervisor.read_gid,
		.listen_fd = s->fds.listen,
		.hb_fd = s->fds.heartbeats,
		.config_fd = s->fds.config,
		.state_fd = s->fds.state_dir,
		.metrics_fd = s->fds.metrics,
		.kept = {.secret_fd = s->fds.secret,
			.ca_fd = s->fds.ca,
			.cert_fd = s->fds.cert,
			.key_fd = s->fds.key},
		.workers_option = k->options.workers != NULL,
		.again = true,
	};
	k->sup_restarts = s->supervisor.restarts;
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

static void resume_sandbox(struct keeper *k, const struct upgrade_state *s)
{
	struct err err;

	k->sandbox = (struct sandbox){
		.level = (enum sandbox_level)s->sandbox.level,
		.layers = s->sandbox.layers,
		.as_root = s->sandbox.as_root,
		.user_namespaces = s->sandbox.user_namespaces,
		.landlock = s->sandbox.landlock,
		.agent = {.uid = s->sandbox.uid, .gid = s->sandbox.gid},
	};
	if (sandbox_resume(&k->sandbox, &err) < 0 || privs_limit(&err) < 0)
		fatal(EXIT_START, "%s", err.msg);
}

static struct k6bin resume_k6(const struct keeper *k, const struct upgrade_state *s)
{
	return (struct k6bin){
		.fd = s->fds.k6,
		.has_es_modules = k6version_has_es_modules(k->k6_version),
		.by_fd = s->k6.by_fd,
		.stamp = {.dev = s->k6.dev,
			.inode = s->k6.inode,
			.size = s->k6.size_bytes,
			.modified = {.tv_sec = s->k6.modified_s, .tv_nsec = s->k6.modified_ns}},
	};
}

static void resume_children(struct keeper *k, const struct upgrade_state *s)
{
	const struct children_config config = {
		.conf = k->conf,
		.sandbox = &k->sandbox,
		.cgroup = {.base_fd = s->fds.cgroup, .cpu = s->keeper.cgroup_cpu},
		.hb_fd = k->handover.hb_fd,
		.k6 = resume_k6(k, s),
		.lifeline = {s->fds.lifeline_read, s->fds.lifeline_write},
	};
	struct err err;

	if (children_init(&k->children, &config, &err) < 0)
		fatal(EXIT_START, "%s", err.msg);
	upgrade_children_adopt(&k->children, s);
}

static void resume_keeper(struct keeper *k, const struct upgrade_state *s)
{
	k->socket_dir_fd = s->fds.socket_dir;
	k->started_ms = s->keeper.started_mono_ms;
	k->clock_offset_ms = s->keeper.clock_offset_ms;
	k->memory_bytes = s->keeper.memory_bytes;
	snprintf(k->k6_version, sizeof(k->k6_version), "%s",
		s->keeper.k6_version ? s->keeper.k6_version : "");
	/* Whatever fails from here on is tried again, because the workers live. */
	k->ever_seen = k->resumed = true;
}

void upgrade_resume(struct keeper *k, int fd)
{
	struct upgrade_state s;

	read_state(fd, &s);
	close(fd);
	upgrade_state_each_fd(&s, close_on_exec, NULL);
	hostfs_use(s.fds.host);
	notify_use(s.fds.notify);
	log_use_journal(s.fds.journal);
	resume_options(k, &s);
	resume_handover(k, &s);
	resume_config(k);
	log_init("k6fleetd", (enum log_level)k->conf->log_level, k->conf->log_format == 1);
	resume_sandbox(k, &s);
	resume_keeper(k, &s);
	resume_children(k, &s);
	upgrade_note_binaries(k);
	k->handover.exe_fd = hostfs_open(k->sup_path, O_PATH);
	if (k->handover.exe_fd < 0)
		fatal(EXIT_START, "cannot find %s: %s", k->sup_path, strerror(errno));
	log_event(LOG_LEVEL_INFO, "upgrade", "took over", LOG_WORD("version", PACKAGE_VERSION),
		LOG_WORD("from", s.version), LOG_INT("pid", getpid()),
		LOG_INT("workers", k->children.alive));
	upgrade_state_clear(&s);
	mem_trim();
}
