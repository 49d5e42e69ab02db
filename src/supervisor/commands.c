/* SPDX-License-Identifier: MIT */
/* The id of a command is queued for the store before the records of its runs: if this process dies
 * in between, the next one finds the command done or its runs lost, and never carries it out again.
 * A command that cannot be carried out yet is kept and tried again with each poll, until the
 * dashboard lets it expire. */
#include "supervisor/commands.h"

#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/mem.h"

/* The dashboard sends a command for five minutes; nobody gives so many commands in that time. */
#define REMEMBERED_MAX 1000
#define PENDING_MAX 1000

struct commands {
	struct commands_parts with;
	json_t *done;    /* ids, oldest first, kept across restarts */
	json_t *unheard; /* the ids of done that the dashboard has not heard of yet */
	json_t *pending; /* commands that could not be carried out yet */
	struct log_limit limit;
};

struct commands *commands_new(const struct commands_parts *parts)
{
	struct commands *c = x_calloc(1, sizeof(*c));
	const char *saved = kept_get(parts->kept, KEPT_COMMANDS_DONE);

	c->with = *parts;
	c->done = saved ? json_loads(saved, 0, NULL) : NULL;
	if (!json_is_array(c->done)) {
		json_decref(c->done);
		c->done = json_array();
	}
	c->unheard = json_deep_copy(c->done);
	c->pending = json_array();
	return c;
}

void commands_free(struct commands *c)
{
	if (!c)
		return;
	json_decref(c->done);
	json_decref(c->unheard);
	json_decref(c->pending);
	free(c);
}

static bool has_id(const json_t *ids, const char *id)
{
	json_t *item;
	size_t i;

	json_array_foreach (ids, i, item) {
		if (!strcmp(json_string_value(item) ? json_string_value(item) : "", id))
			return true;
	}
	return false;
}

struct accepted {
	struct commands *commands;
	const char *id;
};

static void remember(struct commands *c, const char *id)
{
	_cleanup_free_ char *text = NULL;

	json_array_append_new(c->done, json_text(id));
	json_array_append_new(c->unheard, json_text(id));
	while (json_array_size(c->done) > REMEMBERED_MAX)
		json_array_remove(c->done, 0);
	text = json_compact(c->done);
	kept_set(c->with.kept, KEPT_COMMANDS_DONE, text);
}

static void on_accepted(void *arg)
{
	struct accepted *a = arg;

	remember(a->commands, a->id);
}

/* Starts the run.  Returns NULL, or why it cannot be started: now, or with *final ever. */
static const char *run(struct commands *c, const json_t *command, bool *final, struct err *err)
{
	int64_t agents = json_get_int(command, "agents", 1);
	struct accepted accepted = {c, json_get_text(command, "id", "")};
	struct order_request rq = {
		.target = targets_find(c->with.targets, json_get_text(command, "targetId", "")),
		.agents = agents < 1             ? 1
			: agents > LIMIT_WORKERS ? LIMIT_WORKERS
						 : (unsigned int)agents,
		.at_most = true,
		.sync = json_is_true(json_object_get(command, "sync")),
		.who = "dashboard",
		.on_accepted = on_accepted,
		.arg = &accepted,
	};
	const char *forbidden = rq.target ? agents_forbidden(c->with.agents, rq.target) : NULL;
	json_t *started;

	/* Targets come with the same response, so an unknown target was left out as invalid. */
	*final = !rq.target || forbidden;
	if (*final)
		return forbidden ? forbidden : "its target is not known here";
	started = orders_run(&c->with.orders, &rq, err);
	json_decref(started);
	return started ? NULL : err->msg;
}

static const char *cancel(struct commands *c, const json_t *command)
{
	int slot = agents_find_run(c->with.agents, json_get_text(command, "runId", ""));

	if (slot < 0)
		return "the run has ended already, or was never here";
	agents_cancel(c->with.agents, (unsigned int)slot);
	return NULL;
}

static void pause_or_resume(struct commands *c, const json_t *command, bool paused)
{
	bool now = paused && json_is_true(json_object_get(command, "now"));

	desired_pause(c->with.desired, paused, now, "dashboard");
	if (now)
		agents_cancel_all(c->with.agents);
}

static const char *carry_out(
	struct commands *c, const json_t *command, bool *final, struct err *err)
{
	const char *type = json_get_text(command, "type", "");

	if (!strcmp(type, "run"))
		return run(c, command, final, err);
	*final = true;
	if (!strcmp(type, "cancel"))
		return cancel(c, command);
	if (!strcmp(type, "pause")) {
		pause_or_resume(c, command, true);
		return NULL;
	}
	if (strcmp(type, "resume") != 0)
		return "this version does not know such commands";
	/* Nobody knows whether the resume was carried out before a pause that cannot be read
	 * either. */
	if (kept_error(c->with.kept))
		return "what was kept in state_dir cannot be read; k6fleetctl status says more";
	pause_or_resume(c, command, false);
	return NULL;
}

/* Returns whether the command need not be tried again. */
static bool try_one(struct commands *c, const json_t *command)
{
	const char *id = json_get_text(command, "id", "");
	const char *type = json_get_text(command, "type", "");
	bool final = false;
	struct err err;
	const char *why = carry_out(c, command, &final, &err);

	if (why && log_limit_allows(&c->limit, 10))
		log_event(LOG_LEVEL_WARN, "dashboard",
			final ? "command not carried out" : "command not carried out yet",
			LOG_WORD("command", id), LOG_WORD("type", type), LOG_ERROR(why));
	if (why && !final)
		return false;
	if (why || strcmp(type, "run") != 0)
		remember(c, id);
	return true;
}

bool commands_retry(struct commands *c)
{
	bool any = false;

	for (size_t i = 0; i < json_array_size(c->pending);) {
		if (try_one(c, json_array_get(c->pending, i))) {
			json_array_remove(c->pending, i);
			any = true;
		} else {
			i++;
		}
	}
	return any;
}

bool commands_take(struct commands *c, const json_t *list)
{
	json_t *item;
	size_t i;
	bool again = false;

	json_array_clear(c->pending);
	json_array_foreach (list, i, item) {
		const char *id = json_get_text(item, "id", "");

		if (!*id || strlen(id) > TARGET_ID_MAX ||
			json_array_size(c->pending) >= PENDING_MAX)
			continue;
		if (!has_id(c->done, id)) {
			json_array_append(c->pending, item);
		} else if (!has_id(c->unheard, id)) {
			/* The dashboard sends it again, so it has lost the acknowledgement. */
			json_array_append_new(c->unheard, json_text(id));
			again = true;
		}
	}
	return commands_retry(c) || again;
}

json_t *commands_done(const struct commands *c)
{
	return json_deep_copy(c->unheard);
}

void commands_acknowledged(struct commands *c, const json_t *ids)
{
	for (size_t i = 0; i < json_array_size(c->unheard);) {
		if (has_id(ids, json_string_value(json_array_get(c->unheard, i))))
			json_array_remove(c->unheard, i);
		else
			i++;
	}
}
