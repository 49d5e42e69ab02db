/* SPDX-License-Identifier: MIT */
/* The binary is foreign code: it runs in the sandbox of a worker's k6, never with the keeper's
 * rights. */
#include "keeper/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/confine.h"
#include "common/log.h"
#include "common/fdio.h"
#include "common/mem.h"
#include "common/units.h"

#define PROBE_TIMEOUT_MS 10000
#define EXEC_FAILED 127

_Noreturn static void probe_child(
	const struct sandbox *sb, const struct conf *conf, const struct k6bin *k6, int out)
{
	char *const argv[] = {x_strdup("k6"), x_strdup("version"), NULL};
	char *const envp[] = {x_strdup("PATH=/usr/bin:/bin"),
		x_asprintf("HOME=%s", confine_home(sb)), x_strdup("GOMAXPROCS=1"),
		x_strdup("K6_AUTO_EXTENSION_RESOLUTION=false"), NULL};
	struct err err = {0};
	const char *work_dir;
	int exe = k6->by_fd ? 3 : -1;

	if (dup2(k6->fd, 3) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(EXEC_FAILED);
	fdio_close_range(4, ~0U, false);
	if (sandbox_enter(sb, conf, "probe", 0, &work_dir, &err) < 0) {
		dprintf(1, "%s", err.msg);
		_exit(EXEC_FAILED);
	}
	if (confine_k6(sb, conf, work_dir, exe) == 0) {
		if (sb->level == SANDBOX_OFF)
			rmdir(work_dir);
		confine_exec(exe, argv, envp);
	}
	dprintf(1, "%s", strerror(errno));
	_exit(EXEC_FAILED);
}

int probe_k6(const struct sandbox *sb, const struct conf *conf, struct k6bin *k6,
	char version[K6VERSION_MAX], struct err *err)
{
	char out[512];
	int64_t deadline = units_now_mono_ms() + PROBE_TIMEOUT_MS;
	int pipefd[2], status = 0;
	size_t len = 0;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	pid = sandbox_clone(sb, false);
	if (pid == 0)
		probe_child(sb, conf, k6, pipefd[1]);
	close(pipefd[1]);
	while (pid > 0 && len < sizeof(out) - 1) {
		struct pollfd pfd = {.fd = pipefd[0], .events = POLLIN};
		int64_t left = deadline - units_now_mono_ms();
		ssize_t n;

		if (left <= 0 || poll(&pfd, 1, (int)left) <= 0)
			break;
		n = read(pipefd[0], out + len, sizeof(out) - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(pipefd[0]);
	out[len] = '\0';
	if (pid < 0)
		return err_sys(err, errno, "cannot fork to ask k6 for its version");
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	out[strcspn(out, "\r\n")] = '\0';
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_FAILED)
		return err_set(err, "k6 (%s) cannot be executed: %s", conf->k6.binary, out);
	if (k6version_parse(out, version, err) < 0)
		return err_prefix(err, "%s cannot be used", conf->k6.binary);
	k6->has_es_modules = k6version_has_es_modules(version);
	return 0;
}
