/* SPDX-License-Identifier: MIT */
/* Keeps no output: workers have the ends of their logs, and a slow client misses pieces and is told
 * how many bytes. */
#include "supervisor/logs.h"

#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/units.h"

/* The time that a worker has to send its output. */
#define PATIENCE_MS 3000

enum interest { NONE, ASKED, RESPONDED };

struct watch {
	struct watch *next;
	struct control_ticket ticket;
	bool follow;
	int64_t until_ms;
	unsigned int waiting; /* agents whose output has not come yet */
	json_t *pieces;
	uint64_t skipped;
	uint8_t interest[]; /* enum interest, by slot */
};

struct logs {
	struct agents *agents;
	struct watch *list;
};

struct logs *logs_new(struct agents *agents)
{
	struct logs *l = x_calloc(1, sizeof(*l));

	l->agents = agents;
	return l;
}

static void drop(struct logs *l, struct watch *w)
{
	struct watch **p = &l->list;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	json_decref(w->pieces);
	free(w);
}

void logs_free(struct logs *l)
{
	while (l && l->list)
		drop(l, l->list);
	free(l);
}

static void finish(struct logs *l, struct watch *w)
{
	control_respond(w->ticket, json_pack("{s:O}", "logs", w->pieces));
	drop(l, w);
}

static bool is_followed(const struct logs *l, unsigned int slot)
{
	for (const struct watch *w = l->list; w; w = w->next) {
		if (w->follow && w->interest[slot])
			return true;
	}
	return false;
}

static bool ask(struct logs *l, unsigned int slot)
{
	/* MSG_LOG_ONCE would end what other clients follow. */
	return agents_ask_log(
		l->agents, slot, is_followed(l, slot) ? MSG_LOG_FOLLOW : MSG_LOG_ONCE);
}

void logs_watch(struct logs *l, struct control_ticket ticket, const unsigned int *slots,
	size_t count, bool follow)
{
	struct watch *w = x_calloc(1, sizeof(*w) + LIMIT_WORKERS);

	w->ticket = ticket;
	w->follow = follow;
	w->until_ms = units_now_mono_ms() + PATIENCE_MS;
	w->pieces = json_array();
	w->next = l->list;
	l->list = w;
	for (size_t i = 0; i < count; i++)
		w->interest[slots[i]] = ASKED;
	for (size_t i = 0; i < count; i++) {
		if (ask(l, slots[i]))
			w->waiting++;
		else if (!follow)
			w->interest[slots[i]] = RESPONDED;
	}
	if (!follow && !w->waiting)
		finish(l, w);
}

static json_t *piece_of(
	const struct logs *l, unsigned int slot, const char *run_id, const char *text, size_t len)
{
	return json_pack("{s:o, s:o, s:o}", "agent", json_text(agents_name(l->agents, slot)), "run",
		*run_id ? json_text(run_id) : json_null(), "text", json_text_n(text, len));
}

static void pass_on(const struct logs *l, struct watch *w, unsigned int slot, const char *run_id,
	const char *text, size_t len)
{
	char gap[80];

	if (control_is_behind(w->ticket)) {
		w->skipped += len;
		return;
	}
	if (w->skipped) {
		int n = snprintf(gap, sizeof(gap), "[... %llu bytes skipped, of all agents ...]\n",
			(unsigned long long)w->skipped);

		w->skipped = 0;
		control_progress(w->ticket, piece_of(l, slot, run_id, gap, (size_t)n));
	}
	control_progress(w->ticket, piece_of(l, slot, run_id, text, len));
}

void logs_take(struct logs *l, unsigned int slot, const char *run_id, bool first, const char *text,
	size_t len)
{
	for (struct watch *w = l->list, *next; w; w = next) {
		next = w->next;
		if (!w->interest[slot] || (first && w->interest[slot] == RESPONDED) ||
			(!first && w->interest[slot] == ASKED))
			continue;
		if (w->follow && len)
			pass_on(l, w, slot, run_id, text, len);
		else if (!w->follow && first)
			json_array_append_new(w->pieces, piece_of(l, slot, run_id, text, len));
		if (!first)
			continue;
		w->interest[slot] = RESPONDED;
		w->waiting--;
		if (!w->follow && !w->waiting)
			finish(l, w);
	}
}

void logs_worker_came(struct logs *l, unsigned int slot)
{
	bool asked = false;

	for (struct watch *w = l->list; w; w = w->next) {
		if (!w->follow || !w->interest[slot])
			continue;
		/* The worker before it may have ended without sending its output. */
		w->waiting += w->interest[slot] == RESPONDED;
		w->interest[slot] = ASKED;
		asked = true;
	}
	if (asked)
		ask(l, slot);
}

void logs_tick(struct logs *l)
{
	int64_t now = l->list ? units_now_mono_ms() : 0;

	for (struct watch *w = l->list, *next; w; w = next) {
		next = w->next;
		if (!w->follow && now > w->until_ms) {
			finish(l, w);
		} else if (!control_is_open(w->ticket)) {
			uint8_t was[LIMIT_WORKERS];

			memcpy(was, w->interest, sizeof(was));
			drop(l, w);
			for (unsigned int i = 0; i < LIMIT_WORKERS; i++) {
				if (was[i] && !is_followed(l, i))
					agents_ask_log(l->agents, i, MSG_LOG_STOP);
			}
		}
	}
}
