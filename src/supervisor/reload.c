/* SPDX-License-Identifier: MIT */
/* The whole new configuration is read before any part takes something of it. */
#include "supervisor/reload.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "supervisor/handed.h"

#define WAITING_MAX 64

struct reload {
	struct keeper_link *keeper;
	struct conf *conf;
	reload_apply *apply;
	void *arg;
	struct control_ticket waiting[WAITING_MAX];
	size_t count;
};

struct reload *reload_new(
	struct keeper_link *keeper, struct conf *conf, reload_apply *apply, void *arg)
{
	struct reload *r = x_calloc(1, sizeof(*r));

	r->keeper = keeper;
	r->conf = conf;
	r->apply = apply;
	r->arg = arg;
	return r;
}

void reload_free(struct reload *r)
{
	if (!r)
		return;
	conf_free(r->conf);
	free(r);
}

void reload_ask(struct reload *r, struct control_ticket ticket, bool binary)
{
	struct msg_writer m = {0};

	if (r->count == WAITING_MAX) {
		control_refuse(ticket, "refused", "too many reloads are under way; try again");
		return;
	}
	r->waiting[r->count++] = ticket;
	msg_put_keep_reload(&m, &(struct msg_keep_reload){ticket.client, binary});
	keeper_link_send(r->keeper, &m);
}

static void note_change(
	void *arg, const char *key, const char *from, const char *to, enum conf_effect effect)
{
	json_t *list = arg;

	/* Paths of sealed copies are not shown. */
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

/* Returns the changes, a new reference; NULL and err if the new configuration cannot be read. */
static json_t *apply(struct reload *r, struct err *err)
{
	struct conf *conf = handed_read_config(err), *old = r->conf;
	json_t *changes;

	if (!conf)
		return NULL;
	changes = json_array();
	conf_diff(old, conf, note_change, changes);
	r->conf = conf;
	r->apply(r->arg, old, conf);
	conf_free(old);
	return changes;
}

/* Takes the ticket of this client off the list.  Returns false if there is none, as for a
 * signal. */
static bool take_waiting(struct reload *r, uint64_t client, struct control_ticket *out)
{
	for (size_t i = 0; i < r->count; i++) {
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

void reload_done(struct reload *r, const struct msg_keeper_reloaded *m)
{
	_cleanup_free_ char *text = msg_text_dup(m->text);
	struct control_ticket ticket;
	bool waits = take_waiting(r, m->asker, &ticket);
	json_t *changes = NULL;
	struct err err;

	/* The keeper has logged what it refuses. */
	if (!m->done)
		err_set(&err, "%s", text);
	else if (!(changes = apply(r, &err)))
		log_event(LOG_LEVEL_ERROR, "reload",
			"cannot be applied, the supervisor keeps what it had", LOG_ERROR(err.msg));
	if (!waits) {
		json_decref(changes);
		return;
	}
	if (changes)
		control_respond(ticket,
			json_pack(
				"{s:o, s:o}", "changed", changes, "needRestart", split_keys(text)));
	else
		control_refuse(ticket, "refused", "%s", err.msg);
}

void reload_handed_over(struct reload *r)
{
	for (size_t i = 0; i < r->count; i++)
		control_respond(r->waiting[i], json_pack("{s:s}", "state", "handing over"));
	r->count = 0;
}
