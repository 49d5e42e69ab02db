/* SPDX-License-Identifier: MIT */
#include "keeper/upgrade_children.h"

#include "common/mem.h"

void upgrade_children_collect(const struct children *c, struct upgrade_state *s)
{
	s->children = x_calloc(c->high + 1, sizeof(*s->children));
	for (unsigned int i = 0; i < c->high; i++) {
		const struct child *ch = &c->slots[i];

		if (ch->used)
			s->children[s->children_count++] = (struct upgrade_state_children){
				.slot = i,
				.pid = ch->pid,
				.generation = ch->generation,
				.started_mono_ms = ch->started_mono_ms,
				.alive = ch->alive,
				.wait_status = ch->wait_status,
				.restarts = ch->restarts,
				.epoch = ch->epoch,
				.chan = ch->chan,
			};
	}
}

void upgrade_children_adopt(struct children *c, const struct upgrade_state *s)
{
	c->epoch = s->keeper.epoch + 1;
	for (size_t i = 0; i < s->children_count; i++) {
		const struct upgrade_state_children *row = &s->children[i];

		children_adopt(c, row->slot,
			&(struct child){.used = true,
				.pid = row->pid,
				.generation = row->generation,
				.started_mono_ms = row->started_mono_ms,
				.alive = row->alive,
				.wait_status = row->wait_status,
				.restarts = row->restarts,
				.epoch = row->epoch,
				.chan = row->chan});
	}
}
