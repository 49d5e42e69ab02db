/* SPDX-License-Identifier: MIT */
/* The supervisor is executed by descriptor, with a fixed set of descriptors and no privilege. */
#include "keeper/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/hostfs.h"
#include "common/log.h"
#include "common/mem.h"

#define KEPT_FILE_MAX (4 * 1024 * 1024)

int handover_keep_file(const char *key, const char *path, struct err *err)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	size_t len = 0;
	int kept;

	err->msg[0] = '\0';
	if (!path[0])
		return -1;
	/* By root, so that a key needs to be readable by nobody else. */
	fd = hostfs_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "dashboard.%s: cannot read %s", key, path);
	if (!S_ISREG(st.st_mode) || st.st_size > KEPT_FILE_MAX)
		return err_set(err, "dashboard.%s: %s is not a file of up to %d MiB", key, path,
			KEPT_FILE_MAX >> 20);
	buf = fdio_read_all(fd, path, KEPT_FILE_MAX, &len, err);
	if (!buf)
		return err_prefix(err, "dashboard.%s", key);
	kept = fdio_seal(key, buf, len, err);
	mem_wipe(buf, len);
	return kept;
}

int handover_make_config(const struct conf *conf, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return err_sys(err, errno, "cannot keep the configuration");
	conf_print(conf, true, f);
	if (fclose(f) != 0)
		return err_sys(err, errno, "cannot keep the configuration");
	return fdio_seal("k6fleet-config", text, size, err);
}

/* Puts every descriptor at its fixed number; those that are -1 leave a closed number behind. */
static int place_descriptors(const struct handover *h, int chan)
{
	int from[] = {chan, h->listen_fd, h->hb_fd, h->config_fd, h->state_fd, h->metrics_fd,
		h->kept.secret_fd, h->kept.ca_fd, h->kept.cert_fd, h->kept.key_fd,
		log_journal_fd()};
	int exe = fcntl(h->exe_fd, F_DUPFD_CLOEXEC, HANDOVER_FD_END + 8);

	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		/* First all out of the way, or one would overwrite another. */
		if (from[i] >= 0)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, HANDOVER_FD_END + 8);
	}
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		int to = HANDOVER_FD_KEEPER + (int)i;

		if (from[i] < 0)
			close(to);
		else if (dup2(from[i], to) < 0)
			return -1;
	}
	return exe;
}

_Noreturn static void exec_supervisor(const struct handover *h, int chan, pid_t keeper)
{
	const char *argv[4] = {"k6fleet-supervisor"};
	size_t argc = 1;
	struct err err;
	sigset_t none;
	gid_t groups[1] = {h->control_gid};
	int exe = place_descriptors(h, chan);
	extern char **environ;

	if (exe < 0)
		fatal(1, "cannot place the supervisor's descriptors: %s", strerror(errno));
	/* Safe: the descriptors are those listed and nothing else survives the exec; the config is
	 * a sealed copy, so no path is opened with the wrong identity. */
	fdio_close_range(HANDOVER_FD_END, (unsigned)exe - 1, false);
	fdio_close_range((unsigned)exe + 1, ~0U, false);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (h->as_root && creds_become(&h->user, groups, h->control_gid != (gid_t)-1, &err) < 0)
		fatal(1, "supervisor: %s", err.msg);
	if (creds_drop_all_caps(&err) < 0)
		fatal(1, "supervisor: %s", err.msg);
	/* After the change of credentials, which would clear it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(1);
	if (h->workers_option)
		argv[argc++] = "--workers-option";
	if (h->again)
		argv[argc] = "--again";
	syscall(SYS_execveat, exe, "", argv, environ, AT_EMPTY_PATH);
	fatal(1, "cannot execute k6fleet-supervisor: %s", strerror(errno));
}

pid_t handover_start(const struct handover *h, int chan, struct err *err)
{
	pid_t keeper = getpid(), pid = fork();

	if (pid == 0)
		exec_supervisor(h, chan, keeper);
	if (pid < 0)
		return err_sys(err, errno, "cannot fork the supervisor");
	return pid;
}
