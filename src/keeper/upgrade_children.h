/* SPDX-License-Identifier: MIT */
/* The table of workers as rows of the state for the next image, and back. */
#ifndef K6FLEET_KEEPER_UPGRADE_CHILDREN_H
#define K6FLEET_KEEPER_UPGRADE_CHILDREN_H

#include "keeper/children.h"
#include "keeper/upgrade_state.h"

/* Sets s->children to a row for each used slot, dead workers included; upgrade_state_clear()
 * frees them.  The sockets stay open here. */
void upgrade_children_collect(const struct children *c, struct upgrade_state *s);
/* Takes up all rows, and their sockets, into a new table.  The next epoch begins: all these
 * workers are stale, because another image has forked them. */
void upgrade_children_adopt(struct children *c, const struct upgrade_state *s);

#endif
