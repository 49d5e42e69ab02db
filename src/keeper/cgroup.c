/* SPDX-License-Identifier: MIT */
/* A slot's cgroup holds k6 and the processes that k6 starts.  The worker stays outside:
 * memory.oom.group would kill it, too, and nobody could report what happened. */
#include "keeper/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"

#define LEAF "k6fleetd" /* where keeper, supervisor and workers live */
#define TEXT_MAX 4096

static int write_at(int dir_fd, const char *file, const char *text)
{
	_cleanup_fd_ int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static int read_at(int dir_fd, const char *file, char *buf)
{
	_cleanup_fd_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, TEXT_MAX - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n < 0 ? -1 : 0;
}

/* Returns the path of the process's cgroup below the v2 mount, from "0::/PATH" in
 * /proc/self/cgroup. */
static char *cgroup_own_path(void)
{
	_cleanup_file_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[TEXT_MAX];

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "0::/", 4)) {
			line[strcspn(line, "\n")] = '\0';
			return x_strdup(line + 3);
		}
	}
	return NULL;
}

static int open_own(struct err *why)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	_cleanup_free_ char *path = cgroup_own_path();
	size_t len = path ? strlen(path) : 0;
	struct statfs fs;

	/* After a restart of the program in the same cgroup the process is in the leaf already. */
	if (len >= sizeof(LEAF) && !strcmp(path + len - sizeof(LEAF), "/" LEAF))
		path[len - sizeof(LEAF)] = '\0';
	for (size_t i = 0; path && i < ARRAY_SIZE(mounts); i++) {
		if (statfs(mounts[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
			_cleanup_free_ char *dir = x_asprintf("%s%s", mounts[i], path);
			int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			return fd < 0 ? err_sys(why, errno, "cannot open %s", dir) : fd;
		}
	}
	return err_set(why, "cgroup v2 is not mounted on /sys/fs/cgroup");
}

/* systemd marks a delegated cgroup with an extended attribute; one that is delegated to an
 * ordinary user belongs to that user.  Without either sign another program may manage the
 * subtree. */
static bool is_delegated(int fd)
{
	char value[8] = "";
	struct stat st;

	if (fgetxattr(fd, "user.delegate", value, sizeof(value) - 1) < 0 &&
		fgetxattr(fd, "trusted.delegate", value, sizeof(value) - 1) < 0)
		value[0] = '\0';
	return value[0] == '1' || (geteuid() != 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid());
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)) != NULL; p += n) {
		if ((p == text || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\n' || !p[n]))
			return true;
	}
	return false;
}

/* cgroups(7), "no internal processes": all processes must leave the base before controllers can
 * be enabled below it. */
static int move_to_leaf(int base, struct err *why)
{
	char pids[TEXT_MAX], *save = NULL;
	_cleanup_fd_ int leaf = -1;

	if (mkdirat(base, LEAF, 0755) < 0 && errno != EEXIST)
		return err_sys(why, errno, "cannot make a cgroup");
	leaf = openat(base, LEAF, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf < 0 || read_at(base, "cgroup.procs", pids) < 0)
		return err_sys(why, errno, "cannot use the cgroup " LEAF);
	for (char *pid = strtok_r(pids, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save)) {
		if (write_at(leaf, "cgroup.procs", pid) < 0 && errno != ESRCH)
			return err_sys(
				why, errno, "cannot move process %s to the cgroup " LEAF, pid);
	}
	return 0;
}

int cgroup_open(struct cgroup *cg, struct err *why)
{
	_cleanup_fd_ int base = open_own(why);
	char controllers[TEXT_MAX];

	*cg = (struct cgroup){.base_fd = -1};
	if (base < 0)
		return -1;
	if (!is_delegated(base))
		return err_set(
			why, "no cgroup is delegated to k6fleetd (Delegate=yes in its unit)");
	if (read_at(base, "cgroup.controllers", controllers) < 0 ||
		!has_word(controllers, "memory") || !has_word(controllers, "pids"))
		return err_set(why, "the controllers memory and pids are not delegated");
	if (move_to_leaf(base, why) < 0)
		return -1;
	if (write_at(base, "cgroup.subtree_control", "+memory +pids") < 0)
		return err_sys(why, errno, "cannot hand the controllers down");
	cg->cpu = has_word(controllers, "cpu") &&
		write_at(base, "cgroup.subtree_control", "+cpu") == 0;
	cg->base_fd = steal_fd(&base);
	return 0;
}

static int set_limits(const struct cgroup *cg, const struct conf *conf, int dir, struct err *err)
{
	char text[64];

	snprintf(text, sizeof(text), "%lld", (long long)conf->limits.memory_bytes);
	if (write_at(dir, "memory.max", text) < 0 || write_at(dir, "memory.oom.group", "1") < 0)
		return err_sys(err, errno, "cannot set memory.max");
	snprintf(text, sizeof(text), "%lld", (long long)conf->limits.processes);
	if (write_at(dir, "pids.max", text) < 0)
		return err_sys(err, errno, "cannot set pids.max");
	/* Quota and period in microseconds. */
	snprintf(text, sizeof(text), "%lld 100000", (long long)conf->limits.cpu_percent * 1000);
	if (cg->cpu && conf->limits.cpu_percent && write_at(dir, "cpu.max", text) < 0)
		return err_sys(err, errno, "cannot set cpu.max");
	return 0;
}

int cgroup_enter_slot(const struct cgroup *cg, const struct conf *conf, unsigned int slot,
	struct cgroup_slot *out, struct err *err)
{
	char name[32];

	*out = (struct cgroup_slot){-1, -1};
	if (cg->base_fd < 0)
		return 0;
	snprintf(name, sizeof(name), "agent-%u", slot);
	if (mkdirat(cg->base_fd, name, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make the cgroup %s", name);
	out->dir_fd = openat(cg->base_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->dir_fd < 0)
		return err_sys(err, errno, "cannot open the cgroup %s", name);
	out->procs_fd = openat(out->dir_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (out->procs_fd < 0) {
		err_sys(err, errno, "cannot open cgroup.procs of %s", name);
	} else if (set_limits(cg, conf, out->dir_fd, err) == 0) {
		return 0;
	}
	cgroup_close_slot(out);
	return err_prefix(err, "%s", name);
}

void cgroup_close_slot(struct cgroup_slot *s)
{
	close_fd(&s->dir_fd);
	close_fd(&s->procs_fd);
}

void cgroup_remove_slot(const struct cgroup *cg, unsigned int slot)
{
	char name[32];

	if (cg->base_fd < 0)
		return;
	snprintf(name, sizeof(name), "agent-%u", slot);
	/* A cgroup that is still busy is used again by the next worker of the slot. */
	if (unlinkat(cg->base_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		log_debug("cgroup", "cannot remove %s: %s", name, strerror(errno));
}
