/* SPDX-License-Identifier: MIT */
/* ps(1) reads the memory from arg_start to arg_end of a process, proc_pid_cmdline(5).  Moving
 * these needs a privilege, so the title is written into that memory. */
#include "common/title.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/mem.h"

#define TITLE_ROOM 256
#define PAD_NAME "K6FLEET_TITLE_ROOM"

extern char **environ;

static struct {
	char *start;
	size_t size;
} area;

static size_t area_size(int argc, char **argv)
{
	char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;

	for (char **e = environ; *e; e++) {
		if (*e == end)
			end = *e + strlen(*e) + 1;
	}
	return (size_t)(end - argv[0]);
}

static void restart_with_room(char **argv)
{
	static char pad[sizeof(PAD_NAME) + 1 + TITLE_ROOM];
	size_t n = 0;
	char **env;

	while (environ[n])
		n++;
	env = x_calloc(n + 2, sizeof(*env));
	memcpy(env, environ, n * sizeof(*env));
	memset(pad, '-', sizeof(pad) - 1);
	memcpy(pad, PAD_NAME "=", sizeof(PAD_NAME));
	env[n] = pad;
	execve("/proc/self/exe", argv, env);
	/* No /proc, or no permission: titles are short then. */
	free(env);
}

void title_init(int argc, char **argv)
{
	char **copy;
	size_t n = 0;

	if (argc < 1)
		return;
	if (area_size(argc, argv) < TITLE_ROOM && !getenv(PAD_NAME))
		restart_with_room(argv);
	area.start = argv[0];
	area.size = area_size(argc, argv);
	while (environ[n])
		n++;
	copy = x_calloc(n + 1, sizeof(*copy));
	n = 0;
	for (char **e = environ; *e; e++) {
		if (strncmp(*e, PAD_NAME "=", sizeof(PAD_NAME)) != 0)
			copy[n++] = x_strdup(*e);
	}
	environ = copy;
	for (int i = 0; i < argc; i++)
		argv[i] = x_strdup(argv[i]);
}

void title_set(const char *comm, const char *fmt, ...)
{
	char text[TITLE_ROOM];
	va_list ap;
	size_t len;

	prctl(PR_SET_NAME, comm);
	if (!area.start)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	len = strlen(text);
	if (len > area.size - 1)
		len = area.size - 1;
	memset(area.start, 0, area.size);
	memcpy(area.start, text, len);
}

void title_forget_env(const char *name)
{
	char *value = getenv(name), *entry;

	if (!value)
		return;
	mem_wipe(value, strlen(value));
	/* The string is title_init()'s copy, NAME=VALUE. */
	entry = value - strlen(name) - 1;
	unsetenv(name);
	if (area.start)
		free(entry);
}
