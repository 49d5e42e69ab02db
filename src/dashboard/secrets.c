/* SPDX-License-Identifier: MIT */
/* Secrets come from one of three places and leave no copy in the environment. */
#include "dashboard/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/creds.h"
#include "common/fdio.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/title.h"

#define SECRET_BYTES 32
#define PEM_MAX_BYTES (256 * 1024)

/* Writes 256 random bits as hexadecimal digits, which neither a shell nor a URL changes. */
static void make_token(char *out)
{
	unsigned char raw[SECRET_BYTES];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		fatal(EXIT_FAILURE, "cannot get random bytes: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
	mem_wipe(raw, sizeof(raw));
}

static void write_secret(const char *dir, const char *name, const char *prefix)
{
	_cleanup_free_ char *path = x_asprintf("%s/%s", dir, name);
	_cleanup_fd_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	char token[2 * SECRET_BYTES + 1];

	if (fd < 0 && errno == EEXIST) {
		printf("%s is there already and was left as it is\n", path);
		return;
	}
	make_token(token);
	if (fd < 0 || dprintf(fd, "%s%s\n", prefix, token) < 0 || fsync(fd) < 0)
		fatal(EXIT_FAILURE, "cannot write %s: %s", path, strerror(errno));
	mem_wipe(token, sizeof(token));
	printf("made %s\n", path);
}

void secrets_make(const char *dir)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		fatal(EXIT_FAILURE, "cannot make the directory %s: %s", dir, strerror(errno));
	write_secret(dir, "dashboard-secret", "");
	write_secret(dir, "admin-auth", "admin:");
}

char *secrets_take(
	const char *env_name, const char *file, const char *option, const char *file_name)
{
	const char *env = getenv(env_name);
	_cleanup_free_ char *given = file[0] ? NULL : creds_given(file_name);
	char *secret;
	struct err err;

	if (given)
		file = given;
	if (env && *env) {
		secret = x_strdup(env);
		title_forget_env(env_name);
		if (strlen(secret) > LIMIT_SECRET_BYTES)
			fatal(EXIT_FAILURE, "%s is longer than %d bytes", env_name,
				LIMIT_SECRET_BYTES);
		return secret;
	}
	if (!file[0])
		fatal(EXIT_FAILURE,
			"there is no %s: run `k6fleet-dashboard --make-secrets DIR` and set %s = DIR/%s, or set %s",
			option, option, file_name, env_name);
	if (creds_read_secret(file, LIMIT_SECRET_BYTES, &secret, &err) < 0)
		fatal(EXIT_FAILURE, "%s", err.msg);
	return secret;
}

char *secrets_read_pem(const char *path, const char *option)
{
	struct err err;
	size_t len;
	char *text = fdio_read_file(path, 0, PEM_MAX_BYTES, &len, &err);

	if (!text)
		fatal(EXIT_FAILURE, "%s: %s", option, err.msg);
	if (len == 0)
		fatal(EXIT_FAILURE, "%s: %s is empty; it must be PEM", option, path);
	return text;
}
