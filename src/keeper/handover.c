/* SPDX-License-Identifier: MIT */
/* The supervisor is executed by its descriptor, with a fixed set of descriptors and without
 * privileges. */
#include "keeper/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/log.h"
#include "common/mem.h"

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

/* Puts every descriptor at its number of enum handover_fd; the number of a descriptor of -1 is
 * closed.  Returns a descriptor of the binary, or -1 with errno. */
static int handover_place_descriptors(const struct handover *h, int chan)
{
#define AT(number) [number - HANDOVER_FD_KEEPER]
	int from[] = {
		AT(HANDOVER_FD_KEEPER) = chan,
		AT(HANDOVER_FD_LISTEN) = h->listen_fd,
		AT(HANDOVER_FD_HEARTBEATS) = h->hb_fd,
		AT(HANDOVER_FD_CONFIG) = h->config_fd,
		AT(HANDOVER_FD_STATE_DIR) = h->state_fd,
		AT(HANDOVER_FD_METRICS) = h->metrics_fd,
		AT(HANDOVER_FD_SECRET) = h->kept.secret_fd,
		AT(HANDOVER_FD_CA_FILE) = h->kept.ca_fd,
		AT(HANDOVER_FD_CLIENT_CERT) = h->kept.cert_fd,
		AT(HANDOVER_FD_CLIENT_KEY) = h->kept.key_fd,
		AT(HANDOVER_FD_JOURNAL) = log_journal_fd(),
	};
#undef AT
	_Static_assert(ARRAY_SIZE(from) == HANDOVER_FD_END - HANDOVER_FD_KEEPER,
		"a descriptor for each number");
	int exe = fcntl(h->exe_fd, F_DUPFD_CLOEXEC, HANDOVER_FD_END + 8);

	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		/* First all are moved to high numbers, or one would overwrite another. */
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
	int exe = handover_place_descriptors(h, chan);
	extern char **environ;

	if (exe < 0)
		fatal(1, "cannot place the supervisor's descriptors: %s", strerror(errno));
	/* Safe: only the descriptors of enum handover_fd survive the exec.  The configuration is
	 * a sealed copy, so the supervisor opens no path with rights that it does not have. */
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
	/* After the change of credentials, which clears this setting. */
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
