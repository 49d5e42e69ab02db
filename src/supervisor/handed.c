/* SPDX-License-Identifier: MIT */
#include "supervisor/handed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fdio.h"
#include "common/log.h"
#include "common/mem.h"
#include "keeper/handover.h"

/* Whether the number holds its file; the others hold /dev/null. */
static bool present[HANDOVER_FD_END];

void handed_reserve_numbers(void)
{
	for (int fd = HANDOVER_FD_KEEPER; fd < HANDOVER_FD_END; fd++) {
		present[fd] = fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
		/* open(2) returns the lowest free number, which is fd, for the numbers below are
		 * taken. */
		if (!present[fd] && open("/dev/null", O_RDONLY | O_CLOEXEC) != fd)
			fatal(2, "k6fleet-supervisor is started by k6fleetd, not by hand");
	}
}

bool handed_has(int fd)
{
	return present[fd];
}

/* The path on the host means nothing in this process: the keeper has opened the file. */
static void use_kept_file(char **path, int fd)
{
	if (!present[fd])
		return;
	free(*path);
	*path = x_asprintf("/proc/self/fd/%d", fd);
}

struct conf *handed_read_config(struct err *err)
{
	_cleanup_file_ FILE *f = NULL;
	struct conf *conf;
	int fd = present[HANDOVER_FD_CONFIG] ? fcntl(HANDOVER_FD_CONFIG, F_DUPFD_CLOEXEC, 64) : -1;

	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0 || !(f = fdopen(fd, "r"))) {
		err_set(err, "it is started by k6fleetd, not by hand");
		return NULL;
	}
	conf = conf_load_effective(f, err);
	if (!conf)
		return NULL;
	use_kept_file(&conf->dashboard.ca_file, HANDOVER_FD_CA_FILE);
	use_kept_file(&conf->dashboard.client_cert, HANDOVER_FD_CLIENT_CERT);
	use_kept_file(&conf->dashboard.client_key, HANDOVER_FD_CLIENT_KEY);
	return conf;
}

char *handed_read_secret(void)
{
	char *secret;

	if (!present[HANDOVER_FD_SECRET])
		return NULL;
	secret = x_calloc(LIMIT_SECRET_BYTES + 1, 1);
	if (pread(HANDOVER_FD_SECRET, secret, LIMIT_SECRET_BYTES, 0) <= 0)
		fatal(1, "cannot read the dashboard's secret: %s", strerror(errno));
	return secret;
}

void handed_take(const struct msg_keeper_file *m, int fd)
{
	uint32_t which = m->which;

	if (which <= HANDOVER_FD_KEEPER || which >= HANDOVER_FD_END || fd < 0)
		fatal(1, "the keeper handed over a file %u, which cannot be", which);
	/* Where there is no file, the descriptor that came along keeps the number from being
	 * used. */
	if (dup3(fd, (int)which, O_CLOEXEC) < 0)
		fatal(1, "cannot keep a file of the keeper's: %s", strerror(errno));
	present[which] = m->exists;
	close(fd);
}
