/* SPDX-License-Identifier: MIT */
/* All these files belong to root and are trusted.  Secrets are kept in sealed memfds, not in
 * memory: a worker closes descriptors, but inherits memory. */
#include "config.h"

#include "keeper/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/creds.h"
#include "common/fdio.h"
#include "common/found.h"
#include "common/found.h"
#include "common/hostfs.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/title.h"
#include "keeper/handover.h"

#define URL_MAX 1024
#define KEPT_FILE_MAX (4 * 1024 * 1024)

/* Opens the configuration; the caller closes it.  NOT_FOUND: there is no file, and none was
 * named. */
static enum found open_config(const struct files_options *o, FILE **out, struct err *err)
{
	int fd = hostfs_open(o->config, O_RDONLY | O_NOCTTY);

	*out = fd < 0 ? NULL : fdopen(fd, "r");
	if (*out)
		return FOUND;
	if (!o->config_named && errno == ENOENT)
		return NOT_FOUND;
	err_sys(err, errno, "cannot read the configuration %s", o->config);
	return FOUND_ERROR;
}

/* Returns the address of the dashboard on this host, which its package gives, if there is also a
 * secret for it; NULL: there is none.  The caller frees. */
static char *local_dashboard(void)
{
	_cleanup_free_ char *secret = creds_given("dashboard-secret");
	_cleanup_free_ char *path = creds_given("dashboard-url");
	char *url = NULL;
	struct err err;

	if (secret && path)
		creds_read_secret(path, URL_MAX, &url, &err);
	return url;
}

struct conf *files_load_config(const struct files_options *o, bool *usage, struct err *err)
{
	_cleanup_file_ FILE *f = NULL;
	_cleanup_free_ char *cwd = NULL, *socket = NULL, *url = NULL;
	struct conf *conf;

	*usage = false;
	if (open_config(o, &f, err) == FOUND_ERROR)
		return NULL;
	url = local_dashboard();
	conf = conf_load(f, o->config, url, err);
	if (!conf)
		return NULL;
	*usage = true;
	if (o->socket) {
		cwd = o->socket[0] == '/' ? NULL : getcwd(NULL, 0);
		socket = cwd ? x_asprintf("%s/%s", cwd, o->socket) : x_strdup(o->socket);
	}
	if ((o->workers && conf_set(conf, "workers", o->workers, err) < 0 &&
		    err_prefix(err, "-n")) ||
		(o->log_format && conf_set(conf, "log_format", o->log_format, err) < 0 &&
			err_prefix(err, "--log-format")) ||
		(socket && conf_set(conf, "control_socket", socket, err) < 0 &&
			err_prefix(err, "-s"))) {
		conf_free(conf);
		return NULL;
	}
	if (o->verbose)
		conf->log_level = LOG_LEVEL_DEBUG;
	return conf;
}

static int seal_secret(char *secret, struct err *err)
{
	size_t len = strlen(secret);
	int fd = -1;

	if (len > LIMIT_SECRET_BYTES || strpbrk(secret, "\r\n"))
		err_set(err, "the dashboard's secret has a line break or over %d bytes",
			LIMIT_SECRET_BYTES);
	else
		fd = fdio_seal("k6fleet-secret", secret, len, err);
	mem_wipe(secret, len);
	free(secret);
	return fd;
}

static enum found found_if(int fd, int *kept)
{
	*kept = fd;
	return fd < 0 ? FOUND_ERROR : FOUND;
}

static enum found keep_running(int secret_fd, int *kept, struct err *err)
{
	*kept = fcntl(secret_fd, F_DUPFD_CLOEXEC, HANDOVER_FD_END);
	if (*kept >= 0)
		return FOUND;
	err_sys(err, errno, "cannot keep the dashboard's secret");
	return FOUND_ERROR;
}

/* *kept gets a sealed copy.  NOT_FOUND: no dashboard, no secret. */
static enum found keep_secret(
	const struct conf *conf, const struct files_kept *running, int *kept, struct err *err)
{
	const char *env = getenv("DASHBOARD_SECRET");
	_cleanup_free_ char *given = NULL;
	const char *file = conf->dashboard.secret_file;
	char *secret = NULL;

	if (!conf->dashboard.url[0])
		return NOT_FOUND;
	if (env && *env)
		return found_if(seal_secret(x_strdup(env), err), kept);
	given = creds_given("dashboard-secret");
	if (given)
		file = given;
	else if (!file[0] && running && running->secret_fd >= 0)
		return keep_running(running->secret_fd, kept, err);
	if (!file[0]) {
		err_set(err,
			"dashboard.url is set but there is no secret: set dashboard.secret_file or "
			"DASHBOARD_SECRET (k6fleet-dashboard --make-secrets DIR makes one)");
		return FOUND_ERROR;
	}
	if (creds_read_secret(file, LIMIT_SECRET_BYTES, &secret, err) < 0)
		return FOUND_ERROR;
	return found_if(seal_secret(secret, err), kept);
}

/* *kept gets a sealed memfd with a copy of the file that dashboard.KEY names.  NOT_FOUND: it
 * names none. */
static enum found keep_file(const char *key, const char *path, int *kept, struct err *err)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	size_t len = 0;

	if (!path[0])
		return NOT_FOUND;
	/* The keeper reads it as root, so that nobody else needs to be able to read a key. */
	fd = hostfs_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(err, errno, "dashboard.%s: cannot read %s", key, path);
		return FOUND_ERROR;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > KEPT_FILE_MAX) {
		err_set(err, "dashboard.%s: %s is not a file of up to %d MiB", key, path,
			KEPT_FILE_MAX >> 20);
		return FOUND_ERROR;
	}
	buf = fdio_read_all(fd, path, KEPT_FILE_MAX, &len, err);
	if (!buf) {
		err_prefix(err, "dashboard.%s", key);
		return FOUND_ERROR;
	}
	*kept = fdio_seal(key, buf, len, err);
	mem_wipe(buf, len);
	return *kept < 0 ? FOUND_ERROR : FOUND;
}

int files_keep(const struct conf *conf, const struct files_kept *running, struct files_kept *out,
	struct err *err)
{
	const struct {
		const char *key, *path;
		int *fd;
	} files[] = {
		{"ca_file", conf->dashboard.ca_file, &out->ca_fd},
		{"client_cert", conf->dashboard.client_cert, &out->cert_fd},
		{"client_key", conf->dashboard.client_key, &out->key_fd},
	};
	enum found found;

	*out = (struct files_kept){-1, -1, -1, -1};
	found = keep_secret(conf, running, &out->secret_fd, err);
	title_forget_env("DASHBOARD_SECRET");
	/* This one is the dashboard's, but a stack that is started with one .env file has it in
	 * the environment, too. */
	title_forget_env("ADMIN_BASIC_AUTH");
	/* Certificates and the client's key are read now, while their paths lead to them. */
	for (size_t i = 0; i < ARRAY_SIZE(files) && found != FOUND_ERROR; i++)
		found = keep_file(files[i].key, files[i].path, files[i].fd, err);
	if (found != FOUND_ERROR)
		return 0;
	files_close(out);
	return -1;
}

void files_close(struct files_kept *kept)
{
	close_fd(&kept->secret_fd);
	close_fd(&kept->ca_fd);
	close_fd(&kept->cert_fd);
	close_fd(&kept->key_fd);
}
