/* SPDX-License-Identifier: MIT */
/* Everything is read into a new configuration first; then each part takes from it what it needs.
 * Workers are touched only where theirs has changed, and then only as they fall idle. */
#include "supervisor/reload.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"
#include "supervisor/agents.h"
#include "supervisor/handed.h"
#include "supervisor/keeper_link.h"
#include "supervisor/sync.h"

#define WAITING_MAX 64

struct reload {
	struct control_ticket waiting[WAITING_MAX];
	size_t count;
};

void reload_ask(struct supervisor *sup, struct control_ticket ticket, bool binary)
{
	struct msg_writer m = {0};

	if (!sup->reload)
		sup->reload = x_calloc(1, sizeof(*sup->reload));
	if (sup->reload->count == WAITING_MAX) {
		control_refuse(ticket, "refused", "too many reloads are under way; try again");
		return;
	}
	sup->reload->waiting[sup->reload->count++] = ticket;
	msg_put_keep_reload(
		&m, &(struct msg_keep_reload){.asker = ticket.client, .binary = binary});
	keeper_link_send(sup->keeper, &m);
}

static void note_change(
	void *arg, const char *key, const char *from, const char *to, enum conf_effect effect)
{
	json_t *list = arg;

	/* The keeper's name for a sealed copy is nobody's business. */
	if (!strncmp(to, "'/proc/self/fd/", 15) && !strncmp(from, "'/proc/self/fd/", 15))
		return;
	log_event(LOG_LEVEL_INFO, "reload", "changed", LOG_BARE("key", key), LOG_WORD("from", from),
		LOG_WORD("to", to),
		LOG_BARE("note",
			effect == CONF_EFFECT_WORKERS ? "(new workers as they fall idle)" : NULL));
	json_array_append_new(list,
		json_pack("{s:o, s:o, s:o, s:s}", "key", json_text(key), "from", json_text(from),
			"to", json_text(to), "effect",
			effect == CONF_EFFECT_WORKERS ? "new workers" : "now"));
}

/* A count that was changed in the file replaces the saved one; a lower ceiling lowers it. */
static void apply_count(struct supervisor *sup, const struct conf *old)
{
	int64_t count = sup->desired;
	char text[32];

	if (sup->conf->workers != old->workers) {
		count = sup->conf->workers;
		snprintf(text, sizeof(text), "%lld", (long long)count);
		fleet_store_meta_set(sup->store, "workers_in_file", text);
	}
	if (count > sup->conf->max_workers)
		count = sup->conf->max_workers;
	if (count == sup->desired)
		return;
	supervisor_set_desired(
		sup, (unsigned int)count, sup->revision + 1, false, "configuration file");
	if (sup->sync)
		sync_scaled(sup->sync);
}

static void apply_dashboard(struct supervisor *sup)
{
	char *secret = handed_read_secret();
	struct err err;

	if (sup->sync) {
		sync_reconfigure(sup->sync, secret ? secret : "");
	} else if (sup->conf->dashboard.url[0]) {
		fleet_store_use_outbox(sup->store);
		sup->sync = sync_new(sup, secret ? secret : "", &err);
		if (sup->sync)
			sync_start(sup->sync);
		else
			log_error("dashboard", "%s", err.msg);
	}
	if (secret) {
		mem_wipe(secret, strlen(secret));
		free(secret);
	}
}

static json_t *apply(struct supervisor *sup, struct err *err)
{
	struct conf *conf = handed_read_config(err), *old = sup->conf;
	json_t *changes;

	if (!conf)
		return NULL;
	changes = json_array();
	conf_diff(old, conf, note_change, changes);
	sup->conf = conf;
	log_init("k6fleet-supervisor", (enum log_level)conf->log_level, conf->log_format == 1);
	supervisor_configure_fleet(sup);
	supervisor_configure_schedule(sup);
	agents_grow(sup->agents, (unsigned int)conf->max_workers);
	targets_reconfigure(sup->targets, conf);
	apply_dashboard(sup);
	apply_count(sup, old);
	if (conf_workers_differ(old, conf))
		agents_renew(sup->agents, false);
	conf_free(old);
	return changes;
}

/* The ticket that waits under this name; false: a signal, or a client that has gone. */
static bool take_waiting(struct supervisor *sup, uint64_t client, struct control_ticket *out)
{
	struct reload *r = sup->reload;

	for (size_t i = 0; r && i < r->count; i++) {
		if (r->waiting[i].client != client)
			continue;
		*out = r->waiting[i];
		r->waiting[i] = r->waiting[--r->count];
		return true;
	}
	return false;
}

static json_t *split_keys(char *text)
{
	json_t *list = json_array();

	for (char *save = NULL, *key = strtok_r(text, ", ", &save); key;
		key = strtok_r(NULL, ", ", &save))
		json_array_append_new(list, json_text(key));
	return list;
}

void reload_done(struct supervisor *sup, struct msg_reader *in)
{
	struct msg_keeper_reloaded m;
	_cleanup_free_ char *text = NULL;
	struct control_ticket ticket;
	json_t *changes = NULL;
	struct err err;
	bool waits;

	msg_get_keeper_reloaded(in, &m);
	text = msg_text_dup(m.text);
	waits = take_waiting(sup, m.asker, &ticket);
	if (m.done)
		changes = apply(sup, &err);
	else
		err_set(&err, "%s", text);
	if (!waits) {
		json_decref(changes);
		return;
	}
	if (changes)
		control_answer(ticket,
			json_pack(
				"{s:o, s:o}", "changed", changes, "needRestart", split_keys(text)));
	else
		control_refuse(ticket, "refused", "%s", err.msg);
}

void reload_handed_over(struct supervisor *sup)
{
	for (size_t i = 0; sup->reload && i < sup->reload->count; i++)
		control_answer(
			sup->reload->waiting[i], json_pack("{s:s}", "state", "handing over"));
	reload_free(sup);
}

void reload_free(struct supervisor *sup)
{
	free(sup->reload);
	sup->reload = NULL;
}
