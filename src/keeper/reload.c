/* SPDX-License-Identifier: MIT */
/* Carries out HUP and the verb `reload`.  Reads and checks everything first, then changes it in
 * one step; an error changes nothing.  The supervisor gets the new descriptors and applies the
 * difference. */
#include "keeper/reload.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/units.h"
#include "keeper/k6.h"
#include "keeper/notify.h"
#include "keeper/privs.h"
#include "keeper/supervisor_link.h"

struct fresh {
	struct conf *conf;
	struct files_kept kept;
	int config_fd;
	struct k6bin k6; /* fd -1: the k6 in use stays */
	char k6_version[K6VERSION_MAX];
	char *fixed; /* names of changed keys that keep their old values until the next start */
};

static int prepare(struct keeper *k, struct fresh *f, struct err *err)
{
	bool usage;
	size_t size;
	FILE *fixed;

	*f = (struct fresh){.kept = {-1, -1, -1, -1}, .config_fd = -1, .k6.fd = -1};
	f->conf = files_load_config(&k->options, &usage, err);
	if (!f->conf)
		return -1;
	fixed = open_memstream(&f->fixed, &size);
	if (!fixed)
		return err_set(err, "out of memory");
	conf_inherit(f->conf, k->conf, fixed);
	fclose(fixed);
	if (privs_raise_files((unsigned long)f->conf->max_workers + FILES_SLACK, err) < 0 ||
		files_keep(f->conf, &k->handover.kept, &f->kept, err) < 0)
		return -1;
	f->config_fd = handover_make_config(f->conf, err);
	if (f->config_fd < 0)
		return -1;
	/* Last, because it may take seconds. */
	switch (k6_look_again(k, f->conf, &f->k6, f->k6_version, err)) {
	case FOUND: break;
	case NOT_FOUND: f->k6.fd = -1; break;
	case FOUND_ERROR: return -1;
	}
	return 0;
}

static void discard(struct fresh *f)
{
	conf_free(f->conf);
	files_close(&f->kept);
	close_fd(&f->config_fd);
	close_fd(&f->k6.fd);
	free(f->fixed);
}

/* From here on nothing can fail. */
static void swap(struct keeper *k, struct fresh *f)
{
	if (conf_workers_differ(k->conf, f->conf))
		k->children.epoch++;
	conf_free(k->conf);
	files_close(&k->handover.kept);
	close_fd(&k->handover.config_fd);
	k->conf = f->conf;
	k->children.conf = k->handover.conf = f->conf;
	k->handover.kept = f->kept;
	k->handover.config_fd = f->config_fd;
	log_init("k6fleetd", (enum log_level)k->conf->log_level, k->conf->log_format == 1);
	if (f->k6.fd >= 0)
		k6_use(k, &f->k6, f->k6_version);
	free(f->fixed);
}

static void pass_on(struct keeper *k, enum handover_fd which, int fd)
{
	struct msg_writer m = {0};

	msg_put_keeper_file(&m, &(struct msg_keeper_file){.which = which, .exists = fd >= 0});
	/* KEEPER_FILE always carries a descriptor.  Without a file, the descriptor of the
	 * configuration is sent as a placeholder; the supervisor has it already. */
	supervisor_link_tell(k, &m, fd >= 0 ? fd : k->handover.config_fd);
}

static void respond(struct keeper *k, uint64_t asker, bool ok, const char *text)
{
	struct msg_writer m = {0};

	msg_put_keeper_reloaded(&m,
		&(struct msg_keeper_reloaded){.asker = asker, .done = ok, .text = msg_text(text)});
	supervisor_link_tell(k, &m, -1);
}

void keeper_reload_refuse(struct keeper *k, uint64_t asker, const char *why)
{
	respond(k, asker, false, why);
}

int keeper_reload(struct keeper *k, uint64_t asker)
{
	struct timespec now;
	struct fresh f;
	struct err err;
	char text[MSG_TEXT_MAX];

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	if (prepare(k, &f, &err) < 0) {
		discard(&f);
		log_event(LOG_LEVEL_ERROR, "reload", "refused, nothing has changed",
			LOG_ERROR(err.msg));
		respond(k, asker, false, err.msg);
		notify_send("READY=1");
		return -1;
	}
	if (f.fixed[0])
		log_event(LOG_LEVEL_WARN, "reload", "needs a new start of k6fleetd, kept as it was",
			LOG_TAIL("keys", f.fixed));
	snprintf(text, sizeof(text), "%s", f.fixed);
	swap(k, &f);
	pass_on(k, HANDOVER_FD_CONFIG, k->handover.config_fd);
	pass_on(k, HANDOVER_FD_SECRET, k->handover.kept.secret_fd);
	pass_on(k, HANDOVER_FD_CA_FILE, k->handover.kept.ca_fd);
	pass_on(k, HANDOVER_FD_CLIENT_CERT, k->handover.kept.cert_fd);
	pass_on(k, HANDOVER_FD_CLIENT_KEY, k->handover.kept.key_fd);
	respond(k, asker, true, text);
	log_event(LOG_LEVEL_INFO, "reload", "read", LOG_BARE("file", k->options.config));
	notify_send("READY=1");
	return 0;
}
