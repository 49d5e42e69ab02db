/* SPDX-License-Identifier: MIT */
/* The supervisor's orders to the keeper (MSG_TO_KEEPER in common/msg.h). */
#ifndef K6FLEET_KEEPER_KEEPER_ORDERS_H
#define K6FLEET_KEEPER_KEEPER_ORDERS_H

#include "keeper/keeper.h"

/* Reads and obeys all orders that have arrived; closes the link at its end of file.  An order
 * that makes no sense gets the supervisor killed. */
void keeper_orders_read(struct keeper *k);

#endif
