/* SPDX-License-Identifier: MIT */
/* Workers run the k6 that was opened until somebody asks for the one on disk: the old file stays
 * open.  A binary that was overwritten in place is refused by the worker (agent/launch.c). */
#include "keeper/k6.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/hostfs.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "keeper/probe.h"
#include "keeper/supervisor_link.h"

int k6_find(const struct conf *conf, bool by_fd, struct k6bin *out, struct err *err)
{
	_cleanup_fd_ int fd = hostfs_open(conf->k6.binary, O_PATH);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err,
			"there is no k6 at %s (%s); install k6 "
			"(https://grafana.com/docs/k6/latest/set-up/install-k6/) or set k6.binary or "
			"K6_BINARY to where it is; then k6fleetctl reload",
			conf->k6.binary, strerror(errno));
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return err_set(err, "%s is not an executable file; set k6.binary or K6_BINARY",
			conf->k6.binary);
	*out = (struct k6bin){.fd = -1, .by_fd = by_fd};
	if (filestamp_take(fd, &out->stamp) < 0)
		return err_sys(err, errno, "cannot look at %s", conf->k6.binary);
	out->fd = steal_fd(&fd);
	return 0;
}

bool k6_is_optional(const struct conf *conf)
{
	return !strcmp(conf->k6.binary, CONF_K6_BINARY);
}

enum found k6_look_again(const struct keeper *k, const struct conf *conf, struct k6bin *out,
	char version[K6VERSION_MAX], struct err *err)
{
	if (k6_find(conf, true, out, err) < 0)
		/* Still no k6: the rest of a new configuration may be right all the same. */
		return k6_is_optional(conf) && k->children.k6.fd < 0 ? NOT_FOUND : FOUND_ERROR;
	if (filestamp_is_same(&out->stamp, &k->children.k6.stamp)) {
		close_fd(&out->fd);
		return NOT_FOUND;
	}
	if (probe_k6(&k->sandbox, conf, out, version, err) == 0)
		return FOUND;
	close_fd(&out->fd);
	return FOUND_ERROR;
}

void k6_use(struct keeper *k, const struct k6bin *k6, const char *version)
{
	struct msg_writer m = {0};

	log_event(LOG_LEVEL_INFO, "k6", "new workers run another k6", LOG_WORD("version", version),
		LOG_WORD("from", k->k6_version[0] ? k->k6_version : "none"));
	children_use_k6(&k->children, k6);
	snprintf(k->k6_version, sizeof(k->k6_version), "%s", version);
	k->children.epoch++;
	msg_put_keeper_k6(&m, &(struct msg_keeper_k6){.version = msg_text(version)});
	supervisor_link_tell(k, &m, -1);
}
