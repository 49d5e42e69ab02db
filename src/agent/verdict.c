/* SPDX-License-Identifier: MIT */
/* The child that reads a summary has a copy of the worker's memory and none of its descriptors. */
#include "agent/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/summary.h"
#include "common/fdio.h"
#include "common/mem.h"

/* Far more than jansson needs for 4 MiB, and less than would harm the host. */
#define MEMORY_MAX (256UL << 20)
#define CPU_MAX_S 10

enum { SUMMARY_FD = 3, ANSWER_FD = 4 };

struct summary_file {
	int fd; /* -1: there is no readable summary */
	off_t size;
	double run_s; /* over which its counts are */
};

/* k6 writes a regular file; any other is ignored. */
static struct summary_file open_summary(const char *path, double run_s)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return (struct summary_file){.fd = -1};
	return (struct summary_file){.fd = steal_fd(&fd), .size = st.st_size, .run_s = run_s};
}

static void read_and_judge(
	const struct summary_file *file, struct outcome_facts *facts, struct run *r)
{
	static struct err why;
	size_t len;
	char *text;

	facts->summary_error = why.msg;
	facts->log = r->log + facts->log_from;
	facts->summary = OUTCOME_SUMMARY_MISSING;
	if (file->fd >= 0 && file->size > SUMMARY_MAX_BYTES) {
		facts->summary = OUTCOME_SUMMARY_BAD;
		err_set(&why, "the summary has more than %d MiB", SUMMARY_MAX_BYTES >> 20);
	} else if (file->fd >= 0 && !*facts->why_not_started) {
		text = x_calloc((size_t)file->size + 1, 1);
		len = fdio_read_upto(file->fd, text, (size_t)file->size);
		facts->summary = summary_parse(text, len, file->run_s, r, &why) == 0
			? OUTCOME_SUMMARY_OK
			: OUTCOME_SUMMARY_BAD;
		free(text);
	}
	outcome_judge(facts, r);
}

_Noreturn static void verdict_child(const struct sandbox *sb, struct summary_file file, int answer,
	struct outcome_facts *facts, struct run *r)
{
	const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX}, cpu = {CPU_MAX_S, CPU_MAX_S};
	int fd_copy = file.fd < 0 ? -1 : fcntl(file.fd, F_DUPFD, 10);
	int answer_copy = fcntl(answer, F_DUPFD, 10);
	struct msg_writer w = {0};

	/* Closes all descriptors but two, above all the socket to the supervisor. */
	if (answer_copy < 0 || dup2(answer_copy, ANSWER_FD) < 0 ||
		(file.fd >= 0 && (fd_copy < 0 || dup2(fd_copy, SUMMARY_FD) < 0)))
		_exit(1);
	if (file.fd < 0)
		close(SUMMARY_FD);
	else
		file.fd = SUMMARY_FD;
	fdio_close_range(ANSWER_FD + 1, ~0U, false);
#ifndef __SANITIZE_ADDRESS__
	setrlimit(RLIMIT_DATA, &memory);
#else
	(void)memory;
#endif
	setrlimit(RLIMIT_CPU, &cpu);
	if ((sb->layers & SANDBOX_LAYER_SECCOMP) && filter_load(&sb->parser_filter) < 0)
		_exit(1);
	read_and_judge(&file, facts, r);
	run_put(r, &w);
	if (fdio_write_all(ANSWER_FD, w.data, w.len) < 0)
		_exit(1);
	_exit(0);
}

/* Whether the message is the result of this run.  The worker checks nothing else before it sends
 * it on. */
static bool is_result_of(const uint8_t *data, size_t len, const char *run_id)
{
	struct msg_reader in;
	struct run r;
	bool ok = false;

	if (msg_open(&in, data, len, MSG_TO_SUPERVISOR_W, NULL) == MSG_AGENT_RESULT) {
		ok = run_get(&in, &r, NULL) == 0 && !strcmp(r.id, run_id);
		run_clear(&r);
	}
	return ok;
}

static void verdict_give_up(const char *why, int status, struct outcome_facts *facts, struct run *r)
{
	struct err err;

	if (status)
		err_set(&err, "the summary could not be read: its reader %s (wait status 0x%x)",
			why, (unsigned)status);
	else
		err_set(&err, "the summary could not be read: %s", why);
	facts->summary = OUTCOME_SUMMARY_BAD;
	facts->summary_error = err.msg;
	/* The log may be what crashed the child. */
	facts->log = "";
	outcome_judge(facts, r);
}

void verdict_reach(const struct sandbox *sb, const char *path, double run_s,
	struct outcome_facts *facts, struct run *r, struct msg_writer *out)
{
	uint8_t *buf = mmap(
		NULL, MSG_MAX_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct summary_file file = open_summary(path, run_s);
	_cleanup_fd_ int fd __attribute__((unused)) = file.fd;
	int pipefd[2], status = 0;
	size_t len;
	pid_t pid;

	if (buf == MAP_FAILED || pipe2(pipefd, O_CLOEXEC) < 0) {
		verdict_give_up(strerror(errno), 0, facts, r);
		run_put(r, out);
		return;
	}
	pid = fork();
	if (pid == 0)
		verdict_child(sb, file, pipefd[1], facts, r);
	close(pipefd[1]);
	len = pid > 0 ? fdio_read_upto(pipefd[0], buf, MSG_MAX_BYTES) : 0;
	close(pipefd[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (len && status == 0 && is_result_of(buf, len, r->id)) {
		msg_copy(out, buf, len);
	} else {
		verdict_give_up(pid < 0 ? "there is no room for another process" : "died", status,
			facts, r);
		run_put(r, out);
	}
	munmap(buf, MSG_MAX_BYTES);
}
